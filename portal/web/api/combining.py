"""Requests that arrive while another of their workspace is at work go together in one transaction.

What a busy workspace sends one by one waits for the same locks and the same disk. Whoever comes meanwhile
hands its things to the next that goes, so that the fuller the queue the less each costs. Nothing outlives the
request: everybody waits for their own answers, and a process that dies has answered nobody.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from portal.errors import N_, UnavailableError
from portal.web.failures import is_away

# above what the database is waited for: portal.db.Patience
LONGEST_WAIT = 60.0
TOO_LONG = N_("It took too long, and nothing of it was taken in. Send it again.")

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Ticket(Generic[Thing, Answer]):
    """What one request brought, and what came of it; ``called`` when it is done, or is to lead."""

    things: Sequence[Thing]
    called: threading.Event = field(default_factory=threading.Event)
    answers: Sequence[Answer] = ()
    error: Exception | None = None
    done: bool = False


class Combined(Generic[Thing, Answer]):
    """Runs ``work(workspace_id, things)``, which answers each thing in order, for many requests at once."""

    def __init__(
        self,
        work: Callable[[int, Sequence[Thing]], Sequence[Answer]],
        *,
        most: int,
        longest_wait: float = LONGEST_WAIT,
    ) -> None:
        self._work, self._most, self._longest_wait = work, most, longest_wait
        self._lock = threading.Lock()
        # of each workspace that is at work: who waits for the next turn
        self._waiting: dict[int, list[_Ticket[Thing, Answer]]] = {}

    def answers(self, workspace_id: int, things: Sequence[Thing]) -> Sequence[Answer]:
        """The answers to ``things``; raises what the work raised."""
        ticket: _Ticket[Thing, Answer] = _Ticket(things)
        with self._lock:
            leads = workspace_id not in self._waiting
            self._waiting.setdefault(workspace_id, []).append(ticket)
        if not leads and not ticket.called.wait(self._longest_wait):
            self._leave(workspace_id, ticket)
        if not ticket.done:
            self._lead(workspace_id)
        if ticket.error is not None:
            raise ticket.error
        return ticket.answers

    def _lead(self, workspace_id: int) -> None:
        """Take one turn with those who wait, and call the next to lead."""
        turn = self._next(workspace_id)
        try:
            self._run(workspace_id, turn)
        finally:
            self._call(workspace_id, turn)

    def _call(self, workspace_id: int, turn: Sequence[_Ticket[Thing, Answer]]) -> None:
        """Let those go whose turn it was, and the first who waits lead."""
        with self._lock:
            waiting = self._waiting[workspace_id]
            if waiting:
                waiting[0].called.set()
            else:
                del self._waiting[workspace_id]
        for ticket in turn:
            if not ticket.done:
                # the thread that led was ended
                ticket.error, ticket.done = UnavailableError(TOO_LONG), True
            ticket.called.set()

    def _next(self, workspace_id: int) -> list[_Ticket[Thing, Answer]]:
        """The first who wait, as many as go together."""
        with self._lock:
            waiting = self._waiting[workspace_id]
            count, together = 1, len(waiting[0].things)
            while count < len(waiting) and together + len(waiting[count].things) <= self._most:
                together += len(waiting[count].things)
                count += 1
            turn, self._waiting[workspace_id] = waiting[:count], waiting[count:]
            return turn

    def _run(self, workspace_id: int, turn: Sequence[_Ticket[Thing, Answer]]) -> None:
        things = [thing for ticket in turn for thing in ticket.things]
        try:
            answers = self._work(workspace_id, things)
        except Exception as error:
            if len(turn) > 1 and not is_away(error):
                # nobody fails for what another one sent
                for ticket in turn:
                    self._run(workspace_id, [ticket])
                return
            for ticket in turn:
                ticket.error, ticket.done = error, True
            return
        start = 0
        for ticket in turn:
            ticket.answers, ticket.done = answers[start : start + len(ticket.things)], True
            start += len(ticket.things)

    def _leave(self, workspace_id: int, ticket: _Ticket[Thing, Answer]) -> None:
        """Wait no longer; unless it was called at this very moment."""
        with self._lock:
            waiting = self._waiting.get(workspace_id, [])
            if ticket in waiting and not ticket.called.is_set():
                waiting.remove(ticket)
                raise UnavailableError(TOO_LONG)
        ticket.called.wait()
