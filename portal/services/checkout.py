"""From a selection to an active subscription: the verbs of the checkout pages.

Each verb opens its own units of work and speaks to Stripe between them; call none inside a transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.errors import N_, ConflictError, UnavailableError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_words import Invoice, Purchase
from portal.models import Attempt, BillingDetails, CatalogPrice
from portal.services import (
    attempt_states,
    attempt_steps,
    attempts,
    audit,
    billing_details,
    catalogs,
    incidents,
    matches,
    promotions,
    quotes,
    subscriptions,
)
from portal.services.attempts import Confirmation, PurchaseRefusedError, StillConfirmingError
from portal.services.billing_details import Details, DetailsError
from portal.services.ids import new_id
from portal.services.promotions import PromotionCodeError
from portal.services.quotes import Change, QuoteChangedError, QuoteExpiredError
from portal.services.undoing import PaymentUnderWayError
from portal.services.waiting import PurchaseState, state

__all__ = [
    "AlreadySubscribedError",
    "Change",
    "Confirmation",
    "Details",
    "DetailsError",
    "DetailsMissingError",
    "PaymentUnderWayError",
    "PriceMismatchError",
    "PromotionCodeError",
    "PurchaseRefusedError",
    "PurchaseState",
    "QuoteChangedError",
    "QuoteExpiredError",
    "StillConfirmingError",
    "TrialUsedError",
    "confirm",
    "prepare",
    "save_details",
    "state",
]


class AlreadySubscribedError(ConflictError):
    """The workspace has a subscription; it is changed, not bought again."""

    code = "already_subscribed"

    def __init__(self) -> None:
        super().__init__(N_("This workspace has a subscription already. Change it on the billing page."))


class TrialUsedError(ConflictError):
    """A trial is given once per workspace."""

    code = "trial_used"

    def __init__(self) -> None:
        super().__init__(N_("This workspace has had its trial. You can buy without one."))


class DetailsMissingError(ConflictError):
    """Tax and invoice need company, e-mail and address first."""

    code = "details_missing"

    def __init__(self) -> None:
        super().__init__(N_("Fill in company and address first; tax depends on them."))


class PriceMismatchError(UnavailableError):
    """Our price and Stripe's are not the same to the cent, so nothing is sold; support has been told."""

    code = "price_mismatch"

    def __init__(self, log: str) -> None:
        super().__init__(
            N_(
                "The price could not be verified, so nothing can be bought right now. We are looking into it."
            ),
            log=log,
        )


save_details = billing_details.save


@dataclass(frozen=True)
class _Basket:
    """What is to be priced, read from our rows in one transaction."""

    selection: pricing.Selection
    catalog: pricing.Catalog
    prices: Mapping[str, CatalogPrice]
    billing: dict[str, object]
    customer_id: str
    trial_days: int

    def products(self, quote: pricing.Quote) -> dict[str, str]:
        """Line key → Stripe's product id."""
        return {line.key: self._price(line.key).stripe_product_id for line in quote.lines}

    def keys(self, quote: pricing.Quote) -> dict[str, str]:
        """Stripe's price id → line key."""
        return {self._price(line.key).stripe_price_id: line.key for line in quote.lines}

    def _price(self, key: str) -> CatalogPrice:
        chosen = self.selection
        return self.prices[catalogs.lookup_key(self.catalog, key, chosen.tier, chosen.interval)]

    def purchase(self, quote: pricing.Quote, promotion: promotions.Promotion | None) -> Purchase:
        """The same purchase in Stripe's terms, priced as after a trial."""
        quantities = {line.key: line.quantity for line in quote.lines}
        return Purchase(
            customer_id=self.customer_id,
            items=catalogs.purchase_items(self.catalog, self.selection, quantities, self.prices),
            currency=quote.currency,
            promotion_code_id=promotion.source.id if promotion else None,
        )


