"""Changing what was bought: every change is a binding quote first, and then exactly what was quoted.

Each verb opens its own units of work and speaks to Stripe between them; call none inside a transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_words import Invoice
from portal.models import Attempt, PlannedChange
from portal.pricing.change import Change as PriceOfChange
from portal.services import (
    attempt_states,
    attempt_steps,
    attempts,
    audit,
    billing_details,
    catalogs,
    change_attempts,
    change_catalogs,
    change_matches,
    change_pricing,
    change_quotes,
    change_states,
    credit_quotes,
    holdings,
    incidents,
    matches,
    owed_invoices,
    payment_methods,
    planned_changes,
    projections,
    quotes,
    second_click,
    subscriptions,
    swap_purchases,
)
from portal.services.attempts import Confirmation, PurchaseRefusedError, StillConfirmingError
from portal.services.change_errors import (
    CatalogNotOfferedError,
    NoSubscriptionError,
    NothingToChangeError,
    NotPlannedError,
    RenewalNearError,
    SubscriptionEndsError,
    UnpaidInvoiceError,
)
from portal.services.change_pricing import Leaver, PricedChange, SeatPrice, Wanted
from portal.services.change_waiting import ChangeState, state
from portal.services.checkout import DetailsMissingError, PriceMismatchError
from portal.services.holdings import Holding, holding
from portal.services.ids import new_id
from portal.services.planned_changes import undo
from portal.services.quotes import Change, QuoteChangedError, QuoteExpiredError
from portal.services.undoing import PaymentUnderWayError

__all__ = [
    "CatalogNotOfferedError",
    "Change",
    "ChangeState",
    "Confirmation",
    "DetailsMissingError",
    "Holding",
    "Leaver",
    "NoSubscriptionError",
    "NotPlannedError",
    "NothingToChangeError",
    "PaymentUnderWayError",
    "PriceMismatchError",
    "PurchaseRefusedError",
    "QuoteChangedError",
    "QuoteExpiredError",
    "RenewalNearError",
    "SeatPrice",
    "StillConfirmingError",
    "SubscriptionEndsError",
    "UnpaidInvoiceError",
    "Wanted",
    "confirm",
    "holding",
    "missed",
    "planned",
    "prepare",
    "seat_price",
    "state",
    "undo",
]


def planned(session: Session) -> PlannedChange | None:
    """The wanted state at the renewal, if any."""
    return holdings.planned_row(session)


def missed(session: Session) -> PlannedChange | None:
    """The last planned change, if the renewal went by without it and nothing was planned since."""
    return planned_changes.missed(session)


def seat_price(session: Session, now: datetime, held: Holding | None = None) -> SeatPrice:
    """What one more seat costs now and then each period, at the customer's own price; no call is made.

    ``held``: what is had, where it has been read already. Raises NoSubscriptionError.
    """
    held = held or holding(session)
    if held is None:
        raise NoSubscriptionError
    return change_pricing.seat_price(session, held, now)


def prepare(gateways: Gateways, workspace_id: int, user_id: int | None, wanted: Wanted) -> str:
    """Make a binding quote of ``wanted`` and return its id; ours and Stripe's price agree to the cent.

    Raises pricing.PricingError, NoSubscriptionError, UnpaidInvoiceError, SubscriptionEndsError,
    NothingToChangeError, CatalogNotOfferedError, PaymentUnderWayError, RenewalNearError,
    DetailsMissingError, PriceMismatchError (both sides are kept in an incident) and the gateway's errors.
    """
    _refresh(gateways, workspace_id)
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        held = _changeable(session)
        details = billing_details.current(session)
        if details is None or details.stripe_customer_id is None:
            raise DetailsMissingError
        billing = quotes.billing_facts(details)
        offered = change_catalogs.offered(session, gateways, held, now)
        priced = change_pricing.price(session, held, wanted, now, offered=offered)
        _see_that_it_can_be_paid(
            session,
            held,
            now,
            pays=priced.update is not None,
            plans=priced.ends,
        )
    invoice, keys = _previewed(gateways, workspace_id, priced)
    with unit_of_work(workspace_id) as session:
        offer = change_quotes.Offer(priced, invoice, keys, billing)
        quote = change_quotes.store(session, offer, user_id=user_id, now=now)
        swap_purchases.open_for(session, quote)
        after: dict[str, object] = {"total": quote.total, "currency": quote.currency, "digest": quote.digest}
        audit.record(session, "quote.made", user_id=user_id, after=after, quote_id=quote.id)
        return quote.id


def _refresh(gateways: Gateways, workspace_id: int) -> None:
    """Read the subscription and what pays it anew, so that nothing is reckoned from what is no longer so."""
    with unit_of_work(workspace_id) as session:
        row = subscriptions.bought(session)
    if row is None:
        raise NoSubscriptionError
    projections.refresh_subscription(gateways, row.stripe_id)
    with unit_of_work(workspace_id) as session:
        row = subscriptions.bought(session)
        own = row is not None and row.default_payment_method
    customer_id = None if own else payment_methods.customer_of(workspace_id)
    if customer_id is not None:
        payment_methods.refresh(gateways, customer_id)


def _changeable(session: Session) -> Holding:
    """What is held, if it may be changed."""
    held = holding(session)
    if held is None or held.status in ("paused", "incomplete"):
        raise NoSubscriptionError
    if held.cancel_at is not None:
        raise SubscriptionEndsError
    return held


def _see_that_it_can_be_paid(
    session: Session, held: Holding, now: datetime, *, pays: bool, plans: Sequence[datetime]
) -> None:
    """Whether a change that takes effect now may begin; what only waits for the renewal always may.

    ``pays``: something is changed now; ``plans``: when what is left for the end of a period takes effect.
    """
    if not pays:
        return
    if held.access == subscriptions.PAYMENT_PENDING:
        raise PaymentUnderWayError
    live = attempts.live(session, quotes.CHANGE)
    if live is not None and live.state == attempt_states.PROCESSING:
        raise PaymentUnderWayError
    if held.status in ("past_due", "unpaid") or owed_invoices.owed_since(session, held.subscription_id):
        raise UnpaidInvoiceError
    near = any(now >= end - change_states.QUIET_BEFORE_RENEWAL for end in plans)
    if not held.trialing and (near or change_states.is_near(held.plan, now)):
        raise RenewalNearError


def _previewed(
    gateways: Gateways, workspace_id: int, priced: PricedChange
) -> tuple[Invoice | None, Mapping[str, str]]:
    """Stripe's invoice of the change, which says what ours says; None when nothing is charged now."""
    if priced.update is None or priced.before.trialing:
        return None, {}
    invoice = gateways.stripe.changes.preview(priced.update)
    if invoice.tax_status == "requires_location_inputs":
        raise DetailsMissingError
    with unit_of_work(workspace_id) as session:
        rows = catalogs.keys_of_prices(session, [line.price_id for line in invoice.lines])
    keys = {price_id: row.key for price_id, row in rows.items()}
    if priced.wanted.swapped is not None:
        keys[priced.wanted.swapped.price_id] = credit_quotes.LINE
    found = change_matches.differences(
        change_matches.priced(priced.change, priced.before.currency), invoice, keys
    )
    if found:
        _report_mismatch(gateways, workspace_id, priced.change, invoice, found)
    return invoice, keys


