"""``python -m portal.development`` starts everything; ``… reset`` throws its data away."""

import os
import sys

from portal.development.start import reset, run
from portal.errors import PortalError

REFUSED = 2


def main(arguments: list[str]) -> int:
    """The exit status: 0 after Ctrl-C, 2 when it cannot start, with one sentence on standard error."""
    try:
        if arguments == ["reset"]:
            reset(os.environ)
            return 0
        return run(os.environ)
    except PortalError as error:
        print(f"\n  {error.message}\n", file=sys.stderr)
        return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
