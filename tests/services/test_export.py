"""All data of a workspace as one ZIP, in bounded memory."""

import csv
import io
import json
import tracemalloc
import zipfile

from flask import Flask
from sqlalchemy import insert, update

from portal.db import unit_of_work
from portal.models import AuditEntry, BillingDetails, Counted, WorkspaceOwned
from portal.services import api_keys, export, spreadsheets
from tests import factories
from tests.services.buying import Customer

ROWS = 10_000
MEGABYTE = 1024 * 1024


def unpacked(workspace_id: int) -> dict[str, str]:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(export.archive(workspace_id))))
    return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_export_holds_everything_as_json_and_as_csv_and_no_secret(customer: Customer) -> None:
    quote_id = customer.buy()
    files = unpacked(customer.workspace_id)

    names = (
        *("workspace", "billing_details", "members", "subscriptions", "quotes", "invoices", "invoice_lines"),
        *("matches", "adjustments", "payment_methods", "invitations", "cancellations", "activity"),
        *("usage_periods", "usage", "resolutions", "conversation_events"),
        *("usage_limits", "cap_raises", "usage_alerts", "contests", "usage_matches", "usage_credits"),
        *("credit_purchases", "credit_refunds", "credit_lots", "credit_entries"),
        *("credit_grants", "credit_top_ups"),
        "api_keys",
    )
    assert set(files) == {f"{name}.{ending}" for name in names for ending in ("json", "csv")}
    assert [quote["id"] for quote in json.loads(files["quotes.json"])] == [quote_id]
    assert [member["email"] for member in json.loads(files["members.json"])] == [customer.account.email]
    amounts = [
        int(row["amount"])
        for row in csv.DictReader(io.StringIO(files["invoice_lines.csv"]))
        if int(row["amount"])
    ]
    assert amounts == [1224000, 174000]
    assert json.loads(files["matches.json"])[0]["matched"] is True
    assert json.loads(files["cancellations.json"]) == []
    everything = "".join(files.values())
    assert not [word for word in ("_secret_", "argon2", "password", "fs_uniquifier") if word in everything]


def test_keys_are_in_it_without_what_lets_in_and_only_ones_own(app: Flask, customer: Customer) -> None:
    made = []
    for account in (customer.account, factories.account(app, company_name="Oak Inc")):
        with unit_of_work(account.workspace_id) as session:
            made.append(
                api_keys.make(
                    session, customer.gateways, name="Help desk", scopes=["read"], by=account.user_id
                )
            )
    files = unpacked(customer.workspace_id)
    [row] = json.loads(files["api_keys.json"])

    assert (row["name"], row["prefix"], row["scopes"]) == ("Help desk", made[0].row.prefix, ["read"])
    everything = "".join(files.values())
    assert made[0].secret not in everything
    assert made[0].row.hash not in everything


def test_every_table_of_a_workspace_is_in_it_or_left_out_on_purpose() -> None:
    owned = {each.__tablename__ for each in (*WorkspaceOwned.__subclasses__(), *Counted.__subclasses__())}

    assert owned - export.tables() == export.LEFT_OUT


def test_nothing_of_another_workspace_is_in_it(app: Flask, customer: Customer) -> None:
    customer.buy()
    other = factories.account(app, company_name="Oak Inc")
    everything = "".join(unpacked(other.workspace_id).values())

    assert "Acme" not in everything
    assert "Oak Inc" in everything


def test_ten_thousand_entries_need_little_memory(workspace: factories.Account) -> None:
    row = {"actor": "system", "action": "quote.made", "after": {"total": 100, "text": "x" * 500}}
    with unit_of_work(workspace.workspace_id) as session:
        session.execute(insert(AuditEntry), [row] * ROWS)
        session.commit()
    tracemalloc.start()
    total = sum(len(piece) for piece in export.archive(workspace.workspace_id))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert total > 10_000
    assert peak < 12 * MEGABYTE
    assert len(json.loads(unpacked(workspace.workspace_id)["activity.json"])) == ROWS


def test_a_cell_that_would_be_evaluated_is_text(workspace: factories.Account) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        session.execute(update(BillingDetails).values(company_name='=HYPERLINK("http://evil")'))
    files = unpacked(workspace.workspace_id)
    [row] = csv.DictReader(io.StringIO(files["billing_details.csv"]))

    assert row["company_name"] == '\'=HYPERLINK("http://evil")'
    assert [spreadsheets.cell(each) for each in ("+1", "-1", "@x", -334, None)] == [
        "'+1",
        "'-1",
        "'@x",
        "-334",
        "",
    ]
