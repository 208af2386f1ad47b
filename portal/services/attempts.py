"""Carrying out a confirmed quote: intent, commit, call, result; and undoing one that is not wanted any more.

An attempt is a row with steps. Whoever works on it claims it for as long as one call to Stripe can take, so a
crash frees it; every step can be done again, under the key ``<attempt>:<step>``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.errors import N_, ConflictError, UnavailableError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.gateways.stripe_words import Intent, Invoice, Purchase, Subscription
from portal.models import Attempt, Quote
from portal.read_ahead import first
from portal.services import attempt_states as states
from portal.services import audit, catalogs, incidents, matches, projections, quotes, undoing
from portal.services.ids import new_id

# Stripe keeps a key for 24 hours; after that only reading tells what was done
KEY_LIFETIME = timedelta(hours=23)


class StillConfirmingError(UnavailableError):
    """It is not known yet what Stripe did; the attempt goes on by itself, and nothing is done twice."""

    code = "still_confirming"

    def __init__(self, log: str | None = None) -> None:
        super().__init__(N_("Your purchase is being confirmed. This page updates by itself."), log=log)


class PurchaseRefusedError(ConflictError):
    """Stripe said a definite no before anything was charged."""

    code = "purchase_refused"


@dataclass(frozen=True)
class Confirmation:
    """What the browser has to do: confirm a ``payment`` or a ``setup`` with the secret, or ``nothing``."""

    collect: str
    client_secret: str | None
    attempt_id: str


def begin(
    session: Session,
    quote: Quote,
    *,
    user_id: int | None,
    now: datetime,
    step: str = states.CREATE,
    state: str = states.OPEN,
) -> Attempt:
    """The attempt that carries ``quote`` out, claimed by the caller; one of a kind is live in a workspace."""
    # claims and sweepers go by the database's time, the purchase's own lifetime by the gateway's
    moment = states.database_time(session)
    attempt = Attempt(
        id=new_id("A"),
        quote_id=quote.id,
        kind=quote.kind,
        state=state,
        step=step,
        created_by=user_id,
        created_at=now,
        updated_at=moment,
        claimed_until=moment + states.CLAIM,
    )
    session.add(attempt)
    quote.confirmed_at = now
    audit.record(
        session, "quote.confirmed", user_id=user_id, after={"attempt": attempt.id}, quote_id=quote.id
    )
    session.flush()
    return attempt


_OF_QUOTE = (
    select(Attempt)
    .where(Attempt.quote_id == bindparam("quote_id"))
    .order_by((Attempt.state == states.REFUSED).asc(), Attempt.created_at.desc())
    .limit(1)
)
UNPAID = (
    select(Quote)
    .join(Attempt, (Attempt.workspace_id == Quote.workspace_id) & (Attempt.quote_id == Quote.id))
    .where(Attempt.kind.in_((quotes.FIRST_PURCHASE, quotes.CHANGE)))
    .where(Attempt.state == states.AWAITING_PAYMENT)
    .order_by(Attempt.kind == quotes.CHANGE)
    .limit(1)
)


ON_ITS_WAY = (
    select(Quote)
    .join(Attempt, (Attempt.workspace_id == Quote.workspace_id) & (Attempt.quote_id == Quote.id))
    .where(Attempt.kind == quotes.CHANGE, Attempt.state == states.PROCESSING)
    .limit(1)
)


def of_quote(session: Session, quote_id: str) -> Attempt | None:
    """The quote's attempt that counts: the one that was not refused, else the last refusal."""
    return session.scalars(_OF_QUOTE, {"quote_id": quote_id}).first()


def get(session: Session, attempt_id: str) -> Attempt:
    """One attempt of the entered workspace."""
    return session.scalars(select(Attempt).where(Attempt.id == attempt_id)).one()


def live(session: Session, kind: str = quotes.FIRST_PURCHASE) -> Attempt | None:
    """The workspace's attempt of that kind that is neither finished nor given up."""
    return session.scalars(
        select(Attempt).where(Attempt.kind == kind, Attempt.state.in_(states.LIVE))
    ).first()


def unpaid(session: Session) -> Quote | None:
    """The quote of a first purchase, or else of a change, that was confirmed and waits for its payment."""
    return first(session, UNPAID)


def on_its_way(session: Session) -> Quote | None:
    """The quote of a change whose bank debit is on its way; what it adds does not count before."""
    return first(session, ON_ITS_WAY)


def quote_to_pay(session: Session, invoice_id: str) -> Quote | None:
    """The quote of a first purchase or a change whose payment the open invoice waits for."""
    return session.scalars(UNPAID.where(Attempt.stripe_invoice_id == invoice_id)).first()


