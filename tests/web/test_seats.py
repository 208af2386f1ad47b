"""/billing/seats: who sits where, and who may change it."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal import pricing
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Invitation, Member
from portal.services import invitations
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.inviting import Company
from tests.web.reading import block, words
from tests.web.test_freshness import grow_old

THREE = pricing.Selection("advanced", 3, "month")
As = Callable[[str], Browser]


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


@pytest.fixture
def as_role(app: Flask, company: Company) -> As:
    """The browser of a further member with that role."""

    def enter(role: str) -> Browser:
        login = company.join(role=role)
        browser = app.test_client()
        assert isinstance(browser, Browser)
        browser.sign_in(login.email, login.password)
        return browser

    return enter


def give(company: Company, login: factories.Account, seat: str, *, days_away: int = 0) -> int:
    mine = Member.user_id == login.user_id
    active = func.now() - timedelta(days=days_away)
    with unit_of_work(company.id) as session:
        session.execute(update(Member).where(mine).values(seat=seat, last_active_at=active))
        return session.scalars(select(Member.id).where(mine)).one()


def test_the_summary_counts_seats_bought_used_free_and_invited(
    customer: Customer, buyer: Browser, company: Company
) -> None:
    customer.buy(THREE)
    give(company, company.join(), "full")
    give(company, company.join(), "lite")
    company.invite("grace@oak.example", seat="full")
    page = buyer.get("/billing/seats")

    assert block(page, "summary-title").startswith("Seats you pay for")
    counted = re.findall(r"<dt>([^<]+)</dt><dd>(\d+)", page.text)
    assert dict(counted) == {
        "Bought": "3",
        "In use": "1",
        "Free": "2",
        "Invited": "1",
        "Lite seats in use": "1",
    }
    assert "of 20 included" in words(page)
    assert "grace@oak.example" in words(page)


def test_a_change_that_waits_for_the_renewal_is_said_beside_the_seats(
    customer: Customer, buyer: Browser
) -> None:
    customer.buy(pricing.Selection("essential", 3, "month"))
    Changer(customer).change(seats=2)

    assert "Seats: 2 instead of 3. See it" in words(buyer.get("/billing/seats"))


def test_more_invited_than_free_is_said_before_anybody_comes(
    customer: Customer, buyer: Browser, company: Company
) -> None:
    customer.buy(THREE)
    for number in range(5):
        company.invite(f"a{number}@oak.example", seat="full")

    assert "2 invited people will find no free seat" in words(buyer.get("/billing/seats"))


def test_seats_that_nobody_uses_are_seen(customer: Customer, buyer: Browser, company: Company) -> None:
    customer.buy(THREE)
    idle, busy = company.join(), company.join()
    give(company, idle, "full", days_away=40)
    give(company, busy, "full", days_away=3)
    page = buyer.get("/billing/seats")
    only_idle = words(buyer.get("/billing/seats?seat=full&away=yes"))

    assert "1 seat in use belongs to somebody who was not active for 30 days" in words(page)
    assert page.text.count("Not active since") == 1
    assert idle.email in only_idle
    assert busy.email not in only_idle


def test_before_anything_is_bought_the_page_says_what_seats_are_for(signed_in: Browser) -> None:
    page = words(signed_in.get("/billing/seats"))

    assert "No seats are bought yet." in page
    assert "1 member" in page


def test_members_see_the_list_without_controls(app: Flask, company: Company, as_role: As) -> None:
    company.invite("grace@oak.example")
    for role in ("member", "billing"):
        page = as_role(role).get("/billing/seats")

        assert company.account.email in words(page)
        assert 'name="member"' not in page.text
        assert "/invite" not in page.text
        assert "Revoke" not in page.text


@pytest.mark.parametrize("role", ["member", "billing"])
def test_only_admins_and_owners_change_anything(company: Company, as_role: As, role: str) -> None:
    browser = as_role(role)
    member = give(company, company.join(), "none")
    invited = company.invite("grace@oak.example").id
    token = browser.token("/account")
    for path in (
        "assign",
        "invite",
        "import",
        "import/confirm",
        f"{member}",
        f"{member}/remove",
        f"{member}/ownership",
        f"invitations/{invited}/resend",
        f"invitations/{invited}/revoke",
    ):
        assert browser.post(f"/billing/seats/{path}", data={"csrf_token": token}).status_code == 403, path


def test_an_admin_hands_no_ownership_over(company: Company, as_role: As) -> None:
    member = give(company, company.join(), "none")

    assert as_role("admin").get(f"/billing/seats/{member}/ownership").status_code == 403


def test_no_form_works_without_its_token(app: Flask, signed_in: Browser, company: Company) -> None:
    member = give(company, company.join(), "none")
    for path in ("assign", "invite", "import", "leave", f"{member}", f"{member}/remove"):
        assert signed_in.post(f"/billing/seats/{path}", data={}).status_code == 400, path


def test_those_who_are_ticked_get_a_seat_or_all_of_them_none(
    customer: Customer, buyer: Browser, company: Company
) -> None:
    customer.buy(THREE)
    chosen = [give(company, company.join(), "none") for _ in range(4)]
    too_many = buyer.submit(
        "/billing/seats/assign", {"member": chosen, "seat": "full"}, page="/billing/seats"
    )
    enough = buyer.submit(
        "/billing/seats/assign?seat=none", {"member": chosen[:3], "seat": "full"}, page="/billing/seats"
    )

    assert too_many.status_code == 409
    assert "Too few seats are free: 3, and 4 are needed. Nothing was changed." in words(too_many)
    assert (enough.status_code, enough.location) == (303, "/billing/seats?seat=none")
    assert "3 seats were changed." in words(buyer.get("/billing/seats"))


def test_nothing_ticked_changes_nothing(signed_in: Browser) -> None:
    signed_in.submit("/billing/seats/assign", {"seat": "full"}, page="/billing/seats")

    assert "Tick at least one member first." in words(signed_in.get("/billing/seats"))


def test_a_role_is_changed_on_the_member_s_page(signed_in: Browser, company: Company) -> None:
    login = company.join()
    path = f"/billing/seats/{give(company, login, 'none')}"
    answer = signed_in.submit(path, {"role": "billing", "seat": "none", "was": "member"})

    assert answer.location == "/billing/seats"
    assert company.person(login).role == "billing"
    assert company.audit() == [("member.role_changed", company.account.email)]


def test_a_role_that_somebody_else_changed_meanwhile_is_not_overwritten(
    signed_in: Browser, company: Company
) -> None:
    login = company.join(role="billing")
    path = f"/billing/seats/{give(company, login, 'none')}"
    answer = signed_in.submit(path, {"role": "admin", "seat": "none", "was": "member"})

    assert answer.status_code == 409
    assert "has another role by now" in words(answer)
    assert company.person(login).role == "billing"


def test_an_admin_neither_makes_nor_unmakes_owners(company: Company, as_role: As) -> None:
    browser = as_role("admin")
    login = company.join()
    member, owner = give(company, login, "none"), give(company, company.account, "none")
    offered = browser.get(f"/billing/seats/{member}").text
    made = browser.submit(f"/billing/seats/{member}", {"role": "owner", "seat": "none", "was": "member"})
    browser.submit(f"/billing/seats/{owner}", {"role": "member", "seat": "none", "was": "owner"})
    removed = browser.submit(f"/billing/seats/{owner}/remove")

    assert 'value="owner"' not in offered
    assert made.status_code == removed.status_code == 409
    assert company.person(login).role == "member"
    assert company.person(company.account).role == "owner"


def test_owners_are_made_and_unmade_by_whoever_has_just_shown_who_they_are(
    company: Company, signed_in: Browser
) -> None:
    login = company.join()
    path = f"/billing/seats/{give(company, login, 'none')}"
    data = {"csrf_token": signed_in.token(path), "role": "owner", "seat": "none", "was": "member"}
    grow_old(16)
    asked = signed_in.post(path, data=data)
    changed = signed_in.post(path, data={**data, "role": "admin"})

    assert asked.status_code == 401
    assert changed.location == "/billing/seats"
    assert company.person(login).role == "admin"
    assert signed_in.post(path, data={**data, "role": "owner", "was": "admin"}).status_code == 401


def test_removing_a_member_says_that_the_paid_seats_stay(
    customer: Customer, buyer: Browser, company: Company
) -> None:
    customer.buy(THREE)
    login = company.join()
    path = f"/billing/seats/{give(company, login, 'full')}/remove"
    page = words(buyer.get(path))
    buyer.submit(path)

    assert "You go on paying for 3 seats until you remove one." in page
    assert not company.is_member(login)


def test_who_was_removed_is_out_at_once_and_may_open_a_workspace_of_their_own(
    app: Flask, signed_in: Browser, company: Company
) -> None:
    login = company.join()
    browser = app.test_client()
    assert isinstance(browser, Browser)
    browser.sign_in(login.email, login.password)
    signed_in.submit(f"/billing/seats/{give(company, login, 'none')}/remove")
    out = browser.get("/billing")
    browser.submit("/account/no-workspace", {"company_name": "Own Ltd"})

    assert (out.status_code, out.location) == (303, "/account/no-workspace")
    assert browser.post("/billing/seats/leave").status_code in (400, 404)
    assert "Own Ltd" in words(browser.get("/billing"))


def test_the_only_owner_cannot_leave_and_others_can(app: Flask, signed_in: Browser, company: Company) -> None:
    login = company.join()
    browser = app.test_client()
    assert isinstance(browser, Browser)
    browser.sign_in(login.email, login.password)
    told = words(signed_in.get("/billing/seats/leave"))
    refused = signed_in.submit("/billing/seats/leave", page="/account")
    left = browser.submit("/billing/seats/leave")

    assert "You are its only owner" in told
    assert refused.status_code == 409
    assert (left.status_code, left.location) == (303, "/account/no-workspace")
    assert not company.is_member(login)


def test_ownership_goes_over_after_a_page_that_says_what_that_means(
    signed_in: Browser, company: Company
) -> None:
    login = company.join()
    path = f"/billing/seats/{give(company, login, 'none')}/ownership"
    page = words(signed_in.get(path))
    signed_in.submit(path)
    after = words(signed_in.get("/billing/seats"))

    assert "You become an admin" in page
    assert f"{login.email} is the owner now, and you are an admin." in after
    assert company.person(login).role == "owner"
    assert company.person(company.account).role == "admin"
    assert company.mailed("ownership") == [login.email, company.account.email]
    assert company.audit() == [("ownership.transferred", company.account.email)]


def test_members_are_found_and_paged(signed_in: Browser, company: Company) -> None:
    for number in range(60):
        factories.member(company.app, company.id, email=f"p{number:02}@many.example")
    first = signed_in.get("/billing/seats?search=many.example")
    after = re.search(r'href="([^"]*after=\d+[^"]*)"', first.text)
    assert after
    second = signed_in.get(after.group(1).replace("&amp;", "&"))

    assert "60 members found." in words(first)
    assert first.text.count('name="member"') == 50
    assert second.text.count('name="member"') == 10
    assert "p59@many.example" in words(second)
    assert "Nobody is like that." in words(signed_in.get("/billing/seats?search=%25"))


@pytest.mark.parametrize(
    "query",
    ["seat=golden&role=king", "after=x", "after=99999999999999999999", "away=1", "endpoint=x&_method=POST"],
)
def test_a_filter_that_makes_no_sense_shows_all(signed_in: Browser, company: Company, query: str) -> None:
    assert company.account.email in words(signed_in.get(f"/billing/seats?{query}"))


def test_inviting_says_whether_it_uses_a_seat_or_adds_one(
    customer: Customer, buyer: Browser, company: Company
) -> None:
    none_bought = words(buyer.get("/billing/seats/invite"))
    customer.buy(pricing.Selection("essential", 1, "month"))
    free = words(buyer.get("/billing/seats/invite"))
    answer = buyer.submit(
        "/billing/seats/invite", {"email": "grace@oak.example", "role": "member", "seat": "full"}
    )
    taken = words(buyer.get("/billing/seats/invite"))

    assert "Needs a seat, and none is bought yet." in none_bought
    assert "Uses a seat that you pay for: 1 of 1 are free." in free
    assert "Lite seat" not in free
    more = buyer.submit(
        "/billing/seats/invite", {"email": "joan@oak.example", "role": "member", "seat": "full"}
    )
    price = buyer.get(more.location)

    assert answer.location == "/billing/seats"
    assert more.location == "/billing/subscription?seats=2"
    assert "An invitation is on its way to joan@oak.example." in words(price)
    assert 'name="seats" value="2"' in price.text
    assert 'class="error"' not in price.text
    # 39.00 a month, in full, since the month began a moment ago
    assert "Adds a seat: + $39.00 now, then $39.00 a month from" in taken


def test_what_is_wrong_with_an_invitation_stands_at_its_field(signed_in: Browser, company: Company) -> None:
    for email, said in (
        ("", "Enter an address such as name@company.com."),
        ("nobody", "Enter an address such as name@company.com."),
        (company.account.email, "is a member of this workspace already"),
    ):
        page = signed_in.submit("/billing/seats/invite", {"email": email, "role": "member", "seat": "none"})

        assert said in words(page)
        assert 'aria-invalid="true"' in page.text


def test_inviting_somebody_with_a_login_and_somebody_without_looks_the_same(
    app: Flask, signed_in: Browser, company: Company
) -> None:
    known = factories.account(app, email="known@oak.example")
    seen = []
    for email in (known.email, "other@oak.example"):
        answer = signed_in.submit("/billing/seats/invite", {"email": email, "role": "member", "seat": "none"})
        page = words(signed_in.get("/billing/seats"))
        seen.append((answer.status_code, answer.location, page.replace(email, "x").count("x")))

    assert seen[0][:2] == seen[1][:2]
    assert company.mailed("invitation") == ["known@oak.example", "other@oak.example"]


def test_an_invitation_is_sent_again_and_revoked(signed_in: Browser, company: Company) -> None:
    invitation = company.invite("grace@oak.example")
    path = f"/billing/seats/invitations/{invitation.id}"
    too_soon = signed_in.submit(f"{path}/resend", page="/billing/seats")
    with unit_of_work(company.id) as session:
        earlier = Invitation.sent_at - timedelta(days=15)
        expired = Invitation.expires_at - timedelta(days=15)
        session.execute(update(Invitation).values(sent_at=earlier, expires_at=expired))
    page = words(signed_in.get("/billing/seats"))
    signed_in.submit(f"{path}/resend", page="/billing/seats")
    again = words(signed_in.get("/billing/seats"))
    signed_in.submit(f"{path}/revoke", page="/billing/seats")

    assert too_soon.status_code == 409
    assert "Expired on" in page
    assert "Sent, good until" in again
    assert company.found(invitation).state == invitations.REVOKED
    assert signed_in.submit(f"{path}/revoke", page="/billing/seats").status_code == 409
