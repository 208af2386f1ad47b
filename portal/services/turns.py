"""Everybody's turn: a sweeper's work, row by row, where one that fails keeps no other from it."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from portal.errors import PortalError

log = structlog.get_logger()


def give(due: Sequence[Sequence[Any]], work: Callable[..., object], *, waits: str) -> int:
    """Do ``work`` for each of the rows that are ``due``, which begin with the workspace; how many.

    What fails is logged as ``waits`` and comes again; a refusal is expected now and then, all else an error.
    """
    for row in due:
        try:
            work(*row)
        except PortalError as error:
            log.warning(waits, workspace=row[0], row=list(row[1:]), reason=str(error))
        except Exception:
            log.exception(waits, workspace=row[0], row=list(row[1:]))
    return len(due)