def prepare(
    gateways: Gateways,
    workspace_id: int,
    user_id: int | None,
    selection: pricing.Selection,
    *,
    promotion_code: str | None = None,
    trial: bool = False,
) -> str:
    """Make a binding quote of ``selection`` and return its id; ours and Stripe's price agree to the cent.

    Raises pricing.PricingError, DetailsMissingError, AlreadySubscribedError, TrialUsedError,
    PromotionCodeError, PriceMismatchError (both sides are kept in an incident) and the gateway's errors.
    """
    basket = _basket(gateways, workspace_id, selection, trial=trial)
    priced = pricing.quote(selection, catalog=basket.catalog, currency=basket.catalog.currency)
    promotion = _promotion(gateways, workspace_id, basket, priced, promotion_code)
    if promotion is not None:
        priced = pricing.quote(
            selection, catalog=basket.catalog, currency=priced.currency, discounts=promotion.discounts
        )
    invoice = _preview(gateways, basket.purchase(priced, promotion))
    keys = basket.keys(priced)
    found = matches.differences(matches.priced(priced), invoice, keys)
    if found:
        _report_mismatch(gateways, workspace_id, priced, invoice, found)
    offer = quotes.Offer(selection, priced, invoice, keys, basket.billing, promotion, basket.trial_days)
    with unit_of_work(workspace_id) as session:
        quote = quotes.store(session, offer, user_id=user_id, now=gateways.clock.now())
        after: dict[str, object] = {"total": quote.total, "currency": quote.currency, "digest": quote.digest}
        audit.record(session, "quote.made", user_id=user_id, after=after, quote_id=quote.id)
        return quote.id


def _promotion(
    gateways: Gateways, workspace_id: int, basket: _Basket, priced: pricing.Quote, code: str | None
) -> promotions.Promotion | None:
    if not code or not code.strip():
        return None
    try:
        return promotions.look_up(
            gateways,
            code,
            quote=priced,
            products=basket.products(priced),
            customer_id=basket.customer_id,
            trial=basket.trial_days > 0,
        )
    except promotions.UnknownCodeError as unknown:
        with unit_of_work(workspace_id) as session:
            why = promotions.own_use(session, code)
        if why is None:
            raise
        raise PromotionCodeError(why) from unknown


def _basket(gateways: Gateways, workspace_id: int, selection: pricing.Selection, *, trial: bool) -> _Basket:
    catalog = pricing.catalog(gateways.settings.default_catalog)
    with unit_of_work(workspace_id) as session:
        details = _ready(session)
        if trial and (details.trial_used_at is not None or catalog.trial is None):
            raise TrialUsedError
        return _Basket(
            selection=selection,
            catalog=catalog,
            prices=catalogs.prices_by_key(session, catalog.version),
            billing=quotes.billing_facts(details),
            customer_id=str(details.stripe_customer_id),
            trial_days=catalog.trial.days if trial and catalog.trial else 0,
        )


def _ready(session: Session) -> BillingDetails:
    """The details of a workspace that may buy."""
    if subscriptions.bought(session) is not None:
        raise AlreadySubscribedError
    details = billing_details.current(session)
    if details is None or details.stripe_customer_id is None or not details.address:
        raise DetailsMissingError
    return details


def _preview(gateways: Gateways, purchase: Purchase) -> Invoice:
    try:
        invoice = gateways.stripe.preview(purchase)
    except StripeRefusedError as refusal:
        if refusal.stripe_code == "customer_tax_location_invalid":
            raise DetailsMissingError from refusal
        if purchase.promotion_code_id and (refusal.param or "").startswith("discounts"):
            raise PromotionCodeError(refusal.message, log=str(refusal)) from refusal
        raise
    if invoice.tax_status == "requires_location_inputs":
        raise DetailsMissingError
    if invoice.tax_status == "failed":
        raise UnavailableError(
            N_("Tax cannot be reckoned right now. Try again in a minute."), log="tax failed"
        )
    return invoice


