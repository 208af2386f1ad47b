"""Row 8: the pricing package alone."""

import os
import statistics
import subprocess
import sys
import time
import timeit
from decimal import Decimal

from portal import pricing
from tests.bench.table import Row

ROUNDS = 200
IMPORTS = 15
USAGE = {"resolution": 500, "sms": 1200, "whatsapp": 90, "phone_minute": 700, "bulk_email": 60_000}
SELECTION = pricing.Selection(
    "advanced", 12, "month", {"copilot": 5, "proactive_support": 1}, {**USAGE, "proactive_message": 2600}
)
DISCOUNTS = (
    pricing.Discount("seat", percent_off=Decimal(10)),
    pricing.Discount(None, amount_off=500),
)
CLOCKED = "import time; a = time.process_time(); import portal.pricing; print(time.process_time() - a)"


def quoting() -> list[Row]:
    """A quote of nine lines with two discounts, and the import."""
    catalog = pricing.catalog("2026-11")
    runs = timeit.repeat(
        lambda: pricing.quote(SELECTION, catalog=catalog, discounts=DISCOUNTS),
        timer=time.process_time,
        number=ROUNDS,
        repeat=9,
    )
    one = statistics.median(runs) / ROUNDS * 1e6
    loading = _import_ms()
    return [
        Row("8", "quote of nine lines, two discounts, processor time", f"{one:.0f} µs", target="≤ 100 µs"),
        Row("8", "import of portal.pricing, processor time", f"{loading:.0f} ms", target="≤ 30 ms"),
    ]


def _import_ms() -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken = [
        float(subprocess.check_output([sys.executable, "-c", CLOCKED], env=environment))
        for _ in range(IMPORTS)
    ]
    return statistics.median(taken) * 1000
