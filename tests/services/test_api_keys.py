"""Keys of programs: whose, good for what, since when and until when, and never kept."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.db import unit_of_work
from portal.errors import NotFoundError
from portal.gateways import Gateways
from portal.models import ApiKey, AuditEntry, Mail
from portal.services import api_keys, deletion
from portal.services.api_keys import READ, WRITE, KeyOverError, Made, TooManyKeysError, Window
from tests import factories
from tests.services.buying import Customer
from tests.services.test_at_once import at_once
from tests.shop import Shop

A_DAY = timedelta(days=1)


@pytest.fixture
def other(app: Flask) -> factories.Account:
    """A second company."""
    return factories.account(app, company_name="Oak Inc")


def make(gateways: Gateways, account: factories.Account, **given: object) -> Made:
    wanted = {"name": "Support agent", "scopes": [WRITE, READ], **given}
    with unit_of_work(account.workspace_id) as session:
        return api_keys.make(session, gateways, by=account.user_id, **wanted)  # type: ignore[arg-type]


def rotate(gateways: Gateways, account: factories.Account, key_id: str, overlap: timedelta) -> Made:
    with unit_of_work(account.workspace_id) as session:
        return api_keys.rotate(session, gateways, key_id, overlap=overlap, by=account.user_id)


def revoke(gateways: Gateways, account: factories.Account, key_id: str) -> None:
    with unit_of_work(account.workspace_id) as session:
        api_keys.revoke(session, gateways, key_id, by=account.user_id)


def comes_in(gateways: Gateways, secret: str) -> bool:
    return api_keys.admit(secret, gateways.clock.now()) is not None


def recorded(account: factories.Account) -> list[tuple[str, str]]:
    with unit_of_work(account.workspace_id) as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.action, entry.actor) for entry in entries]


def test_a_key_says_whose_it_is_and_what_it_may_do(gateways: Gateways, workspace: factories.Account) -> None:
    made = make(gateways, workspace, scopes=[READ])
    caller = api_keys.admit(made.secret, gateways.clock.now())

    assert caller is not None
    assert (caller.workspace_id, caller.key_id) == (workspace.workspace_id, made.row.id)
    assert caller.scopes == {READ}
    assert made.secret.startswith(f"{made.row.prefix}_")
    assert recorded(workspace) == [("api_key.made", workspace.email)]


def test_owners_and_admins_hear_of_every_key(
    app: Flask, gateways: Gateways, workspace: factories.Account
) -> None:
    admin = factories.member(app, workspace.workspace_id, role="admin")
    factories.member(app, workspace.workspace_id, role="billing")
    made = make(gateways, workspace, name="<b>Desk</b>", scopes=[READ])
    new = rotate(gateways, workspace, made.row.id, A_DAY)
    revoke(gateways, workspace, new.row.id)
    with unit_of_work(system=True) as session:
        mails = session.scalars(
            select(Mail).where(Mail.kind == "api_key_changed", Mail.recipient == workspace.email)
        ).all()
        told = session.scalars(select(Mail.recipient).where(Mail.kind == "api_key_changed")).all()
    subjects = [mail.subject for mail in sorted(mails, key=lambda mail: mail.id)]
    [first] = [mail for mail in mails if "was made" in mail.subject]

    assert subjects == [
        "A key for programs was made: <b>Desk</b>",
        "A key for programs was replaced: <b>Desk</b>",
        "A key for programs was revoked: <b>Desk</b>",
    ]
    assert sorted(told) == sorted([workspace.email, admin.email] * 3)
    assert f"{workspace.email} made the key “<b>Desk</b>” ({made.row.prefix}…)" in first.text_body
    assert "“&lt;b&gt;Desk&lt;/b&gt;”" in str(first.html_body)
    assert "can read usage, resolutions, credits and quotes with it, and change nothing." in first.text_body
    assert not [mail for mail in mails if made.secret in f"{mail.text_body}{mail.html_body}"]


@pytest.mark.parametrize("wrong", ["", "bk_", "bk_0000000000_x", "sk_live_x", "bk_\0", "bk_ü"])
def test_another_key_is_nobodys(gateways: Gateways, workspace: factories.Account, wrong: str) -> None:
    make(gateways, workspace)

    assert not comes_in(gateways, wrong)


def test_a_key_with_one_character_changed_is_nobodys(
    gateways: Gateways, workspace: factories.Account
) -> None:
    secret = make(gateways, workspace).secret
    last = "A" if secret[-1] != "A" else "B"

    assert comes_in(gateways, secret)
    assert not comes_in(gateways, secret[:-1] + last)
    assert not comes_in(gateways, secret.lower())


def test_the_key_is_nowhere_in_the_database(gateways: Gateways, workspace: factories.Account) -> None:
    made = make(gateways, workspace)
    newer = rotate(gateways, workspace, made.row.id, A_DAY)
    secrets = [each.secret.split("_", 2)[2] for each in (made, newer)]
    with unit_of_work(system=True) as session:
        tables = session.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^alembic'")
        ).all()
        readable = [
            name
            for name in tables
            if session.scalar(text("SELECT has_table_privilege(:name, 'SELECT')"), {"name": name})
        ]
        whole = "".join(
            session.scalar(text(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {name} t")) or ""
            for name in readable
        )

    assert {"api_key", "audit_entry"} <= set(readable)
    assert made.row.prefix in whole
    assert [secret for secret in secrets if secret in whole] == []
    assert made.secret not in repr(made)


def test_a_revoked_key_is_worth_nothing_from_the_next_request_on(
    gateways: Gateways, workspace: factories.Account
) -> None:
    made = make(gateways, workspace)
    before = comes_in(gateways, made.secret)
    revoke(gateways, workspace, made.row.id)

    assert (before, comes_in(gateways, made.secret)) == (True, False)
    assert recorded(workspace)[-1] == ("api_key.revoked", workspace.email)


def test_a_key_that_is_replaced_goes_on_until_the_chosen_time(
    gateways: Gateways, shop: Shop, workspace: factories.Account
) -> None:
    old = make(gateways, workspace, scopes=[WRITE])
    new = rotate(gateways, workspace, old.row.id, A_DAY)
    seen = []
    for step in (timedelta(0), A_DAY - timedelta(minutes=1), timedelta(minutes=1)):
        shop.advance(seconds=int(step.total_seconds()))
        seen.append((comes_in(gateways, old.secret), comes_in(gateways, new.secret)))

    assert seen == [(True, True), (True, True), (False, True)]
    assert (new.row.name, new.row.scopes) == ("Support agent", [WRITE])
    assert recorded(workspace)[-1] == ("api_key.rotated", workspace.email)


def test_a_key_can_be_replaced_at_once_and_only_once(
    gateways: Gateways, workspace: factories.Account
) -> None:
    old = make(gateways, workspace)
    newer = rotate(gateways, workspace, old.row.id, timedelta(0))
    newest = rotate(gateways, workspace, newer.row.id, A_DAY)

    assert not comes_in(gateways, old.secret)
    for over in (old, newer):
        with pytest.raises(KeyOverError):
            rotate(gateways, workspace, over.row.id, A_DAY)
    assert comes_in(gateways, newest.secret)


def test_what_is_over_cannot_be_revoked_again(gateways: Gateways, workspace: factories.Account) -> None:
    made = make(gateways, workspace)
    revoke(gateways, workspace, made.row.id)

    with pytest.raises(KeyOverError):
        revoke(gateways, workspace, made.row.id)


def test_keys_of_another_workspace_are_not_there(
    gateways: Gateways, workspace: factories.Account, other: factories.Account
) -> None:
    theirs = make(gateways, other)
    with unit_of_work(workspace.workspace_id) as session:
        seen = api_keys.listing(session, gateways.clock.now())
        with pytest.raises(NotFoundError):
            api_keys.get(session, theirs.row.id)
        with pytest.raises(NotFoundError):
            api_keys.revoke(session, gateways, theirs.row.id, by=workspace.user_id)
        with pytest.raises(NotFoundError):
            api_keys.rotate(session, gateways, theirs.row.id, overlap=A_DAY, by=workspace.user_id)

    assert seen == []
    assert comes_in(gateways, theirs.secret)


def test_the_last_use_is_written_at_most_once_a_minute(
    gateways: Gateways, shop: Shop, workspace: factories.Account
) -> None:
    made = make(gateways, workspace)
    seen = []
    for seconds in (0, 59, 2):
        shop.advance(seconds=seconds)
        now = gateways.clock.now()
        api_keys.admit(made.secret, now)
        with unit_of_work(workspace.workspace_id) as session:
            used = session.scalars(select(ApiKey.last_used_at)).one()
            seen.append(used == now)

    assert seen == [True, False, True]


def test_requests_are_counted_in_every_window(gateways: Gateways, workspace: factories.Account) -> None:
    made, another = make(gateways, workspace), make(gateways, workspace)
    windows = (Window(1, 2), Window(3600, 3))
    now = gateways.clock.now()
    callers = [api_keys.admit(made.secret, now, windows) for _ in range(4)]
    left = [caller.uses[1].left for caller in callers if caller]
    fresh = api_keys.admit(another.secret, now, windows)

    assert left == [2, 1, 0, -1]
    assert fresh is not None
    assert [use.left for use in fresh.uses] == [1, 2]
    assert 0 < fresh.uses[1].starts_anew_in <= 3600


def test_a_workspace_has_at_most_twenty_keys_that_are_good(
    gateways: Gateways, workspace: factories.Account
) -> None:
    keys = [make(gateways, workspace) for _ in range(20)]
    with pytest.raises(TooManyKeysError):
        make(gateways, workspace)
    revoke(gateways, workspace, keys[0].row.id)

    assert comes_in(gateways, make(gateways, workspace).secret)


def test_what_is_over_leaves_the_list_after_ninety_days(
    gateways: Gateways, shop: Shop, workspace: factories.Account
) -> None:
    gone, kept = make(gateways, workspace), make(gateways, workspace)
    revoke(gateways, workspace, gone.row.id)
    lengths = []
    for days in (0, 91):
        shop.advance(days=days)
        with unit_of_work(workspace.workspace_id) as session:
            lengths.append([row.id for row in api_keys.listing(session, gateways.clock.now())])

    assert [len(each) for each in lengths] == [2, 1]
    assert lengths[1] == [kept.row.id]


def test_the_keys_go_with_the_workspace(gateways: Gateways, workspace: factories.Account) -> None:
    made = make(gateways, workspace)
    with unit_of_work(workspace.workspace_id) as session:
        deletion.erase(session, workspace.workspace_id)
    with unit_of_work() as session:
        left = session.scalars(select(func.count()).select_from(ApiKey)).one()

    assert left == 0
    assert not comes_in(gateways, made.secret)


def test_of_many_who_replace_one_key_at_once_one_does(open_shop: tuple[Flask, Customer]) -> None:
    _app, customer = open_shop
    gateways, account = customer.gateways, customer.account
    key_id = make(gateways, account).row.id
    results = at_once(*[lambda: rotate(gateways, account, key_id, A_DAY)] * 6)

    assert sum(isinstance(each, Made) for each in results) == 1
    assert sum(isinstance(each, KeyOverError) for each in results) == 5


def test_many_requests_at_once_are_all_counted(open_shop: tuple[Flask, Customer]) -> None:
    _app, customer = open_shop
    secret = make(customer.gateways, customer.account).secret
    now, windows = customer.gateways.clock.now(), (Window(3600, 100),)
    at_once(*[lambda: api_keys.admit(secret, now, windows)] * 16)
    caller = api_keys.admit(secret, now, windows)

    assert caller is not None
    assert caller.uses[0].left == 83
