"""/usage/limits: how it stands in words, who may change what, what is refused, and more at the cap."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import UsageLimit
from portal.services import alerts
from tests import factories
from tests.browsing import Browser
from tests.services.limiting import ENDS, Company, november
from tests.services.using import HandClock
from tests.web.reading import words
from tests.web.test_payment import browser_of

PATH = "/usage/limits"
CAP = {"cap": "units", "cap_units": "500", "kind": "hard", "at_cap": "stop"}
CONFIRMED = {"confirmed": "yes"}
# what is typed; a choice that there is not cannot be shown again
KEPT = ("budget", "cap_units", "cap_amount")


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    return november()


@pytest.fixture
def company(
    gateways: Gateways, signed_in: Browser, workspace: factories.Account, clock: HandClock
) -> Company:
    made = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    made.subscribe()
    return made


def save(browser: Browser, **form: str) -> str:
    """Send the form, and press the button of the page that says what happens; the words of what comes."""
    data = {"cap": "none", "kind": "hard", "at_cap": "stop", **form}
    return words(browser.submit(PATH, data | CONFIRMED, page=PATH, follow_redirects=True))


def test_without_limits_the_page_says_what_that_means(signed_in: Browser, company: Company) -> None:
    company.use(3)
    company.answer("a")
    text = words(signed_in.get(PATH))

    assert "No cap: the AI answers whatever is asked, and what it resolves is billed." in text
    assert "No budget: $3.96 of usage so far this month." in text
    assert "That counts 1 resolution that may still be billed." in text
    assert "The month of usage runs from 1 November 2026 to 1 December 2026." in text


def test_a_hard_cap_is_kept_once_what_it_does_was_seen(signed_in: Browser, company: Company) -> None:
    company.use(20)
    check = signed_in.submit(PATH, {**CAP, "budget": "1,000"}, page=PATH)
    before = company.state().cap
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', check.text))
    done = words(signed_in.post(PATH, data=fields, follow_redirects=True))
    said = words(check)

    assert (check.status_code, before) == (200, None)
    assert "Hard cap of 500 resolutions a month" in said
    assert "The AI may take 480 resolutions more this month: so far 20 resolutions count" in said
    assert "At the cap the AI stops until the next month." in said
    assert "It counts in this month and in every later one, until you change it." in said
    assert "Your limits are changed. They count from now on." in done
    assert "Hard cap: the AI stops at 500 resolutions this month." in done
    assert "Budget: $19.80 of $1,000.00 used this month." in done
    assert (company.state().cap, company.state().left) == (500, 480)


def test_a_cap_that_is_reached_already_says_that_the_ai_stops_at_once(
    signed_in: Browser, company: Company
) -> None:
    company.use(5)
    said = words(signed_in.submit(PATH, {**CAP, "cap_units": "5"}, page=PATH))
    page = save(signed_in, cap="units", cap_units="5")

    assert "The AI stops at once: so far 5 resolutions count this month" in said
    assert "The AI has stopped" in page
    assert "or on 1 December 2026." in page


def test_a_budget_alone_needs_no_second_page(signed_in: Browser, company: Company) -> None:
    data = {"budget": "$99.50", "cap": "none", "kind": "hard", "at_cap": "stop"}
    answer = signed_in.submit(PATH, data, page=PATH, follow_redirects=True)

    assert "Budget: $0.00 of $99.50 used this month." in words(answer)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (
            {"cap": "units", "cap_units": "10", "at_cap": "hand_over"},
            "Hard cap: at 10 resolutions this month the AI hands over to people.",
        ),
        (
            {"cap": "units", "cap_units": "1", "kind": "soft"},
            "Soft cap: at 1 resolution this month people are warned, and the AI goes on.",
        ),
        ({"cap": "money", "cap_amount": "9.90"}, "$9.90 a month pay for 10 resolutions at your own price."),
    ],
)
def test_each_kind_of_cap_has_its_sentence(
    signed_in: Browser, company: Company, form: dict[str, str], sentence: str
) -> None:
    assert sentence in save(signed_in, **form)


def test_taking_a_cap_away_says_that_the_ai_goes_on(signed_in: Browser, company: Company) -> None:
    company.limit(cap_units=0)
    said = words(signed_in.submit(PATH, {"cap": "none", "kind": "hard", "at_cap": "stop"}, page=PATH))

    assert "Take the cap away" in said
    assert "The AI goes on at once. Nothing stops it any more; what it resolves is billed." in said


@pytest.mark.parametrize(
    ("form", "objection"),
    [
        (
            {"cap": "units", "cap_units": "5"},
            "enter 7 or more. Used: 5; may still be billed: 1; held for answers: 1.",
        ),
        ({"cap": "units", "cap_units": ""}, "Resolutions a month: enter a whole number, such as 500."),
        ({"cap": "units", "cap_units": "many"}, "Resolutions a month: enter a whole number, such as 12."),
        ({"cap": "money", "cap_amount": "6.92"}, "Amount a month: enter $6.93 or more."),
        ({"cap": "money", "cap_amount": ""}, "Amount a month: enter an amount such as 500 or 499.50."),
        ({"budget": "6.92"}, "Budget a month: enter $6.93 or more."),
        ({"budget": "12.345"}, "Budget a month: enter an amount such as 500 or 499.50."),
        ({"budget": "-5"}, "Budget a month: enter an amount such as 500 or 499.50."),
        ({"budget": "1,00,0"}, "Budget a month: enter an amount such as 500 or 499.50."),
        ({"budget": "NaN"}, "Budget a month: enter an amount such as 500 or 499.50."),
        ({"budget": "99999999999"}, "That is more than a limit can be."),
        ({"cap": "half"}, "Choose a cap, or none."),
        ({"kind": ""}, "Choose whether the cap is hard or soft."),
        ({"at_cap": "dance"}, "Choose what happens at the cap."),
        (
            {"cap": "units", "cap_units": "9", "at_cap": "ask_approver"},
            "Who may allow more: enter the e-mail address of a member.",
        ),
        (
            {"cap": "units", "cap_units": "9", "at_cap": "ask_approver", "approver": "x@y.example"},
            "Who may allow more: nobody of this workspace has this address.",
        ),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_kept(
    signed_in: Browser, company: Company, form: dict[str, str], objection: str
) -> None:
    company.use(5)
    company.answer("a")
    company.hold("b")
    data = {"cap": "none", "kind": "hard", "at_cap": "stop", **form}
    answer = signed_in.submit(PATH, data, page=PATH)

    assert answer.status_code == 422
    assert words(answer).count(objection) == 2
    assert all(f'value="{text}"' in answer.text for name, text in form.items() if text and name in KEPT)
    assert company.standing().has_cap is False


def test_a_trial_says_its_own_cap(
    gateways: Gateways, signed_in: Browser, workspace: factories.Account, clock: HandClock
) -> None:
    company = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    company.subscribe(trial=True)
    company.limit(cap_units=500)
    text = words(signed_in.get(PATH))

    assert "Trial: the AI stops at 50 resolutions, which are free." in text
    assert "Your own cap counts from the day the trial ends." in text
    assert "The trial runs from 1 November 2026 to 1 December 2026." in text


def test_who_has_bought_nothing_can_set_limits_before(signed_in: Browser) -> None:
    text = save(signed_in, cap="units", cap_units="10")

    assert "Hard cap: the AI stops at 10 resolutions this month." in text
    assert "No month of usage is running. One begins when you buy." in text


def test_what_was_above_the_cap_is_said_to_be_free(signed_in: Browser, company: Company) -> None:
    company.limit(cap_units=5)
    company.use(7)
    text = words(signed_in.get(PATH))

    assert "2 more were above the cap. They are free: you do not pay for them." in text
    assert "No budget: $4.95 of usage so far this month." in text


def test_the_overview_says_that_a_cap_has_stopped_the_ai(signed_in: Browser, company: Company) -> None:
    company.use(2)
    quiet = words(signed_in.get("/billing"))
    company.limit(cap_units=2, at_cap="hand_over")
    told = words(signed_in.get("/billing"))

    assert "its cap is reached" not in quiet
    assert "The AI hands over to people: its cap is reached" in told
    assert "2 resolutions count, with what may still be billed." in told


def test_where_the_next_pack_is_drawn_nobody_is_told_that_the_ai_was_to_stop(
    signed_in: Browser, company: Company
) -> None:
    company.limit(cap_units=2)
    company.use(2)
    with unit_of_work(company.workspace_id) as session:
        session.execute(update(UsageLimit).values(at_cap="next_pack"))
    overview, usage = words(signed_in.get("/billing")), words(signed_in.get("/usage"))

    assert "The AI waits for the next pack: its cap is reached" in overview
    assert "The AI waits until the next pack is bought by itself, within the limits that you chose" in usage
    assert "The AI stops answering new conversations" not in usage


def test_what_is_undecided_at_the_months_end_may_fill_the_next_months_cap(
    signed_in: Browser, company: Company, clock: HandClock
) -> None:
    company.limit(cap_units=2)
    company.answer("a", "b")
    early = words(signed_in.get(PATH))
    company.drop("a", "b")
    clock.at = ENDS - timedelta(hours=1)
    company.answer("c", "d")
    late, overview = words(signed_in.get(PATH)), words(signed_in.get("/billing"))
    clock.advance(hours=2)

    assert "when the cap is higher, or on 1 December 2026." in early
    for said in (late, overview):
        assert "or when the cap is higher; not on 1 December 2026, since what is undecided then" in said
    assert company.state().reason == "cap_reached"


# --- rights --------------------------------------------------------------------------------------------


def test_billing_chooses_alerts_and_admin_caps_and_a_member_looks(app: Flask, company: Company) -> None:
    seen = {}
    for role in ("admin", "billing", "member"):
        browser = browser_of(app, factories.member(app, company.workspace_id, role=role))
        token = {"csrf_token": browser.token("/account")}
        limit = browser.post(PATH, data=token | CAP)
        warn = browser.post(f"{PATH}/alerts", data=token)
        page = browser.get(PATH)
        forms = ("Save budget and cap" in page.text, "Save alerts" in page.text)
        seen[role] = (page.status_code, *forms, limit.status_code, warn.status_code)

    assert seen == {
        "admin": (200, True, True, 200, 303),
        "billing": (200, False, True, 403, 303),
        "member": (200, False, False, 403, 403),
    }


# --- alerts --------------------------------------------------------------------------------------------


def test_alerts_and_recipients_are_chosen(app: Flask, signed_in: Browser, company: Company) -> None:
    member = factories.member(app, company.workspace_id)
    data = {"warn_100": "y", "another": member.email.upper()}
    done = signed_in.submit(f"{PATH}/alerts", data, page=PATH, follow_redirects=True)
    page = words(browser_of(app, member).get(PATH))
    limit = company.standing().limit

    assert "Your alerts are changed." in words(done)
    assert (limit.warn_50, limit.warn_80, limit.warn_100, limit.warn_forecast) == (False, False, True, False)
    assert limit.recipients == [member.user_id]
    assert f"Told by mail: {member.email}." in page


def test_a_stranger_is_not_told_and_the_other_form_stays_as_it_was(
    signed_in: Browser, company: Company
) -> None:
    company.limit(cap_units=77)
    data = {"warn_50": "y", "another": "x@y.example"}
    answer = signed_in.submit(f"{PATH}/alerts", data, page=PATH)

    assert answer.status_code == 422
    assert "Nobody of this workspace has the address x@y.example." in words(answer)
    assert 'value="77"' in answer.text
    assert 'value="x@y.example"' in answer.text


def test_what_people_were_told_stands_on_the_page(signed_in: Browser, company: Company) -> None:
    company.limit(cap_units=4, budget=400)
    company.use(3)
    alerts.look(company.gateways, company.workspace_id)
    text = words(signed_in.get(PATH))

    assert "50% of the cap of 4 resolutions was used." in text
    assert "50% of the budget of $4.00 was used." in text
    assert "10 November 2026, 12:00 UTC · mailed to 1 person" in text


# --- more at the cap -----------------------------------------------------------------------------------


def test_the_approver_allows_more_with_one_click(app: Flask, company: Company) -> None:
    approver = factories.member(app, company.workspace_id)
    company.limit(cap_units=20, at_cap="ask_approver", approver=approver.email)
    company.use(20)
    browser = browser_of(app, approver)
    page = browser.get(f"{PATH}/more")
    fields = dict(re.findall(r'name="(units|seen|csrf_token)"[^>]* value="([^"]*)"', page.text))
    done = words(browser.post(f"{PATH}/more", data=fields, follow_redirects=True))
    again = words(browser.post(f"{PATH}/more", data=fields, follow_redirects=True))

    assert (
        f"Hard cap: at 20 resolutions this month the AI waits until {approver.email} allows more."
        in words(page)
    )
    assert "10 more cost at most $9.90. Only what is resolved is billed." in words(page)
    assert "Done. The AI may take 10 resolutions more." in done
    assert "10 of them were allowed on top, in this month alone." in done
    assert "The cap is another one by now. Nothing was changed; look again." in again
    assert company.state().left == 10


def test_looking_at_the_page_of_the_mail_changes_nothing(signed_in: Browser, company: Company) -> None:
    company.limit(cap_units=20)
    signed_in.get(f"{PATH}/more")

    assert company.state().cap == 20


@pytest.mark.parametrize("units", ["0", "", "many", "100000001"])
def test_more_is_a_number(signed_in: Browser, company: Company, units: str) -> None:
    company.limit(cap_units=20)
    answer = signed_in.submit(f"{PATH}/more", {"units": units, "seen": "20"})

    assert answer.status_code == 422
    assert company.state().cap == 20


def test_nobody_else_finds_the_page_and_without_a_cap_there_is_none(app: Flask, company: Company) -> None:
    company.limit(cap_units=20)
    member = browser_of(app, factories.member(app, company.workspace_id))
    refused = member.get(f"{PATH}/more").status_code
    company.limit()
    admin = browser_of(app, factories.member(app, company.workspace_id, role="admin"))

    assert refused == 403
    assert admin.get(f"{PATH}/more").location == PATH
