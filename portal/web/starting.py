"""Who can begin to buy: the person who looks, or those whom this person can ask."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from portal.services import members
from portal.web import may

BUYER = "billing"
NAMED = 3


@dataclass(frozen=True)
class Start:
    """Whether this person may buy; if not, the addresses of some who may."""

    may_buy: bool
    people: list[str]


def start(session: Session) -> Start:
    """Who may make the first purchase of the entered workspace."""
    if may(BUYER):
        return Start(True, [])
    return Start(False, members.able(session, BUYER, limit=NAMED))
