"""Which folder a start may use, and what a reset deletes of it: what starts made, and nothing else."""

import stat
from pathlib import Path

import pytest

from portal.development.place import Place, PlaceError
from portal.development.start import reset


def place(folder: Path) -> Place:
    return Place(folder, 5000, 5001)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_reset_of_a_folder_that_holds_other_things_is_refused_and_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "project" / ".git").mkdir(parents=True)
    with pytest.raises(PlaceError, match=r"holds other things \(project, thesis.txt\)"):
        reset({"PORTAL_DATA_DIR": str(tmp_path)})

    assert names(tmp_path) == {"thesis.txt", "project"}
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_folders_that_only_have_our_names_are_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "letter").write_text("from a friend")
    with pytest.raises(PlaceError, match="holds other things"):
        reset({"PORTAL_DATA_DIR": str(tmp_path)})

    assert (tmp_path / "mail" / "letter").exists()


def test_reset_deletes_what_starts_made_and_leaves_what_came_later(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    place(folder).make()
    place(folder).secret("secret_key")
    (folder / "sandbox.sqlite").write_text("state")
    (folder / "mail" / "1.eml").write_text("a mail")
    (folder / "thesis.txt").write_text("years of work")
    reset({"PORTAL_DATA_DIR": str(folder)})

    assert names(folder) == {".portal", "start.lock", "thesis.txt"}


def test_a_folder_of_an_older_version_without_the_marker_is_still_ours(tmp_path: Path) -> None:
    (tmp_path / "start.lock").touch()
    (tmp_path / "logs").mkdir()
    (tmp_path / "sandbox.sqlite").write_text("state")
    reset({"PORTAL_DATA_DIR": str(tmp_path)})

    assert names(tmp_path) == {".portal", "start.lock"}


def test_a_link_in_the_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    folder = tmp_path / "data"
    place(folder).make()
    (folder / "logs").rmdir()
    (folder / "logs").symlink_to(elsewhere)
    place(folder).empty()

    assert names(folder) == {".portal"}
    assert names(elsewhere) == {"kept"}


def test_mails_logs_and_state_are_for_their_owner_only_also_when_older(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    place(folder).make()
    (folder / "sandbox.sqlite").touch(0o644)
    (folder / "mail").chmod(0o755)
    place(folder).make()
    modes = {
        name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("mail", "logs", "sandbox.sqlite")
    }

    assert modes == {"mail": 0o700, "logs": 0o700, "sandbox.sqlite": 0o600}


def test_whoever_asks_meanwhile_is_told_the_ports_of_what_runs(tmp_path: Path) -> None:
    with Place(tmp_path, 5600, 5700).alone():
        meanwhile = place(tmp_path).running()
    afterwards = place(tmp_path).running()

    assert meanwhile == Place(tmp_path, 5600, 5700)
    assert afterwards == place(tmp_path)


def test_nothing_runs_from_a_folder_without_a_lock(tmp_path: Path) -> None:
    assert place(tmp_path).running() == place(tmp_path)
