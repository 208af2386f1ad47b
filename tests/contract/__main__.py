"""``python -m tests.contract``: the suite against Stripe's test mode; needs STRIPE_SECRET_KEY=sk_test_…."""

import os
import sys

import pytest

from tests.contract.conftest import AGAINST_STRIPE

KEY = "STRIPE_SECRET_KEY"


def main() -> int:
    """pytest's exit status, or 2 without a test key."""
    key = os.environ.get(KEY, "")
    if not key.startswith(("sk_test_", "rk_test_")) or key == "sk_test_sandbox":
        print(f"Set {KEY} to a secret key of a Stripe account's test mode (sk_test_…).", file=sys.stderr)
        return 2
    os.environ[AGAINST_STRIPE] = "1"
    return int(pytest.main(["tests/contract", "--verbose", "--force-enable-socket"]))


if __name__ == "__main__":
    sys.exit(main())
