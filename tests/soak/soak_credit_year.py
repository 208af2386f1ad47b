"""A year with annual credits on what ``make run`` starts: twelve months billed, packs, a swap, a refund.

It is played as the world plays it: forms and the API over HTTP, ``flask`` as support has it, the sandbox's
clock and Stripe's own SDK. At its end every unit and every cent is accounted for, on all sides alike.
"""

import itertools
import re
from datetime import datetime, timedelta
from typing import Any

import stripe

from tests.credit_books import Books, Reader
from tests.stack import Stack
from tests.visiting import Visitor, wait_for

ADDRESS = {
    "company_name": "Acme Inc",
    "line1": "510 Townsend St",
    "city": "San Francisco",
    "state": "CA",
    "postal_code": "94103",
    "country": "US",
}
TWELVE = "/checkout?tier=advanced&seats=12&interval=month"
FINAL = timedelta(hours=2)


class Year:
    """The company on its way: what it does, and that everybody has heard of it before time goes on."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.visitor = Visitor(stack)
        self._numbers = itertools.count(1)
        quote = self.visitor.submit(TWELVE, **ADDRESS, email=self.visitor.email, start="now")
        asked = self.visitor.ask(f"{quote}/confirm", {}, page=quote)
        stack.stripe.v1.payment_intents.confirm(
            asked["client_secret"].split("_secret_")[0],
            {"payment_method": "pm_card_visa", "return_url": stack.url},
        )
        wait_for("the subscription", lambda: self.state(quote) == "active")
        self.visitor.make_key()
        [customer] = stack.stripe.v1.customers.list({"email": self.visitor.email}).data
        self.customer = customer.id
        [subscription] = stack.stripe.v1.subscriptions.list({"customer": customer.id}).data
        self.subscription = subscription.id
        self.workspace = str((customer.metadata or {})["workspace"])
        # a moment after the purchase, so that what is used is within its month
        self.pass_time(timedelta(days=1))

    # --- time ----------------------------------------------------------------------------------------

    def now(self) -> int:
        return int(self.stack.sandbox("clock")["now"])

    def pass_time(self, delta: timedelta) -> None:
        self.stack.advance(int(delta.total_seconds()))

    def go_to(self, moment: str | datetime, after: timedelta = timedelta(0)) -> None:
        """Time passes up to a moment that the API has told, or to some time after it."""
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        self.pass_time(timedelta(seconds=int((at + after).timestamp()) - self.now()))

    def month(self) -> dict[str, Any]:
        """The month that it is."""
        return dict(self.visitor.api("/usage")["period"])

    def bill(self) -> dict[str, Any]:
        """The month ends and is billed; what it came to."""
        month = self.month()
        self.go_to(month["ends_at"], -timedelta(minutes=20))
        self.reported()
        self.go_to(month["ends_at"], FINAL)

        def billed() -> dict[str, Any] | None:
            listed = self.visitor.api("/usage")["periods"]
            return next((p for p in listed if p["starts_at"] == month["starts_at"] and p["invoice"]), None)

        wait_for("the month's invoice", billed)
        wait_for("the next month", lambda: self.month()["starts_at"] == month["ends_at"])
        return billed() or {}

    # --- usage ---------------------------------------------------------------------------------------

    def use(self, count: int) -> list[str]:
        """So many customers say that it helped; their conversations."""
        conversations = [f"c{next(self._numbers)}" for _ in range(count)]
        steps = (("ai_answered", 2), ("customer_confirmed", 1))
        events = [self._event(name, kind, ago) for name in conversations for kind, ago in steps]
        answer = self.visitor.api("/events", events)
        assert answer["accepted"] == len(events), answer
        return conversations

    def returns(self, conversation: str) -> None:
        """A customer comes back to a conversation."""
        assert self.visitor.api("/events", [self._event(conversation, "reopened", 0)])["accepted"] == 1

    def _event(self, conversation: str, kind: str, seconds_ago: int) -> dict[str, str]:
        at = datetime.fromtimestamp(self.now() - seconds_ago).astimezone()
        return {
            "id": f"{conversation}-{kind}",
            "conversation_id": conversation,
            "type": kind,
            "occurred_at": at.isoformat(),
            "channel": "chat",
        }

    def reported(self) -> None:
        """Wait until Stripe's next invoice bills as many as we charge."""
        wait_for("Stripe to hear of all usage", lambda: self._at_stripe() == self._charged())

    def _charged(self) -> int:
        kinds = self.visitor.api("/usage")["kinds"]
        return next((int(each["charged"]) for each in kinds if each["key"] == "resolution"), 0)

    def _at_stripe(self) -> int:
        preview = self.stack.stripe.v1.invoices.create_preview({"subscription": self.subscription})
        ends = int(datetime.fromisoformat(self.month()["ends_at"]).timestamp())
        lines = [line for line in preview.lines.data if line.period.end == ends and _metered(line)]
        return sum(line.quantity or 0 for line in lines)

    # --- credits -------------------------------------------------------------------------------------

    def buy(self, units: int) -> str:
        """A pack, paid with the stored card; the path of its purchase."""
        self.visitor.sign_in()
        quote = self.visitor.submit("/credits/buy", units=units)
        [method] = self.stack.stripe.v1.customers.payment_methods.list(self.customer).data
        asked = self.visitor.ask(f"{quote}/confirm", {"method": method.id}, page=quote)
        assert asked["collect"] == "nothing", asked
        wait_for("the pack's grant", lambda: "granted" in self.support(quote))
        return quote

    def give_back(self, quote: str) -> None:
        """A pack of which nothing was used."""
        self.visitor.sign_in()
        self.visitor.submit(f"{quote}/refund")
        wait_for("the refund", lambda: "refunded" in self.support(quote))

    def swap(self, seats: int, units: int) -> None:
        """Seats for a pack that costs more than they are worth."""
        self.visitor.sign_in()
        quote = self.visitor.submit("/billing/swap", seats=seats, units=units)
        before = len(self.charges())
        assert self.visitor.ask(f"{quote}/confirm", {}, page=quote)["collect"] == "nothing"
        wait_for("the swap", lambda: self.state(quote) == "done")
        wait_for("the swap's lot", lambda: len(self.visitor.api("/credits")["lots"]) == 4)
        assert len(self.charges()) == before + 1
        wait_for("the swap's grant", lambda: self.command("purchase", "list").count(" granted ") == 3)

    def state(self, quote: str) -> str:
        return str(self.visitor.ask_for(f"{quote}/state")["name"])

    def charges(self) -> list[stripe.Charge]:
        return self.stack.stripe.v1.charges.list({"customer": self.customer, "limit": 100}).data

    def command(self, *words: str) -> str:
        """What support is told of the company."""
        group, name, *more = words
        return self.stack.command("support", group, name, self.workspace, *more)

    def support(self, quote: str) -> str:
        """What support sees of the purchase of a quote."""
        number = quote.rsplit("/", 1)[1]
        for line in self.command("purchase", "list").splitlines():
            shown = self.command("purchase", "show", line.split()[0])
            if number in shown:
                return shown.splitlines()[0]
        return "none"

    def books(self) -> Books:
        """All sides as they are now, the person being signed in."""
        self.visitor.sign_in()
        visitor, client = self.visitor, self.stack.stripe
        return Books(Reader(visitor.api, visitor.page, client, self.customer, self.now))