def _report_mismatch(
    gateways: Gateways,
    workspace_id: int,
    ours: PriceOfChange,
    invoice: Invoice,
    found: list[matches.Difference],
) -> None:
    names = ", ".join(each.what for each in found)
    with unit_of_work(workspace_id) as session:
        incidents.report(
            session,
            gateways,
            "price_mismatch",
            dedupe_key=f"price_mismatch:{new_id('M')}",
            workspace_id=workspace_id,
            summary=f"Our price of a change and Stripe's preview differ: {names}",
            details={
                "ours": [line.as_dict(explain=True) for line in ours.lines],
                "stripe": quotes.evidence(invoice),
                "differences": [each.as_dict() for each in found],
            },
        )
    raise PriceMismatchError(log=f"price mismatch: {names}")


def confirm(gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str) -> Confirmation:
    """Carry the quote out, once: a second click or tab gets the first one's result.

    Raises NotFoundError, QuoteExpiredError, QuoteChangedError (with what changed, also when somebody else
    changed it; nothing was charged), UnpaidInvoiceError, SubscriptionEndsError, NoSubscriptionError,
    PaymentUnderWayError, PurchaseRefusedError, StillConfirmingError.
    """
    attempt, earlier = _known(workspace_id, quote_id)
    if attempt is not None:
        return _result_of(gateways, workspace_id, attempt.id)
    _refresh(gateways, workspace_id)
    _check(gateways, workspace_id, quote_id)
    if earlier is not None:
        change_attempts.abandon(gateways, workspace_id, earlier, "replaced")
        _check(gateways, workspace_id, quote_id)
    _check_with_stripe(gateways, workspace_id, quote_id)
    try:
        attempt_id, mine = _begin(gateways, workspace_id, user_id, quote_id)
    except IntegrityError as error:
        if "uq_attempt_live" not in str(error.orig):
            raise
        return _after_the_other(gateways, workspace_id, user_id, quote_id)
    if not mine:
        return _result_of(gateways, workspace_id, attempt_id)
    return change_attempts.carry_out(gateways, workspace_id, attempt_id)


