"""A second click, or tab, gets the first one's result: how long it waits for that, and how often it looks."""

import time
from collections.abc import Iterator

SECONDS = 20
LOOK_AGAIN_AFTER = 0.1


def looks() -> Iterator[None]:
    """The moments at which to look whether the first one is done; they end when it has taken too long."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(LOOK_AGAIN_AFTER)