def carry_out(gateways: Gateways, workspace_id: int, attempt_id: str) -> Confirmation:
    """Take a claimed attempt as far as the browser's part, and let it go.

    Raises StillConfirmingError (unknown result), PurchaseRefusedError (definite no) or QuoteChangedError
    (Stripe's invoice is not what was quoted: everything is undone, nothing was charged).
    """
    try:
        attempt, quote = _load(workspace_id, attempt_id)
        if attempt.step == states.CREATE:
            subscription = _created(gateways, attempt, quote)
            _note_subscription(workspace_id, attempt_id, subscription)
            attempt, quote = _load(workspace_id, attempt_id)
        if attempt.step == states.COMPARE:
            _compare(gateways, attempt, quote)
            attempt, quote = _load(workspace_id, attempt_id)
        if attempt.step in states.UNDOING:
            undoing.undo(gateways, workspace_id, attempt_id)
            raise gone(attempt)
        if attempt.collect == "nothing" and attempt.stripe_subscription_id:
            projections.refresh_subscription(gateways, attempt.stripe_subscription_id)
        return confirmation(gateways, attempt)
    finally:
        states.release(workspace_id, attempt_id)


def confirmation(gateways: Gateways, attempt: Attempt) -> Confirmation:
    """What is left for the browser; the secret is read from Stripe, never kept."""
    if attempt.state in (states.REFUSED, states.ABANDONED, states.FAILED):
        raise gone(attempt)
    if attempt.stripe_intent_id is None or attempt.collect not in ("payment", "setup"):
        return Confirmation("nothing", None, attempt.id)
    read = gateways.stripe.payment_intent if attempt.collect == "payment" else gateways.stripe.setup_intent
    intent = read(attempt.stripe_intent_id)
    if intent.status == "succeeded" or intent.status == "processing":
        return Confirmation("nothing", None, attempt.id)
    return Confirmation(attempt.collect, intent.client_secret, attempt.id)


def gone(attempt: Attempt) -> ConflictError:
    """Why an attempt that has ended gives the browser nothing to confirm."""
    error = attempt.error or {}
    found = error.get("differences")
    if isinstance(found, list):
        return quotes.QuoteChangedError(
            [quotes.Change(each["what"], each["quoted"], each["invoiced"]) for each in found]
        )
    message = str(error.get("message") or N_("This purchase was not completed. Nothing was charged."))
    return PurchaseRefusedError(message, log=f"attempt {attempt.id} is {attempt.state}")


def _load(workspace_id: int, attempt_id: str) -> tuple[Attempt, Quote]:
    with unit_of_work(workspace_id) as session:
        attempt = get(session, attempt_id)
        return attempt, quotes.load(session, attempt.quote_id)


def abandon(gateways: Gateways, workspace_id: int, attempt_id: str, reason: str) -> None:
    """Give a live attempt up: its invoice can no longer be paid, its subscription is cancelled.

    ``reason``: replaced, expired or cancelled. Raises PaymentUnderWayError when money is on its way or has
    come; StillConfirmingError while somebody works on it or Stripe does not answer.
    """
    if not states.claim(workspace_id, attempt_id):
        raise StillConfirmingError(log=f"attempt {attempt_id} is being worked on")
    try:
        attempt, quote = _load(workspace_id, attempt_id)
        if attempt.state not in states.LIVE:
            return
        if attempt.step == states.CREATE:
            _note_subscription(workspace_id, attempt_id, _created(gateways, attempt, quote))
        undoing.start(workspace_id, attempt_id, reason)
        undoing.undo(gateways, workspace_id, attempt_id)
    except PurchaseRefusedError:
        return  # it had never come into being
    except StripeUnknownError as unknown:
        raise StillConfirmingError(log=str(unknown)) from unknown
    finally:
        states.release(workspace_id, attempt_id)


# --- step: create_subscription ---------------------------------------------------------------------


def purchase(session: Session, quote: Quote, attempt_id: str | None = None) -> Purchase:
    """What the quote asks of Stripe; with an attempt, marked so that it can be found again."""
    catalog = pricing.catalog(quote.catalog)
    selection = pricing.Selection.from_dict(quote.selection)
    quantities = {str(line["key"]): int(str(line["quantity"])) for line in quote.lines}
    metadata = {"workspace": str(quote.workspace_id), "quote": quote.id}
    return Purchase(
        customer_id=str(quote.billing["customer"]),
        items=catalogs.purchase_items(
            catalog, selection, quantities, catalogs.prices_by_key(session, quote.catalog)
        ),
        currency=quote.currency,
        promotion_code_id=str(quote.promotion["promotion_code"]) if quote.promotion else None,
        trial_days=quote.trial_days,
        metadata=metadata | ({"attempt": attempt_id} if attempt_id else {}),
    )


