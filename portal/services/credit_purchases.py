"""Buying annual credits: a binding price first, then exactly what was quoted, paid like any open invoice.

Each verb opens its own units of work and speaks to Stripe between them; call none inside a transaction.
"""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, UnavailableError
from portal.gateways import Gateways
from portal.gateways.stripe_credits import MOST_UNUSED
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_invoices import NewLine
from portal.gateways.stripe_words import Invoice
from portal.models import Attempt, BillingDetails, CreditPurchase, Quote
from portal.pricing import packs
from portal.services import (
    attempt_states,
    attempt_steps,
    attempts,
    audit,
    billing_details,
    catalogs,
    credit_attempts,
    credit_matches,
    credit_quotes,
    incidents,
    matches,
    owed_invoices,
    payments,
    quotes,
)
from portal.services import credit_purchase_states as states
from portal.services.attempts import PurchaseRefusedError, StillConfirmingError
from portal.services.checkout import DetailsMissingError, PriceMismatchError
from portal.services.credit_purchase_kinds import PURCHASE
from portal.services.credit_quotes import Buyer
from portal.services.ids import new_id
from portal.services.payments import Payment
from portal.services.quotes import Change, QuoteChangedError
from portal.services.undoing import PaymentUnderWayError

__all__ = [
    "Buyer",
    "CreditsUnpaidError",
    "DetailsMissingError",
    "PaymentUnderWayError",
    "PriceMismatchError",
    "PurchaseRefusedError",
    "StillConfirmingError",
    "TooManyGrantsError",
    "buyer",
    "pay",
    "prepare",
]


class CreditsUnpaidError(ConflictError):
    """The last invoice is not paid; nothing is bought in advance before it is."""

    code = "unpaid_invoice"

    def __init__(self) -> None:
        super().__init__(N_("The last invoice is not paid yet. Pay it first; then you can buy credits."))


class TooManyGrantsError(ConflictError):
    """Stripe keeps no more packs for one customer."""

    code = "too_many_grants"

    def __init__(self) -> None:
        super().__init__(
            N_(
                "You hold a hundred packs with something left, which is as many as can be kept for you. Use"
                " one up first, or write to support. Nothing was charged."
            )
        )


@dataclass(frozen=True)
class Wanted:
    """What is to be bought, and why: ``kind`` is the purchase's, ``renewal_of`` the pack that ended."""

    units: int
    kind: str = PURCHASE
    renewal_of: str | None = None


def buyer(session: Session) -> Buyer:
    """What packs cost the entered workspace.

    Raises NoSubscriptionForCreditsError, SubscriptionEndsError, NoPacksError.
    """
    return credit_quotes.buyer(session, billing_details.current(session))


# --- the price ---------------------------------------------------------------------------------------


def prepare(gateways: Gateways, workspace_id: int, user_id: int | None, wanted: Wanted) -> str:
    """Make a binding quote of the pack to sell to who wants that many units; its id.

    It is never a pack that a larger one undercuts. Raises pricing.PricingError (param ``units``),
    NoSubscriptionForCreditsError, SubscriptionEndsError, NoPacksError, CreditsUnpaidError,
    DetailsMissingError, TooManyGrantsError, PaymentUnderWayError, PriceMismatchError (both sides are kept in
    an incident) and the gateway's errors.
    """
    held, pack = _begin_pack(gateways, workspace_id, user_id, wanted)
    with unit_of_work(workspace_id) as session:
        purchase = _open(session, held, pack, wanted, user_id)
    draft = _drafted(gateways, held, pack, purchase)
    balance = gateways.stripe.invoices.balance(held.customer_id)
    expected = matches.Expected(
        pack.currency,
        (matches.ExpectedLine(credit_quotes.LINE, 1, pack.total, 0, None),),
        None,
        None,
    )
    found = matches.differences(expected, draft, credit_matches.keys(draft))
    if found:
        _report_mismatch(gateways, workspace_id, pack, draft, found)
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase.id)
        quote = credit_quotes.store(
            session,
            purchase,
            held,
            draft,
            pack=pack,
            asked=wanted.units,
            balance=balance,
            now=gateways.clock.now(),
        )
        after: dict[str, object] = {"total": quote.total, "currency": quote.currency, "digest": quote.digest}
        audit.record(session, "quote.made", user_id=user_id, after=after, quote_id=quote.id)
        return quote.id