def _metered(line: stripe.InvoiceLineItem) -> bool:
    """Whether a line bills resolutions: the only usage of this company."""
    return bool(re.search("resolution", line.description or "", re.IGNORECASE))


def test_a_year_ends_with_every_unit_and_cent_accounted_for() -> None:
    with Stack() as stack:
        year = Year(stack)
        first_months(year)
        for _month in range(7):
            year.use(3)
            year.bill()
        books = year.books().agree()
        books.usage_pages_agree()
        books.invoice_pages_agree()
        cycles = [each for each in books.invoices if each.billing_reason == "subscription_cycle"]
        print(dict(books.total), [month["resolutions"] for month in books.months], len(books.invoices))
        assert len(cycles) == 12
        assert books.total == {
            "units": 900, "used_billed": 134, "used_open": 0, "lapsed": 0, "returned": 600, "left": 166,
        }  # fmt: skip
        end_of_a_pack(year)
        print(stack.command("reconcile"), stack.complaints())
        assert '"level": "error"' not in stack.complaints()


def first_months(year: Year) -> None:
    """Two packs of a hundred, one of six hundred that is returned, and a seat that is swapped."""
    year.use(2)
    year.buy(100)
    back, *_stay = year.use(3)
    year.reported()
    year.returns(back)
    year.reported()
    assert year.visitor.api("/credits")["left"] == 96
    year.bill()
    year.use(98)
    assert year.visitor.api("/credits")["left"] == 0
    assert year.bill()["resolutions"] == 98
    year.books().agree()

    year.pass_time(timedelta(days=9))
    year.buy(100)
    year.use(5)
    year.bill()
    six_hundred = year.buy(600)
    year.use(4)
    year.pass_time(timedelta(days=10))
    year.give_back(six_hundred)
    year.bill()
    year.pass_time(timedelta(days=16))
    year.swap(1, 100)
    year.use(4)
    year.bill()
    year.books().agree()


def end_of_a_pack(year: Year) -> None:
    """The second pack covers the last second of its time, the swapped one the next; the rest lapses."""
    lots = sorted(year.visitor.api("/credits")["lots"], key=lambda lot: str(lot["starts_at"]))
    second = lots[1]["id"]
    while year.month()["ends_at"] != lots[1]["expires_at"]:
        year.bill()
    year.go_to(lots[1]["expires_at"], -timedelta(seconds=20))
    year.use(1)
    before = year.books()
    assert before.lots[second]["used_open"] == 1
    year.reported()
    year.go_to(lots[1]["expires_at"], timedelta(seconds=1))
    year.use(1)
    year.go_to(lots[1]["expires_at"], FINAL)
    wait_for("the last month's invoice", lambda: year.visitor.api("/usage")["periods"][1]["invoice"])
    after = year.books().agree()
    ended, *_more = [lot for lot in after.lots.values() if lot["id"] == second]
    assert (ended["used_billed"], ended["lapsed"], ended["left"]) == (35, 65, 0)
    assert [lot["used_open"] for lot in after.lots.values() if lot["left"]] == [1]
    # a week later Stripe lets its grant go, too
    year.pass_time(timedelta(days=9))
    year.books().agree()