def _created(gateways: Gateways, attempt: Attempt, quote: Quote) -> Subscription:
    with unit_of_work(quote.workspace_id) as session:
        wanted = purchase(session, quote, attempt.id)
    if gateways.clock.now() - attempt.created_at > KEY_LIFETIME:
        found = gateways.stripe.find_subscription(wanted.customer_id, "attempt", attempt.id)
        if found is not None:
            return found
        states.close(quote.workspace_id, attempt.id, states.ABANDONED, {"code": "expired"})
        raise PurchaseRefusedError(N_("This purchase was not completed in time. Nothing was charged."))
    try:
        return gateways.stripe.create_subscription(wanted, key=f"{attempt.id}:{states.CREATE}")
    except StripeRefusedError as refusal:
        error: dict[str, object] = {
            "code": refusal.stripe_code,
            "decline_code": refusal.decline_code,
            "message": refusal.message,
        }
        states.close(quote.workspace_id, attempt.id, states.REFUSED, error)
        raise PurchaseRefusedError(refusal.message, log=str(refusal), param=refusal.param) from refusal
    except StripeUnknownError as unknown:
        raise StillConfirmingError(log=str(unknown)) from unknown


def _note_subscription(workspace_id: int, attempt_id: str, subscription: Subscription) -> None:
    with unit_of_work(workspace_id) as session:
        attempt = states.locked(session, attempt_id)
        if attempt.step != states.CREATE:
            return
        attempt.stripe_subscription_id = subscription.id
        attempt.stripe_invoice_id = subscription.latest_invoice_id
        states.advance(session, attempt, states.COMPARE)


# --- step: compare -----------------------------------------------------------------------------------


def _compare(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """Hold the invoice against the quote before anybody can pay it."""
    invoice = gateways.stripe.invoice(attempt.stripe_invoice_id) if attempt.stripe_invoice_id else None
    setup = None
    if invoice is None or invoice.client_secret is None:
        subscription = gateways.stripe.subscription(str(attempt.stripe_subscription_id))
        if subscription.setup_intent_id:
            setup = gateways.stripe.setup_intent(subscription.setup_intent_id)
    with unit_of_work(quote.workspace_id) as session:
        attempt = states.locked(session, attempt.id)
        if attempt.step != states.COMPARE:
            return
        found = _differences(session, quote, invoice)
        if found:
            states.advance(session, attempt, states.VOID)
            note_mismatch(session, gateways, attempt, quote, invoice, found)
        else:
            _collect(session, attempt, invoice, setup)


def _differences(session: Session, quote: Quote, invoice: Invoice | None) -> list[matches.Difference]:
    if invoice is None:
        return []
    rows = catalogs.keys_of_prices(session, [line.price_id for line in invoice.lines])
    keys = {price_id: row.key for price_id, row in rows.items()}
    found = matches.differences(matches.quoted(quote), invoice, keys)
    matches.record(session, quote.id, invoice.id, matches.BEFORE_PAYMENT, found)
    return found


def note_mismatch(
    session: Session,
    gateways: Gateways,
    attempt: Attempt,
    quote: Quote,
    invoice: Invoice | None,
    found: list[matches.Difference],
) -> None:
    """The invoice is not what was promised: the attempt ends for that, its quote is over, support is told.

    The caller lets the attempt's next step void the invoice.
    """
    differences = [each.as_dict() for each in found]
    attempt.error = {"code": "mismatch", "differences": differences}
    quote.replaced_at = quote.replaced_at or gateways.clock.now()
    incidents.report(
        session,
        gateways,
        "invoice_mismatch",
        dedupe_key=f"invoice_mismatch:{attempt.id}",
        workspace_id=quote.workspace_id,
        summary=f"Stripe's invoice was not what quote {quote.id} promised; it is voided, nothing was charged",
        details={
            "quote": quote.id,
            "attempt": attempt.id,
            "differences": differences,
            "invoice": quotes.evidence(invoice) if invoice else None,
        },
    )


def _collect(session: Session, attempt: Attempt, invoice: Invoice | None, setup: Intent | None) -> None:
    attempt.step = states.COLLECT
    if invoice is not None and invoice.client_secret is not None:
        attempt.collect, attempt.stripe_intent_id = "payment", invoice.intent_id
    elif setup is not None:
        attempt.collect, attempt.stripe_intent_id = "setup", setup.id
    else:
        attempt.collect = "nothing"
    states.move(session, attempt, states.AWAITING_PAYMENT, actor=audit.SYSTEM)
