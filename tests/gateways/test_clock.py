"""What time it is."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from portal.gateways.clock import SandboxClock, SystemClock


def test_the_clock_is_the_databases(connection: Connection) -> None:
    database = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()

    assert abs(SystemClock().now() - database) < timedelta(seconds=1)
    assert SystemClock().now().tzinfo is UTC


def test_time_never_runs_backwards(connection: Connection) -> None:
    clock = SystemClock()
    readings = [clock.now() for _ in range(200)]

    assert readings == sorted(readings)


def test_without_a_sandbox_the_machines_time_is_kept() -> None:
    assert abs(SandboxClock("http://127.0.0.1:1").now() - datetime.now(UTC)) < timedelta(seconds=1)
