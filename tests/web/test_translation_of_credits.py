"""No text about credits, swaps and what packs pay for reaches a person untranslated."""

from portal.services import limits
from portal.services.limits import Wanted
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.test_translation import app, apps, texts, untranslated

__all__ = ["app", "apps", "texts"]


def test_credits_before_and_after_a_pack_is_bought(buyer: Browser, customer: Customer) -> None:
    pages = [buyer.get("/credits"), buyer.get("/credits/buy"), buyer.get("/credits/automatic")]
    acme = Metered.buy(customer)
    credits = CreditBuyer(customer)
    pages += [buyer.get("/credits"), buyer.get("/credits?units=599"), buyer.get("/credits?units=x")]
    pages += [buyer.get("/credits/buy?units=599"), buyer.submit("/credits/buy", {"units": "9"})]
    quote = buyer.submit("/credits/buy", {"units": "600"}).location
    pages.append(buyer.get(quote))
    bought = f"/credits/buy/{credits.buy(100).quote_id}"
    acme.use(2)
    pages += [buyer.get(f"{bought}/done"), buyer.get(f"{bought}/refund"), buyer.get("/credits")]
    pages += [buyer.get("/credits/history"), buyer.get("/credits/history?before=1")]
    unused = f"/credits/buy/{credits.buy(100).quote_id}"
    pages += [buyer.get(f"{unused}/refund"), buyer.submit(f"{unused}/refund", follow_redirects=True)]
    pages.append(buyer.get("/credits"))

    assert [untranslated(page) for page in pages] == [[]] * len(pages)


def test_what_is_bought_by_itself(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    page = "/credits/automatic"
    wrong = {"enabled": "y", "below": "x", "units": "1", "most_times": "0", "most_amount": "-1"}
    right = {"enabled": "y", "below": "100", "units": "600", "most_times": "1", "most_amount": "1000"}
    pages = [
        buyer.get(page),
        buyer.submit(page, wrong | {"pause_hours": "0"}),
        buyer.submit(page, right | {"pause_hours": "24"}, follow_redirects=True),
    ]

    assert [untranslated(found) for found in pages] == [[]] * 3


def test_what_packs_pay_for(buyer: Browser, customer: Customer) -> None:
    acme = Metered.buy(customer)
    CreditBuyer(customer).buy(100)
    limits.save(customer.gateways, customer.workspace_id, None, Wanted(cap_amount=990, budget=5000))
    paid, *_others = [acme.resolve(f"c-{number:03}") for number in range(103)]
    pages = [buyer.get("/usage"), buyer.get("/usage/resolutions"), buyer.get("/usage/limits")]
    pages += [buyer.get(f"/usage/resolutions/{paid}/1"), buyer.get("/usage/resolutions/c-102/1")]
    pages += [buyer.get("/billing"), buyer.get("/billing/invoices/next")]

    assert [untranslated(page) for page in pages] == [[]] * 7


def test_swaps_and_what_keeps_from_them(buyer: Browser, customer: Customer) -> None:
    pages = [buyer.get("/billing/swap")]
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    customer.settle()
    queries = ("", "?seats=2", "?seats=0", "?seats=4&units=x")
    pages += [buyer.get(f"/billing/swap{query}") for query in queries]
    made = buyer.submit("/billing/swap", {"seats": "2", "units": "600"}, follow_redirects=True)
    pages += [made, buyer.submit("/billing/swap", {"seats": "0", "units": ""})]

    # what Stripe's invoice calls it
    called = "600 resolutions, annual credits"
    bare = [[text for text in untranslated(page) if text != called] for page in pages]

    assert bare == [[]] * 7
