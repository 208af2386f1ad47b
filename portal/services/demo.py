"""A customer to show things with: a login, a workspace, and a paid subscription on any catalogue."""

from dataclasses import dataclass

from sqlalchemy import func

from portal import pricing
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_words import Purchase
from portal.models import User
from portal.services import accounts, billing_details, catalogs, projections
from portal.services.billing_details import Details
from portal.services.ids import new_id

ADDRESS = {
    "line1": "510 Townsend St",
    "city": "San Francisco",
    "state": "CA",
    "postal_code": "94103",
    "country": "US",
}
SEATS = 8


@dataclass(frozen=True)
class DemoCustomer:
    """What was made."""

    workspace_id: int
    email: str
    subscription_id: str
    seats: int
    tier: str


def seed(gateways: Gateways, version: str, *, password_hash: str) -> DemoCustomer:
    """Make a customer that pays for eight seats of the first tier of catalogue ``version`` by the month.

    Raises pricing.PricingError for an unknown catalogue, UnavailableError before it was pushed.
    """
    catalog = pricing.catalog(version)
    tier = next(iter(catalog.tiers))
    mark = new_id("D").lower()
    email = f"{mark}@demo.example"
    company = f"Demo {version}"
    with unit_of_work() as session:
        prices = catalogs.prices_by_key(session, version)
        user = User(email=email, password=password_hash, active=True, fs_uniquifier=f"demo-{mark}")
        user.confirmed_at = func.now()
        session.add(user)
        workspace_id = accounts.open_workspace(session, user, company)
        user_id = user.id
    details = billing_details.save(gateways, workspace_id, user_id, Details(company, email, ADDRESS))
    selection = pricing.Selection(tier, SEATS, catalog.intervals[0])
    purchase = Purchase(
        customer_id=str(details.stripe_customer_id),
        items=catalogs.purchase_items(catalog, selection, {pricing.SEAT: SEATS}, prices),
        currency=catalog.currency,
        metadata={"workspace": str(workspace_id), "demo": mark},
    )
    made = gateways.stripe.demo.subscribe(purchase, key=mark)
    projections.refresh_subscription(gateways, made.id)
    return DemoCustomer(workspace_id, email, made.id, SEATS, tier)
