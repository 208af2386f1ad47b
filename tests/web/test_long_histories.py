"""What the pages read of the database: as much after years as on the first day."""

import pytest
from sqlalchemy import text

from portal.db import unit_of_work
from tests.browsing import Browser
from tests.reads import reading
from tests.services.buying import Customer

COPIES = "generate_series(CAST(:least AS int), CAST(:most AS int)) n"
# they stand behind the real one
INVOICES = text(f"""
INSERT INTO invoice SELECT (jsonb_populate_record(i, jsonb_build_object('stripe_id', 'in_00' || n))).*
FROM invoice i, {COPIES}
""")
# changes whose bank debit came back after a renewal; the overview names the last of them
CHANGES = text(f"""
INSERT INTO attempt SELECT (jsonb_populate_record(a, jsonb_build_object(
  'id', a.id || n, 'kind', 'change', 'state', 'failed', 'error',
  jsonb_build_object('period', jsonb_build_object('since', n * 86400, 'total', 4900, 'currency', 'usd'))))).*
FROM attempt a, {COPIES} WHERE a.kind = 'first_purchase'
""")


@pytest.mark.parametrize("path", ["/billing", "/usage", "/credits"])
def test_a_page_reads_as_much_with_a_long_history_as_with_a_short_one(
    buyer: Browser, customer: Customer, path: str
) -> None:
    customer.buy()
    with unit_of_work(customer.workspace_id) as session:
        session.execute(CHANGES, {"least": 1, "most": 1})
    # what is noted once a minute and once an hour
    buyer.get(path)
    with reading() as after_one:
        buyer.get(path)
    with unit_of_work(customer.workspace_id) as session:
        session.execute(INVOICES, {"least": 2, "most": 50})
        session.execute(CHANGES, {"least": 2, "most": 50})
    with reading() as after_fifty:
        page = buyer.get(path)

    assert page.status_code == 200
    assert after_fifty == after_one
