"""The embedded PostgreSQL: it starts, is joined, survives being killed, and says why it cannot run."""

import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from portal import tasks
from portal.development.postgres import EmbeddedPostgres, EmbeddedPostgresError

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that everybody may enter, as an installation's; pytest's temporary ones are private."""
    made = ROOT / ".data" / "tests" / f"try-{os.getpid()}"
    made.mkdir(parents=True)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(folder / "data")
    yield made
    made.stop()


def count(postgres: EmbeddedPostgres) -> int:
    engine = create_engine(postgres.url("postgres", "postgres"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS kept (n int)"))
        connection.execute(text("INSERT INTO kept VALUES (1)"))
        return int(connection.execute(text("SELECT count(*) FROM kept")).scalar_one())


def postmaster(postgres: EmbeddedPostgres) -> int:
    return int((postgres.data / "postmaster.pid").read_text().split()[0])


def test_it_starts_is_joined_and_keeps_its_data_when_killed(postgres: EmbeddedPostgres) -> None:
    assert postgres.start() is True
    assert EmbeddedPostgres(postgres.data).start() is False
    assert count(postgres) == 1

    os.kill(postmaster(postgres), signal.SIGKILL)
    while postgres.running():
        time.sleep(0.01)

    assert postgres.start() is True
    assert count(postgres) == 2


def test_two_starts_at_once_are_one_server(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    outcomes: list[bool] = []
    threads = [
        Thread(target=lambda: outcomes.append(EmbeddedPostgres(postgres.data).start())) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [False, True]


def test_a_number_that_now_belongs_to_somebody_else_does_not_stop_it(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.data}\n")

    assert postgres.running() is False
    assert postgres.start() is True


def test_only_its_owner_may_enter_the_folder_and_no_port_is_open(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    engine = create_engine(postgres.url("postgres", "postgres"), poolclass=NullPool)
    with engine.connect() as connection:
        listens = connection.execute(text("SHOW listen_addresses")).scalar_one()

    assert stat.S_IMODE(postgres.data.stat().st_mode) == 0o700
    assert listens == ""


@pytest.mark.parametrize("name", ["a space", "a+plus'&%20#=?;(x)é"])
def test_it_runs_in_a_folder_of_any_name(folder: Path, name: str) -> None:
    postgres = EmbeddedPostgres(folder / name / "data")
    postgres.start()
    # as the worker's queue connects, which reads the address with libpq and not with SQLAlchemy
    with psycopg.connect(tasks.conninfo(postgres.url("postgres", "postgres"))) as connection:
        [socket] = connection.execute("SHOW unix_socket_directories").fetchone() or []
    counted = count(postgres)
    postgres.stop()

    assert counted == 1
    assert socket == f'"{postgres.data}"'


@pytest.mark.parametrize("sign", [",", '"', "$", "`"])
def test_a_sign_that_the_servers_programs_cannot_take_is_named(folder: Path, sign: str) -> None:
    with pytest.raises(EmbeddedPostgresError, match="PORTAL_DATA_DIR") as caught:
        EmbeddedPostgres(folder / f"a{sign}b" / "data").start()

    assert repr(sign) in caught.value.message


def test_its_log_begins_anew_at_each_start(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    (postgres.data / "server.log").write_text("what an earlier start said\n")
    postgres.stop()
    postgres.start()

    assert "earlier start" not in (postgres.data / "server.log").read_text()


def test_a_path_too_long_for_a_socket_is_named(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="too long for a socket"):
        EmbeddedPostgres(folder / ("x" * 100)).start()


def test_a_place_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "file").write_text("in the way")

    with pytest.raises(EmbeddedPostgresError, match="cannot be written"):
        EmbeddedPostgres(folder / "file" / "data").start()


def test_a_broken_folder_says_where_to_look(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data / "PG_VERSION").write_text("12\n")

    with pytest.raises(EmbeddedPostgresError, match=r"did not run.*make reset"):
        postgres.start()
