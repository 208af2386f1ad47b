"""Who may work, from what Stripe says: a table of all that can be."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.gateways import stripe_words as words
from portal.services import subscriptions
from tests.services.test_matches import SEAT, invoice

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GRACE = timedelta(days=7)
DAY = 86_400


def subscription(status: str) -> words.Subscription:
    return words.Subscription(
        id="sub_1",
        customer_id="cus_1",
        status=status,
        currency="usd",
        metadata={},
        items=(),
        discounts=(),
        created=0,
        started_at=0,
        trial_end=None,
        cancel_at=None,
        canceled_at=None,
        ended_at=None,
        latest_invoice_id="in_1",
        setup_intent_id=None,
        method=None,
        default_method_id=None,
    )


def intent(status: str, kind: str = "payment") -> words.Intent:
    return words.Intent("pi_1", kind, status, None, None, None, None)


def access(status: str, before: str = "none", **facts: object) -> str:
    given: dict[str, object] = {"invoice": None, "payment": None, "setup": None} | facts
    return subscriptions.access(subscription(status), before=before, now=NOW, grace=GRACE, **given)  # type: ignore[arg-type]


OPEN = invoice(SEAT)
PAID = invoice(SEAT, status="paid", amount_paid=118_800)
VOID = invoice(SEAT, status="void")


@pytest.mark.parametrize(
    ("status", "facts", "expected"),
    [
        ("incomplete", {"invoice": OPEN, "payment": intent("requires_payment_method")}, "none"),
        ("incomplete", {"invoice": OPEN, "payment": intent("requires_action")}, "none"),
        ("incomplete", {"invoice": OPEN, "payment": intent("processing")}, "payment_pending"),
        ("active", {"invoice": PAID, "payment": intent("succeeded")}, "active"),
        ("active", {"invoice": OPEN, "payment": intent("processing")}, "payment_pending"),
        ("active", {"invoice": OPEN, "payment": intent("succeeded")}, "payment_pending"),
        ("active", {"invoice": OPEN, "payment": intent("requires_payment_method")}, "limited"),
        ("active", {"invoice": VOID, "payment": intent("canceled")}, "limited"),
        ("active", {"invoice": OPEN, "payment": intent("requires_action")}, "none"),
        ("trialing", {"setup": intent("requires_payment_method", "setup")}, "none"),
        ("trialing", {"setup": intent("succeeded", "setup")}, "active"),
        ("trialing", {}, "active"),
        ("incomplete_expired", {"invoice": VOID}, "none"),
        ("canceled", {"invoice": PAID}, "ended"),
        ("canceled", {"invoice": VOID}, "none"),
        ("unpaid", {}, "limited"),
        ("paused", {}, "limited"),
    ],
)
def test_access_of_a_first_purchase(status: str, facts: dict[str, object], expected: str) -> None:
    assert access(status, **facts) == expected


@pytest.mark.parametrize(
    ("before", "expected"), [("active", "ended"), ("payment_pending", "limited"), ("limited", "limited")]
)
def test_what_was_never_paid_stays_limited_when_it_ends(before: str, expected: str) -> None:
    assert access("canceled", before, invoice=VOID) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0, "active"), (7 * DAY - 1, "active"), (7 * DAY, "limited"), (30 * DAY, "limited")],
)
def test_a_renewal_that_fails_leaves_the_days_of_grace(age: int, expected: str) -> None:
    late = invoice(SEAT, billing_reason="subscription_cycle", created=int(NOW.timestamp()) - age)

    assert access("past_due", "active", invoice=late) == expected


@pytest.mark.parametrize("status", ["past_due", "active"])
@pytest.mark.parametrize(("age", "expected"), [(7 * DAY - 1, "active"), (7 * DAY, "limited")])
def test_a_newer_invoice_begins_no_new_days_of_grace(status: str, age: int, expected: str) -> None:
    newer = invoice(SEAT, billing_reason="subscription_cycle", created=int(NOW.timestamp()), status="paid")
    owed_since = NOW - timedelta(seconds=age)

    assert access(status, "active", invoice=newer, owed_since=owed_since) == expected


def test_an_open_renewal_takes_nothing_away() -> None:
    renewal = invoice(SEAT, billing_reason="subscription_cycle")

    assert access("active", "active", invoice=renewal, payment=intent("processing")) == "active"
