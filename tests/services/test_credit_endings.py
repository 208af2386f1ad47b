"""Before credits end people are told: 60, 30 and 7 days before, with the amount at stake, each once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import CreditPurchase, Mail
from portal.services import credit_endings
from tests.services.lots import buy
from tests.services.using import HandClock, Workspace

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
END = datetime(2027, 12, 10, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def mails(acme: Workspace) -> list[Mail]:
    with unit_of_work(system=True) as session:
        wanted = Mail.kind == "credits_ending", Mail.workspace_id == acme.workspace_id
        return list(session.scalars(select(Mail).where(*wanted).order_by(Mail.id)))


def test_each_of_the_three_days_is_told_once_with_what_is_at_stake(acme: Workspace, clock: HandClock) -> None:
    lot = buy(acme, 100)
    acme.resolve()
    sent = []
    for days in (61, 60, 59, 30, 29, 7, 1, 0):
        clock.at = END - timedelta(days=days)
        sent.append(credit_endings.sweep(acme.gateways))

    assert sent == [0, 1, 0, 1, 0, 1, 0, 0]
    assert [mail.dedupe_key for mail in mails(acme)] == [f"credits_ending:{lot}:{day}" for day in (60, 30, 7)]
    first = mails(acme)[0]
    assert first.subject == "99 resolutions end on 10 December 2027"
    assert "for which you paid $98.01 before tax" in first.text_body
    assert "lapses" in first.text_body


def test_after_a_pause_only_the_nearest_day_is_told(acme: Workspace, clock: HandClock) -> None:
    buy(acme, 100)
    clock.at = END - timedelta(days=5)

    assert [credit_endings.sweep(acme.gateways) for _again in range(2)] == [1, 0]


def test_of_a_pack_that_is_used_up_nobody_is_told(acme: Workspace, clock: HandClock) -> None:
    buy(acme, 1)
    acme.resolve()
    clock.at = END - timedelta(days=5)

    assert credit_endings.sweep(acme.gateways) == 0


def test_a_pack_that_renews_by_itself_is_told_so(acme: Workspace, clock: HandClock) -> None:
    buy(acme, 100)
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(CreditPurchase).values(renews=True))
    clock.at = END - timedelta(days=30)
    credit_endings.sweep(acme.gateways)

    body = " ".join(mails(acme)[0].text_body.split())
    assert "a pack of the same size is bought by itself, as you chose" in body
    assert "The new pack is not renewed unless you switch that on for it." in body


def test_what_will_lapse_at_the_present_pace_is_said(acme: Workspace, clock: HandClock) -> None:
    buy(acme, 100_000)
    clock.at = END - timedelta(days=5)
    acme.resolve()
    credit_endings.sweep(acme.gateways)

    assert "of them will lapse." in mails(acme)[0].text_body
