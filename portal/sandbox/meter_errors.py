"""What was wrong with accepted meter events, told later as thin events: one per meter and ten seconds.

Documented only (docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api#error-codes): the shape
and the length of the window are those of Stripe's examples; how many sample errors a report holds is ours.
"""

from __future__ import annotations

from functools import partial
from itertools import islice

from portal.sandbox import thin_events, timestamps
from portal.sandbox.agenda import Timetable
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "_meter_report"
WINDOW_SECONDS = 10
DELAY_SECONDS = 2
MOST_SAMPLES = 5
OF_METER = "v1.billing.meter.error_report_triggered"
NO_METER = "v1.billing.meter.no_meter_found"

REPORTS = Timetable(KIND, lambda _, row: [(row["due"], 0, "report")])


def note(sandbox: Sandbox, meter: Document | None, code: str, message: str, identifier: str) -> None:
    """Put an error on the report of the window that is open now."""
    start = sandbox.now() // WINDOW_SECONDS * WINDOW_SECONDS
    id = f"{meter['id'] if meter else 'none'}/{start}"
    report = sandbox.store.get(KIND, id) or {
        "id": id,
        "meter": meter["id"] if meter else None,
        "start": start,
        "due": start + WINDOW_SECONDS + DELAY_SECONDS,
        "errors": {},
    }
    known = report["errors"].setdefault(code, {"count": 0, "samples": []})
    known["count"] += 1
    if len(known["samples"]) < MOST_SAMPLES:
        known["samples"].append({"error_message": message, "request": {"identifier": identifier}})
    sandbox.store.put(KIND, report)


@on_tick
def next_due(sandbox: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """The report that is due first; reports keep the account's time, whatever clock a customer has."""
    if clock_id is not None:
        return None
    for entry in islice(sandbox.store.agenda(REPORTS).until(until), 1):
        return entry.at, partial(report, sandbox, entry.document["id"])
    return None


def report(sandbox: Sandbox, id: str) -> None:
    """Tell about the errors of one window."""
    row = sandbox.store.get(KIND, id)
    assert row
    sandbox.store.delete(KIND, id)
    count = sum(known["count"] for known in row["errors"].values())
    plural = count != 1
    data = {
        "developer_message_summary": f"There {'are' if plural else 'is'} {count} invalid event{'s' * plural}",
        "reason": {
            "error_count": count,
            "error_types": [
                {"code": code, "error_count": known["count"], "sample_errors": known["samples"]}
                for code, known in row["errors"].items()
            ],
        },
        "validation_end": timestamps.written(row["start"] + WINDOW_SECONDS),
        "validation_start": timestamps.written(row["start"]),
    }
    if row["meter"] is None:
        thin_events.record(sandbox, NO_METER, data)
    else:
        thin_events.record(sandbox, OF_METER, data, ("billing.meter", row["meter"]))
