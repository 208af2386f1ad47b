"""Members and seats: inviting somebody new, many from a table, handing the ownership over."""

from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import PASSWORD, Customer
from tests.journeys.test_accessibility import Inspector

FOUR = "tier=advanced&seats=4&interval=month"


def join(customer: Customer, guest: Customer, name: str) -> None:
    """Follow the link in the mail in another browser, and make a login with it."""
    guest.visit(guest.mailed_link("You are invited"))
    guest.page.get_by_label("Your name").fill(name)
    guest.page.get_by_label("Password").fill(PASSWORD)
    guest.page.get_by_role("button", name="Create a login and join").click()
    expect(guest.page.get_by_text(f"You have joined {customer.company}.")).to_be_visible()


def test_somebody_new_is_invited_joins_and_uses_a_seat(customer: Customer, new_customer: NewCustomer) -> None:
    page, guest, inspector = customer.page, new_customer(), Inspector(customer)
    customer.arrive_as_subscriber(FOUR)
    customer.visit("/billing/seats")
    page.get_by_role("link", name="Invite somebody").click()
    inspector.look("invite")
    page.get_by_label("E-mail").fill(guest.email)
    expect(page.get_by_text("Uses a seat that you pay for: 4 of 4 are free.")).to_be_visible()
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text(f"An invitation is on its way to {guest.email}.")).to_be_visible()
    inspector.look("with an invitation")
    # the role of a member is the one that is proposed
    guest.visit(guest.mailed_link("You are invited"))
    Inspector(guest).look("join")
    join(customer, guest, "Grace Hopper")
    page.reload()

    row = page.get_by_role("row", name="Grace Hopper")
    expect(row).to_contain_text("Full seat")
    expect(page.get_by_role("heading", name="2 members")).to_be_visible()
    expect(page.locator(".tally")).to_contain_text("In use1")
    row.get_by_role("link", name="Change").click()
    inspector.look("a member")
    assert inspector.found == {}
    guest.visit("/billing/seats")
    expect(guest.page.get_by_text(customer.email)).to_be_visible()
    expect(guest.page.get_by_role("link", name="Invite somebody")).to_have_count(0)


def test_many_are_invited_from_a_table_after_a_look_at_every_row(customer: Customer) -> None:
    page, inspector = customer.page, Inspector(customer)
    customer.arrive_as_subscriber(FOUR)
    customer.visit("/billing/seats")
    page.get_by_role("link", name="Invite from a table").click()
    inspector.look("the table")
    table = "\n".join(
        ["E-mail;Role;Seat", *(f"p{n}-{customer.email};member;full" for n in range(5)), "nobody;;", "=1;;"]
    )
    page.get_by_label("File").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": table.encode("utf-8-sig")}
    )
    page.get_by_role("button", name="Check every row").click()
    expect(page.get_by_text("5 people will be invited. 2 rows are left out")).to_be_visible()
    expect(page.get_by_role("row", name="nobody")).to_contain_text("That is no e-mail address.")
    inspector.look("the result")
    page.get_by_role("button", name="Send 5 invitations").click()
    expect(page.get_by_role("heading", name="5 invitations are on their way")).to_be_visible()
    inspector.look("sent")
    page.get_by_role("link", name="See what 1 more seat costs").click()

    expect(page.get_by_label("Seats", exact=True)).to_have_value("5")
    assert inspector.found == {}


def test_the_ownership_goes_to_somebody_else_and_both_are_told(
    customer: Customer, new_customer: NewCustomer
) -> None:
    page, guest, inspector = customer.page, new_customer(), Inspector(customer)
    customer.arrive()
    customer.visit("/billing/seats/invite")
    page.get_by_label("E-mail").fill(guest.email)
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("is on its way")).to_be_visible()
    join(customer, guest, "Joan Clarke")
    customer.visit("/billing/seats")
    page.get_by_role("link", name=f"Change {guest.email}").click()
    page.get_by_role("link", name="Hand the ownership over").click()
    inspector.look("hand over")
    page.get_by_role("button", name="Hand the ownership over").click()
    expect(page.get_by_text(f"{guest.email} is the owner now")).to_be_visible()
    expect(page.get_by_role("row", name="Joan Clarke")).to_contain_text("Owner")
    page.get_by_role("link", name="Leave this workspace").click()
    inspector.look("leave")
    page.get_by_role("button", name=f"Leave {customer.company}").click()

    expect(page.get_by_role("heading", name="You are in no workspace")).to_be_visible()
    inspector.look("no workspace")
    assert inspector.found == {}
    for told in (customer, guest):
        told.stack.mail(told.email, f"{guest.email} owns {customer.company} now")
    guest.visit("/billing/seats/leave")
    expect(guest.page.get_by_text("You are its only owner")).to_be_visible()
