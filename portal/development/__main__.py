"""``python -m portal.development`` starts everything; ``… reset`` throws its data away.

``… flask demo seed`` runs a command with the settings of what was started.
"""

import os
import sys

from psycopg import Error as DriverError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from portal.development.start import command, reset, run
from portal.errors import PortalError

REFUSED = 2


def main(arguments: list[str]) -> int:
    """The exit status: 0 after Ctrl-C, 2 when it cannot start, with one sentence on standard error."""
    try:
        if arguments == ["reset"]:
            reset(os.environ)
            return 0
        if arguments[:1] == ["flask"]:
            return command(os.environ, arguments[1:])
        return run(os.environ)
    except (PortalError, SQLAlchemyError, DriverError, OSError) as error:
        print(f"\n  {_sentence(error)}\n", file=sys.stderr)
        return REFUSED


def _sentence(error: Exception) -> str:
    """What is wrong, without a traceback: nobody has to know our code to start it."""
    if isinstance(error, PortalError):
        return error.message
    if isinstance(error, OSError):
        return f"This machine refused: {error}."
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return f"The database cannot be used: {first.rstrip('.')}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