def _begin_pack(
    gateways: Gateways, workspace_id: int, user_id: int | None, wanted: Wanted
) -> tuple[Buyer, packs.Pack]:
    """Who buys and which pack, if one may be bought now; Stripe is asked how many there are."""
    with unit_of_work(workspace_id) as session:
        held = _ready(session)
        pack = held.offer(wanted.units).pack
        live = attempts.live(session, quotes.CREDITS)
    if live is not None and live.state == attempt_states.PROCESSING:
        raise PaymentUnderWayError
    now = int(gateways.clock.now().timestamp())
    if gateways.stripe.credits.unused(held.customer_id, now) >= MOST_UNUSED:
        raise TooManyGrantsError
    return held, pack


def _ready(session: Session) -> Buyer:
    """Who buys, if nothing is owed."""
    details = _details(session)
    held = credit_quotes.buyer(session, details)
    if owed_invoices.owed_since(session, held.subscription_id):
        raise CreditsUnpaidError
    return held


def _details(session: Session) -> BillingDetails:
    details = billing_details.current(session)
    if details is None or not details.address:
        raise DetailsMissingError
    return details


def _open(
    session: Session, held: Buyer, pack: packs.Pack, wanted: Wanted, user_id: int | None
) -> CreditPurchase:
    purchase = CreditPurchase(
        id=new_id("C"),
        kind=wanted.kind,
        state=states.OPEN,
        units=pack.units,
        catalog=pack.catalog,
        price_id=held.price_id,
        unit_amount=pack.unit_amount,
        percent_off=pack.percent_off,
        amount=pack.total,
        currency=pack.currency,
        renewal_of=wanted.renewal_of,
        created_by=user_id,
    )
    session.add(purchase)
    session.flush()
    return purchase


def _drafted(gateways: Gateways, held: Buyer, pack: packs.Pack, purchase: CreditPurchase) -> Invoice:
    """Stripe's draft of the very invoice, with its tax; it is noted before anything is put on it."""
    with unit_of_work(purchase.workspace_id) as session:
        row = catalogs.keys_of_prices(session, [held.price_id]).get(held.price_id)
    now = gateways.clock.now()
    starts_at, expires_at = held.span(now)
    try:
        made = gateways.stripe.invoices.create_draft(
            held.customer_id,
            pack.currency,
            purchase_order=held.purchase_order,
            description=credit_quotes.description(pack),
            metadata={"purchase": purchase.id, "workspace": str(purchase.workspace_id)},
            tax=True,
            key=f"{purchase.id}:draft",
        )
        with unit_of_work(purchase.workspace_id) as session:
            states.locked(session, purchase.id).stripe_invoice_id = made.id
        line = NewLine(
            description=credit_quotes.description(pack),
            amount=pack.total,
            product_id=row.stripe_product_id if row else None,
            period_start=int(starts_at.timestamp()),
            period_end=int(expires_at.timestamp()),
            metadata={"purchase": purchase.id, "units": str(pack.units)},
        )
        gateways.stripe.invoices.add_lines(made.id, pack.currency, [line], key=f"{purchase.id}:lines")
    except StripeRefusedError as refusal:
        if refusal.stripe_code == "customer_tax_location_invalid":
            raise DetailsMissingError from refusal
        raise
    draft = gateways.stripe.invoice(made.id)
    if draft.tax_status == "requires_location_inputs":
        raise DetailsMissingError
    if draft.tax_status == "failed":
        raise UnavailableError(
            N_("Tax cannot be reckoned right now. Try again in a minute."), log="tax failed"
        )
    return draft


def _report_mismatch(
    gateways: Gateways,
    workspace_id: int,
    pack: packs.Pack,
    draft: Invoice,
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
            summary=f"Our price of a pack and Stripe's draft differ: {names}",
            details={
                "ours": pack.as_dict(explain=True),
                "stripe": quotes.evidence(draft),
                "differences": [each.as_dict() for each in found],
            },
        )
    raise PriceMismatchError(log=f"price mismatch: {names}")


# --- confirming and paying ---------------------------------------------------------------------------


def pay(
    gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str, method_id: str | None
) -> Payment:
    """Carry the quote out, once, and pay it from a stored method; without one, what the browser pays with.

    A second click or tab gets the first one's result. Where the balance pays all of it nothing is left to
    do. Raises NotFoundError, QuoteExpiredError, QuoteChangedError (with what changed; nothing was charged),
    PurchaseRefusedError, PaymentUnderWayError, StillConfirmingError, and what ``payments.pay`` raises.
    """
    attempt = _confirmed(gateways, workspace_id, user_id, quote_id)
    if attempt.collect != "payment":
        return Payment("paid")
    return payments.pay(gateways, workspace_id, user_id, str(attempt.stripe_invoice_id), method_id)


