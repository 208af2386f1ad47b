"""Row-level security: a forgotten filter shows nothing, and nobody writes into another workspace."""

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.db import SessionLocal, enter_workspace, unit_of_work
from portal.migrations.check import owned_tables
from portal.models import (
    AuditEntry,
    Base,
    BillingDetails,
    Incident,
    Invitation,
    Mail,
    Member,
    QuoteMatch,
    Workspace,
)
from tests import factories

# of no workspace: logins, queues, what arrives before its workspace is known
GLOBAL = {
    "alembic_version",
    "api_key",
    "catalog_price",
    "inbox_event",
    "login_session",
    "meter_error",
    "passkey_challenge",
    "poll_cursor",
    "procrastinate_events",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
    "rate_limit",
    "recovery_code",
    "role",
    "roles_users",
    "user_account",
    "webauthn",
}

TABLES = text(
    "SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,"
    " (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies"
    " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
)
VIEWS = text(
    "SELECT c.relname FROM pg_class c"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')"
    " AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)"
)
PARTIAL_KEYS = text(
    "SELECT con.conrelid::regclass::text || '.' || con.conname FROM pg_constraint con"
    " WHERE con.contype = 'f' AND con.confrelid::regclass::text = ANY(:owned)"
    " AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = con.conrelid"
    "                 AND a.attnum = ANY(con.conkey) AND a.attname = 'workspace_id')"
)


@pytest.fixture
def other(app: Flask) -> factories.Account:
    """A second company."""
    return factories.account(app, company_name="Oak Inc")


def test_every_table_is_under_row_level_security_or_belongs_to_no_workspace(session: Session) -> None:
    tables = session.execute(TABLES).all()
    protected = {table.name for table in tables if table.forced and table.policies}

    assert {table.name for table in tables} - protected == GLOBAL
    assert protected == owned_tables()


def test_every_table_of_the_models_is_in_the_database(session: Session) -> None:
    names = {table.name for table in session.execute(TABLES)}

    assert set(Base.metadata.tables) <= names


def test_no_view_shows_what_its_owner_sees(session: Session) -> None:
    assert session.execute(VIEWS).scalars().all() == []


def test_references_between_workspaces_cannot_be_made(session: Session) -> None:
    assert session.execute(PARTIAL_KEYS, {"owned": sorted(owned_tables())}).scalars().all() == []


def test_the_application_connects_as_a_role_without_privileges(session: Session) -> None:
    role = session.execute(
        text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user")
    ).one()

    assert (role.rolsuper, role.rolbypassrls) == (False, False)


def test_a_forgotten_filter_shows_this_workspace_alone(
    workspace: factories.Account, other: factories.Account
) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        seen = session.scalars(select(BillingDetails.workspace_id)).all()

    assert seen == [workspace.workspace_id]


def test_without_a_workspace_reading_fails_instead_of_showing(workspace: factories.Account) -> None:
    with pytest.raises(DBAPIError, match=r"app.workspace_id is not set"), unit_of_work() as session:
        session.scalars(select(BillingDetails)).all()


def test_a_named_row_of_another_workspace_does_not_exist(
    workspace: factories.Account, other: factories.Account
) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        found = session.get(BillingDetails, other.workspace_id)
        changed = session.execute(
            update(BillingDetails)
            .where(BillingDetails.workspace_id == other.workspace_id)
            .values(company_name="Mine")
        )
        removed = session.execute(
            delete(BillingDetails).where(BillingDetails.workspace_id == other.workspace_id)
        )

    assert found is None
    assert (changed.rowcount, removed.rowcount) == (0, 0)  # type: ignore[attr-defined]


def test_a_row_cannot_be_written_into_another_workspace(
    workspace: factories.Account, other: factories.Account
) -> None:
    with (
        pytest.raises(DBAPIError, match="row-level security policy"),
        unit_of_work(workspace.workspace_id) as session,
    ):
        session.add(
            Member(workspace_id=other.workspace_id, user_id=workspace.user_id, role="owner", seat="none")
        )


def test_a_row_cannot_be_moved_into_another_workspace(
    workspace: factories.Account, other: factories.Account
) -> None:
    with (
        pytest.raises(DBAPIError, match="row-level security policy"),
        unit_of_work(workspace.workspace_id) as session,
    ):
        session.execute(update(Member).values(workspace_id=other.workspace_id))


