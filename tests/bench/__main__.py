"""``python -m tests.bench [row …]``: measure, print one table; README keeps that of a whole run."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench import ingestion, pages, pricing, reconciling, reservations, usage, webhooks
from tests.bench.load import NoLoadGeneratorError
from tests.bench.shop import Shop, open_shop
from tests.bench.table import Row, keep, markdown
from tests.stack import Stack

README = Path(__file__).resolve().parent.parent.parent / "README.md"
ON_A_SHOP: dict[str, Callable[[Shop], list[Row]]] = {
    "1": webhooks.receiving,
    "2": webhooks.applying,
    "3": ingestion.batches,
    "4": ingestion.singles,
    "5": reservations.holding,
    "7": pages.rendering,
    "12": pages.weight,
    # turns the clock and fills the database, so it is the last
    "6": usage.page,
}
# too long for a whole run; `make bench-large` asks for it
LARGE: dict[str, Callable[[Shop], list[Row]]] = {"11": pages.lighthouse, "6-large": usage.large}
ALONE = {"8": pricing.quoting}
# with a ledger of millions of rows; asked for by its number
LARGE_ALONE = {"9": reconciling.closing}


def starting() -> list[Row]:
    """Row 10: from the command to a page served, the first time and again."""
    with Stack() as stack:
        first = stack.start_seconds
        stack.stop()
        again = stack.start()
    return [
        Row("10", "make run to a page served, first time", f"{first:.1f} s", target="≤ 15 s"),
        Row("10", "the same with data kept", f"{again:.1f} s", target="≤ 5 s"),
    ]


def main(wanted: list[str]) -> int:
    """0 whatever the figures; 2 when something that measures is missing."""
    rows: list[Row] = []
    load = os.getloadavg()[0]
    for number, measure in {"10": starting, **ALONE, **LARGE_ALONE}.items():
        if number in wanted or (not wanted and number not in LARGE_ALONE):
            rows += measure()
    try:
        chosen = [measure for number, measure in ON_A_SHOP.items() if not wanted or number in wanted]
        chosen += [measure for number, measure in LARGE.items() if number in wanted]
        if chosen:
            with open_shop() as shop:
                for measure in chosen:
                    rows += measure(shop)
    except NoLoadGeneratorError as error:
        print(error, file=sys.stderr)
        return 2
    rows.sort(key=lambda row: int(row.number))
    table = markdown(rows, load)
    print(table)
    if not wanted and README.exists():
        keep(table, README)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
