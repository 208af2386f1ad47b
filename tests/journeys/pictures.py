"""Pictures of a page for whoever looks at it, where PICTURES names a folder."""

import os
from pathlib import Path

from tests.journeys.customer import Customer

WIDTHS = (1280, 390)


def pictures(customer: Customer, name: str) -> None:
    """The page that is open, wide and narrow, in light and in dark."""
    folder = os.environ.get("PICTURES")
    if folder is None:
        return
    page = customer.page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.emulate_media(color_scheme="light")