def test_a_login_reads_its_own_memberships_before_it_chooses_a_workspace(
    workspace: factories.Account, other: factories.Account
) -> None:
    with unit_of_work(user_id=workspace.user_id) as session:
        seen = session.scalars(select(Member.workspace_id)).all()

    assert seen == [workspace.workspace_id]


def test_a_session_serves_one_workspace(workspace: factories.Account, other: factories.Account) -> None:
    with SessionLocal() as session, pytest.raises(RuntimeError):
        enter_workspace(session, workspace.workspace_id)
        enter_workspace(session, other.workspace_id)


def test_the_workspace_is_left_with_its_unit_of_work(workspace: factories.Account) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        session.scalars(select(Member)).all()
    with unit_of_work() as session:
        left = session.execute(text("SELECT current_setting('app.workspace_id', true), current_user")).one()

    assert tuple(left) == ("", "portal_app")


def test_sweepers_read_all_workspaces_and_write_into_none(
    workspace: factories.Account, other: factories.Account
) -> None:
    with unit_of_work(system=True) as session:
        seen = set(session.scalars(select(BillingDetails.workspace_id)))
    with pytest.raises(DBAPIError, match="permission denied"), unit_of_work(system=True) as session:
        session.execute(update(BillingDetails).values(company_name="Mine"))

    assert seen == {workspace.workspace_id, other.workspace_id}


def test_what_is_on_record_is_never_changed_or_removed(workspace: factories.Account) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        session.add(AuditEntry(actor="system", action="quote.confirmed"))
        session.add(
            QuoteMatch(stripe_invoice_id="in_1", stage="final", quote_id="Q-1", matched=True, differences=[])
        )
    for change in (
        update(AuditEntry).values(actor="nobody"),
        delete(AuditEntry),
        update(QuoteMatch).values(matched=False),
        delete(QuoteMatch),
    ):
        with pytest.raises(DBAPIError), unit_of_work(workspace.workspace_id) as session:
            session.execute(change)

    with unit_of_work(workspace.workspace_id) as session:
        kept = session.scalars(select(func.count()).select_from(AuditEntry)).one()
    assert kept == 1


def test_workspaces_are_listed_by_no_join_that_forgets_its_filter(
    workspace: factories.Account, other: factories.Account
) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        names = session.scalars(
            select(Workspace.name).join(Member, Member.workspace_id == Workspace.id)
        ).all()

    assert names == ["Acme Ltd"]


@pytest.fixture
def sent_out(workspace: factories.Account, other: factories.Account) -> None:
    """A mail and an incident of each company, and of none."""
    for workspace_id in (workspace.workspace_id, other.workspace_id, None):
        with unit_of_work(workspace_id) as session:
            facts = {"kind": "test", "workspace_id": workspace_id}
            link = f"https://billing.example/reset/{workspace_id}"
            mail = insert(Mail).values(**facts, recipient="a@acme.example", subject="Link", text_body=link)
            incident = insert(Incident).values(
                **facts, dedupe_key=str(workspace_id), summary="Look", details={}
            )
            session.execute(mail.inline())
            session.execute(incident.inline())


@pytest.mark.parametrize("table", [Mail, Incident])
def test_mails_and_incidents_are_read_by_their_workspace_only(
    workspace: factories.Account, sent_out: None, table: type[Mail] | type[Incident]
) -> None:
    seen = {}
    for name, scope in {"inside": workspace.workspace_id, "outside": None}.items():
        with unit_of_work(scope) as session:
            seen[name] = session.scalars(select(table.workspace_id)).all()
    with unit_of_work(user_id=workspace.user_id) as session:
        seen["signed in"] = session.scalars(select(table.workspace_id)).all()

    assert seen == {"inside": [workspace.workspace_id], "outside": [], "signed in": []}


@pytest.mark.parametrize("scope", ["own", "none"])
def test_nobody_writes_a_mail_or_an_incident_of_another_workspace(
    workspace: factories.Account, other: factories.Account, scope: str
) -> None:
    foreign = {"kind": "test", "workspace_id": other.workspace_id}
    for statement in (
        insert(Mail).values(**foreign, recipient="a@acme.example", subject="Hello", text_body="Hello"),
        insert(Incident).values(**foreign, dedupe_key="1", summary="Look", details={}),
    ):
        with (
            pytest.raises(DBAPIError, match="row-level security policy"),
            unit_of_work(workspace.workspace_id if scope == "own" else None) as session,
        ):
            session.execute(statement.inline())


