"""What an operation is for, what it takes and answers: written beside its route, read by the document."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel

from portal.web import View

MARK = "api_operation"


@dataclass(frozen=True)
class Operation:
    """One operation of the API, as its programmers are told of it. Texts are marked by ``N_``."""

    id: str  # in generated clients the name of a function
    summary: str
    description: str
    answers: type[BaseModel]
    # of the answer; the first is the usual one
    statuses: tuple[int, ...] = (200,)
    # the model of the body, and whether it may be a list of up to 1,000 of them
    body: type[BaseModel] | None = None
    batch: bool = False
    query: type[BaseModel] | None = None
    # whether the answer has an ETag: what is read again and again
    tagged: bool = False
    # codes of problems, besides those that every operation has
    problems: tuple[str, ...] = ()


def describe(operation: Operation) -> Callable[[View], View]:
    """Mark a route with what it is; a test refuses routes that say nothing."""

    def decorate(view: View) -> View:
        view.__dict__[MARK] = operation
        return view

    return decorate