def _known(workspace_id: int, quote_id: str) -> tuple[Attempt | None, str | None]:
    """The quote's own attempt if there is one, and an unpaid one that is in its way."""
    with unit_of_work(workspace_id) as session:
        quotes.load(session, quote_id, kind=quotes.CHANGE)
        attempt = attempts.of_quote(session, quote_id)
        if attempt is not None and attempt.state != attempt_states.REFUSED:
            return attempt, None
        live = attempts.live(session, quotes.CHANGE)
        waits = live is not None and live.state == attempt_states.AWAITING_PAYMENT
        return None, live.id if live is not None and waits else None


def _check(gateways: Gateways, workspace_id: int, quote_id: str) -> None:
    with unit_of_work(workspace_id) as session:
        _checked(session, gateways, quote_id)


def _checked(session: Session, gateways: Gateways, quote_id: str) -> None:
    quote = quotes.load(session, quote_id, lock=True)
    details = billing_details.current(session)
    if details is None:
        raise DetailsMissingError
    # what somebody else has changed is told first: it may be why nothing can be changed now
    now = gateways.clock.now()
    change_quotes.check(quote, holding(session), details=details, now=now)
    pays, plans = change_quotes.update_of(quote) is not None, change_quotes.ends_of(quote)
    _see_that_it_can_be_paid(session, _changeable(session), now, pays=pays, plans=plans)


def _check_with_stripe(gateways: Gateways, workspace_id: int, quote_id: str) -> None:
    """Whether Stripe would still charge what was quoted: price, discounts, tax, balance."""
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id)
    update = change_quotes.update_of(quote)
    if update is None or update.proration_date is None:
        return
    invoice = gateways.stripe.changes.preview(update)
    with unit_of_work(workspace_id) as session:
        rows = catalogs.keys_of_prices(session, [line.price_id for line in invoice.lines])
    keys = change_quotes.keys(quote, rows)
    found = change_matches.differences(change_matches.quoted(quote), invoice, keys)
    if found:
        # what somebody else has changed in this very moment is why, and says more
        _refresh(gateways, workspace_id)
        _check(gateways, workspace_id, quote_id)
        raise QuoteChangedError([Change(each.what, each.quoted, each.invoiced) for each in found])


def _begin(gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str) -> tuple[str, bool]:
    """Commit the intent; the attempt's id, and whether it is this call's to carry out."""
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id, lock=True)
        attempt = attempts.of_quote(session, quote_id)
        if attempt is not None and attempt.state != attempt_states.REFUSED:
            return attempt.id, False
        _checked(session, gateways, quote_id)
        live = attempts.live(session, quotes.CHANGE)
        if live is not None and live.state == attempt_states.PROCESSING:
            return change_attempts.decide(session, gateways, quote, user_id=user_id), False
        begun = attempts.begin(
            session, quote, user_id=user_id, now=gateways.clock.now(), step=attempt_states.RELEASE
        )
        begun.stripe_subscription_id = str((quote.terms or {})["subscription"])
        swap_purchases.begun(session, quote, user_id=user_id)
        return begun.id, True


def _after_the_other(
    gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str
) -> Confirmation:
    """Somebody confirmed something else at the same moment: wait for that, then say what it changed."""
    for _look in second_click.looks():
        with unit_of_work(workspace_id) as session:
            live = attempts.live(session, quotes.CHANGE)
        if live is None:
            return confirm(gateways, workspace_id, user_id, quote_id)
        if live.state != attempt_states.OPEN:
            raise PaymentUnderWayError
    raise StillConfirmingError(log="somebody else confirmed another change at the same time")


def _result_of(gateways: Gateways, workspace_id: int, attempt_id: str) -> Confirmation:
    """What the first click led to."""
    attempt = attempt_steps.wait_for(gateways, workspace_id, attempt_id, change_attempts.carry_out)
    return attempts.confirmation(gateways, attempt)