def test_the_application_settles_no_mail_and_no_incident(
    sent_out: None, workspace: factories.Account
) -> None:
    for change in (update(Mail).values(sent_at=func.now()), update(Incident).values(resolved_at=func.now())):
        with (
            pytest.raises(DBAPIError, match="permission denied"),
            unit_of_work(workspace.workspace_id) as session,
        ):
            session.execute(change)


def test_the_system_settles_mails_and_incidents_and_writes_nothing_else_of_them(sent_out: None) -> None:
    with unit_of_work(system=True) as session:
        session.execute(update(Mail).values(sent_at=func.now(), text_body=""))
        session.execute(update(Incident).values(resolved_at=func.now()))
        left = session.scalar(select(func.count()).select_from(Mail).where(Mail.text_body != ""))
    for change in (
        update(Mail).values(recipient="evil@evil.example"),
        update(Incident).values(summary="Nothing"),
        delete(Mail),
        delete(Incident),
    ):
        with pytest.raises(DBAPIError, match="permission denied"), unit_of_work(system=True) as session:
            session.execute(change)

    assert left == 0


def test_companies_are_seen_from_inside_and_by_their_members(
    workspace: factories.Account, other: factories.Account
) -> None:
    names = select(Workspace.name).order_by(Workspace.id)
    with unit_of_work() as session:
        outside = session.scalars(names).all()
    with unit_of_work(workspace.workspace_id) as session:
        inside = session.scalars(names).all()
    with unit_of_work(user_id=other.user_id) as session:
        member = session.scalars(names).all()
    with unit_of_work(system=True) as session:
        system = session.scalars(names).all()

    assert (outside, inside, member) == ([], ["Acme Ltd"], ["Oak Inc"])
    assert system == ["Acme Ltd", "Oak Inc"]


def test_a_company_is_renamed_from_inside_only(
    workspace: factories.Account, other: factories.Account
) -> None:
    with unit_of_work(workspace.workspace_id, user_id=other.user_id) as session:
        session.execute(update(Workspace).values(name="Mine"))
    with unit_of_work(system=True) as session:
        names = session.scalars(select(Workspace.name).order_by(Workspace.id)).all()

    assert names == ["Mine", "Oak Inc"]


def test_invitations_are_seen_and_written_from_inside_only(
    workspace: factories.Account, other: factories.Account
) -> None:
    facts = {"email": "a@acme.example", "role": "member", "seat": "none", "state": "open", "key": "k"}
    times = {"sent_at": func.now(), "expires_at": func.now()}
    with unit_of_work(workspace.workspace_id) as session:
        session.execute(insert(Invitation).values(**facts, **times))
    with unit_of_work(other.workspace_id, user_id=workspace.user_id) as session:
        seen = session.scalars(select(Invitation.email)).all()
        changed = session.execute(update(Invitation).values(state="accepted"))
        removed = session.execute(delete(Invitation))
    with (
        pytest.raises(DBAPIError, match="row-level security policy"),
        unit_of_work(other.workspace_id) as session,
    ):
        foreign = insert(Invitation).values(workspace_id=workspace.workspace_id, **facts, **times)
        session.execute(foreign.inline())

    assert seen == []
    assert (changed.rowcount, removed.rowcount) == (0, 0)  # type: ignore[attr-defined]


def test_mails_that_were_sent_are_removed_by_their_own_workspace_only(
    sent_out: None, workspace: factories.Account
) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        session.execute(delete(Mail))
    with unit_of_work(system=True) as session:
        waiting = session.scalar(select(func.count()).select_from(Mail))
        session.execute(update(Mail).values(sent_at=func.now()))
    with unit_of_work(workspace.workspace_id) as session:
        session.execute(delete(Mail))
    with unit_of_work(system=True) as session:
        left = set(session.scalars(select(Mail.workspace_id)))

    assert waiting == 3
    assert len(left) == 2
    assert workspace.workspace_id not in left
