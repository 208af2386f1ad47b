"""``flask support factors reset``: a lost second step, taken off on the record."""

from collections.abc import Callable

from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways.mail import FolderMail
from portal.models import AuditEntry, RecoveryCode
from tests import factories
from tests.browsing import Browser
from tests.web.test_two_step import another, first_step, turn_on


def test_support_takes_a_lost_second_step_off_on_the_record(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    turn_on(signed_in)
    runner = app.test_cli_runner()
    done = runner.invoke(args=["support", "factors", "reset", workspace.email.upper()])
    again = runner.invoke(args=["support", "factors", "reset", workspace.email])
    nobody = runner.invoke(args=["support", "factors", "reset", "nobody@acme.example"])
    run_jobs()
    told = [mail["Subject"] for _, mail in mailbox.read() if mail["To"] == workspace.email]
    with unit_of_work(workspace.workspace_id) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "factors.reset")).one()
        left = session.scalars(select(RecoveryCode.selector)).all()

    assert done.output == (
        f"{workspace.email}: two-step sign-in is off, 0 passkeys removed, every browser signed out.\n"
    )
    assert (again.exit_code, nobody.exit_code) == (2, 2)
    assert signed_in.get("/account").status_code == 303
    assert first_step(another(app), workspace) == "/start"
    assert any("Support turned two-step sign-in off" in subject for subject in told)
    assert (entry.actor, entry.before["member"], left) == ("support", workspace.email, [])
