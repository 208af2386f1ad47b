"""The floors: what the same server, database and template engine do when nothing else is asked of them.

Served by the command that serves the portal: ``granian --interface wsgi tests.bench.floors:app``.
"""

import json
import os

from flask import Flask, render_template_string, request
from psycopg_pool import ConnectionPool
from stripe import WebhookSignature

SECRET = os.environ.get("FLOOR_SECRET", "")
TOLERANCE_SECONDS = 300
ROWS = 130
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="description" content="A bare page">
<title>Floor</title><link rel="icon" href="data:,"></head><body><main><h1>Floor</h1><table>
{% for row in rows %}<tr><td>{{ row.name }}</td><td>{{ row.quantity }}</td><td>{{ row.amount }}</td>
<td>A row of a page that says nothing but is about twenty kilobytes long in all, as ours are.</td></tr>
{% endfor %}</table></main></body></html>"""

app = Flask(__name__)
pool = ConnectionPool(os.environ["FLOOR_DATABASE"], min_size=1, max_size=8, open=True)
with pool.connection() as connection:
    # two processes begin at the same moment
    connection.execute("SELECT pg_advisory_xact_lock(1)")
    connection.execute("CREATE TABLE IF NOT EXISTS floor_event (id text PRIMARY KEY, payload jsonb NOT NULL)")


@app.post("/webhooks/stripe")
def webhook() -> tuple[str, int]:
    payload = request.get_data()
    WebhookSignature.verify_header(
        payload.decode(), request.headers["Stripe-Signature"], SECRET, tolerance=TOLERANCE_SECONDS
    )
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO floor_event (id, payload) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (json.loads(payload)["id"], payload.decode()),
        )
    return "", 200


@app.get("/page")
def page() -> str:
    rows = [{"name": f"Row {n}", "quantity": n, "amount": n * 99} for n in range(ROWS)]
    return render_template_string(PAGE, rows=rows)