def _confirmed(gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str) -> Attempt:
    """The quote's attempt, with its invoice final and compared."""
    known, earlier = _known(workspace_id, quote_id)
    if known is not None:
        return _result_of(gateways, workspace_id, known.id)
    _check(gateways, workspace_id, quote_id)
    if earlier is not None:
        credit_attempts.abandon(gateways, workspace_id, earlier, "replaced")
    _check_with_stripe(gateways, workspace_id, quote_id)
    try:
        attempt_id, mine = _begin(gateways, workspace_id, user_id, quote_id)
    except IntegrityError as error:
        if "uq_attempt_live" not in str(error.orig):
            raise
        raise StillConfirmingError(log="another tab confirmed another pack at the same time") from error
    if not mine:
        return _result_of(gateways, workspace_id, attempt_id)
    credit_attempts.carry_out(gateways, workspace_id, attempt_id)
    return _attempt(workspace_id, attempt_id)


def _attempt(workspace_id: int, attempt_id: str) -> Attempt:
    with unit_of_work(workspace_id) as session:
        return attempts.get(session, attempt_id)


def _known(workspace_id: int, quote_id: str) -> tuple[Attempt | None, str | None]:
    """The quote's own attempt if there is one, and an unpaid one of another pack that is in its way."""
    with unit_of_work(workspace_id) as session:
        quotes.load(session, quote_id, kind=quotes.CREDITS)
        attempt = attempts.of_quote(session, quote_id)
        if attempt is not None and attempt.state != attempt_states.REFUSED:
            return attempt, None
        live = attempts.live(session, quotes.CREDITS)
    if live is not None and live.state == attempt_states.PROCESSING:
        raise PaymentUnderWayError
    return None, live.id if live else None


def _check(gateways: Gateways, workspace_id: int, quote_id: str) -> None:
    with unit_of_work(workspace_id) as session:
        _checked(session, gateways, quote_id)


def _checked(session: Session, gateways: Gateways, quote_id: str) -> Quote:
    quote = quotes.load(session, quote_id, lock=True, kind=quotes.CREDITS)
    held = _ready(session)
    credit_quotes.check(quote, held, details=_details(session), now=gateways.clock.now())
    return quote


def _check_with_stripe(gateways: Gateways, workspace_id: int, quote_id: str) -> None:
    """Whether Stripe would still charge what was quoted: price, tax, balance."""
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id)
    draft = gateways.stripe.invoice(str((quote.terms or {})["draft"]))
    balance = gateways.stripe.invoices.balance(str(quote.billing["customer"]))
    expected = matches.quoted(quote)
    found = matches.differences(
        matches.Expected(expected.currency, expected.lines, expected.tax, None),
        draft,
        credit_matches.keys(draft),
    )
    due = credit_quotes.due(draft.total, balance, draft.currency)
    if due != quote.amount_due:
        found.append(matches.difference("amount_due", quote.amount_due, due, "amount_due"))
    if found:
        raise QuoteChangedError([Change(each.what, each.quoted, each.invoiced) for each in found])


def _begin(gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str) -> tuple[str, bool]:
    """Commit the intent; the attempt's id, and whether it is this call's to carry out."""
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id, lock=True)
        attempt = attempts.of_quote(session, quote_id)
        if attempt is not None and attempt.state != attempt_states.REFUSED:
            return attempt.id, False
        _checked(session, gateways, quote_id)
        begun = attempts.begin(
            session, quote, user_id=user_id, now=gateways.clock.now(), step=attempt_states.FINALIZE
        )
        purchase = states.locked(session, str((quote.terms or {})["purchase"]))
        states.move(session, purchase, states.PAYING, user_id=user_id)
        return begun.id, True


def _result_of(gateways: Gateways, workspace_id: int, attempt_id: str) -> Attempt:
    """What the first click led to, with its invoice final and compared."""
    attempt = attempt_steps.wait_for(
        gateways, workspace_id, attempt_id, credit_attempts.carry_out, decided=_is_final
    )
    if attempt.state in (attempt_states.ABANDONED, attempt_states.FAILED):
        raise attempts.gone(attempt)
    return attempt


def _is_final(attempt: Attempt) -> bool:
    return attempt.state != attempt_states.OPEN or attempt.step == attempt_states.COLLECT