def _report_mismatch(
    gateways: Gateways,
    workspace_id: int,
    priced: pricing.Quote,
    invoice: Invoice,
    found: list[matches.Difference],
) -> None:
    details: dict[str, object] = {
        "ours": priced.as_dict(),
        "stripe": quotes.evidence(invoice),
        "differences": [each.as_dict() for each in found],
    }
    names = ", ".join(each.what for each in found)
    with unit_of_work(workspace_id) as session:
        incidents.report(
            session,
            gateways,
            "price_mismatch",
            dedupe_key=f"price_mismatch:{new_id('M')}",
            workspace_id=workspace_id,
            summary=f"Our price and Stripe's preview differ: {names}",
            details=details,
        )
    raise PriceMismatchError(log=f"price mismatch: {names}")


def confirm(gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str) -> Confirmation:
    """Carry the quote out, once: a second click or tab gets the first one's result.

    Raises NotFoundError, QuoteExpiredError, QuoteChangedError (with what changed; nothing was charged),
    AlreadySubscribedError, PaymentUnderWayError, PurchaseRefusedError, StillConfirmingError.
    """
    attempt, earlier, purchase = _checked(gateways, workspace_id, quote_id)
    if attempt is not None:
        return _result_of(gateways, workspace_id, attempt.id)
    if earlier is not None:
        attempts.abandon(gateways, workspace_id, earlier, "replaced")
    _check_with_stripe(gateways, workspace_id, quote_id, purchase)
    try:
        attempt_id, mine = _begin(gateways, workspace_id, user_id, quote_id)
    except IntegrityError as error:
        if "uq_attempt_live" not in str(error.orig):
            raise
        raise StillConfirmingError(log="another tab confirmed something else at the same time") from error
    if not mine:
        return _result_of(gateways, workspace_id, attempt_id)
    return attempts.carry_out(gateways, workspace_id, attempt_id)


def _checked(
    gateways: Gateways, workspace_id: int, quote_id: str
) -> tuple[Attempt | None, str | None, Purchase]:
    """The quote's own attempt if there is one, an earlier attempt that is in the way, and what to buy."""
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id, lock=True, kind=quotes.FIRST_PURCHASE)
        purchase = attempts.purchase(session, quote)
        attempt = attempts.of_quote(session, quote_id)
        if attempt is not None and attempt.state != attempt_states.REFUSED:
            return attempt, None, purchase
        quotes.check(
            quote,
            details=_ready(session),
            catalog=gateways.settings.default_catalog,
            now=gateways.clock.now(),
        )
        live = attempts.live(session)
        return None, live.id if live else None, purchase


def _check_with_stripe(gateways: Gateways, workspace_id: int, quote_id: str, purchase: Purchase) -> None:
    """Whether Stripe would still charge what was quoted: price, promotion, tax, balance."""
    try:
        invoice = _preview(gateways, purchase)
    except PromotionCodeError as error:
        raise QuoteChangedError([Change("promotion", "valid", error.message)]) from error
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id)
        rows = catalogs.keys_of_prices(session, [line.price_id for line in invoice.lines])
        found = matches.differences(
            matches.quoted(quote, after_trial=True), invoice, {pid: row.key for pid, row in rows.items()}
        )
    if found:
        raise QuoteChangedError([Change(each.what, each.quoted, each.invoiced) for each in found])


def _begin(gateways: Gateways, workspace_id: int, user_id: int | None, quote_id: str) -> tuple[str, bool]:
    """Commit the intent; the attempt's id, and whether it is this call's to carry out."""
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id, lock=True)
        attempt = attempts.of_quote(session, quote_id)
        if attempt is not None and attempt.state != attempt_states.REFUSED:
            return attempt.id, False
        now = gateways.clock.now()
        quotes.check(quote, details=_ready(session), catalog=gateways.settings.default_catalog, now=now)
        return attempts.begin(session, quote, user_id=user_id, now=now).id, True


def _result_of(gateways: Gateways, workspace_id: int, attempt_id: str) -> Confirmation:
    """What the first click led to."""
    attempt = attempt_steps.wait_for(gateways, workspace_id, attempt_id, attempts.carry_out)
    return attempts.confirmation(gateways, attempt)
