"""What an authenticator app shows."""

import time

from portal.services import one_time_codes

STEP_SECONDS = 30


def code(secret: str) -> str:
    """What the app shows now."""
    return one_time_codes.code_at(secret, int(time.time()) // STEP_SECONDS)


def next_code(secret: str) -> str:
    """What it shows next, which counts already; and still does should this half minute end meanwhile."""
    return one_time_codes.code_at(secret, int(time.time()) // STEP_SECONDS + 1)
