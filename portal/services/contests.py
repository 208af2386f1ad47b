"""Contesting a resolution: what its own events prove is taken back at once, the rest support decides.

A unit is contested once. Taking it back is what any taking back is (``outcomes.take_out``): in the commit of
the decision the ledger gets an entry, and Stripe's meter, or a credit note, follows from it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError, PortalError
from portal.gateways import Gateways
from portal.models import BillingDetails, Contest, ConversationEvent, Resolution
from portal.pricing import outcomes as rules
from portal.services import audit, incidents, letters, outcomes, resolution_evidence
from portal.services.units import ACCEPTED
from portal.services.usage_ledger import METER

OPEN, REFUSED = "open", "refused"
CAME_BACK, HUMAN_REPLIED, GREETING, TEST, OTHER = (
    "came_back", "human_replied", "greeting", "test", "other",
)  # fmt: skip
REASONS = (CAME_BACK, HUMAN_REPLIED, GREETING, TEST, OTHER)
LONGEST_COMMENT = 1000
LONGEST_ANSWER = 1000
# so long after it became billable; the invoice that bills it is then a month old or more
CONTESTABLE = timedelta(days=60)
MAY_CONTEST = "billing"
LISTED = 200
TEST_CHANNELS = ("test", "sandbox", "preview")
OF_UNIT = (Resolution.conversation_id == Contest.conversation_id) & (Resolution.episode == Contest.episode)
WRITING = text("SELECT pg_advisory_xact_lock(hashtextextended('contests:' || app_workspace_id()::text, 0))")


class NotContestableError(PortalError):
    """Nothing is charged for the unit, or it is too late."""

    code = "not_contestable"


def contest(
    gateways: Gateways,
    workspace_id: int,
    user_id: int,
    conversation_id: str,
    episode: int,
    *,
    reason: str,
    comment: str = "",
) -> Contest:
    """Contest a unit that is charged: taken back at once if its events prove it, else support decides.

    Who asks twice gets what came of the first. Raises NotFoundError and NotContestableError.
    """
    if reason not in REASONS:
        raise ValueError(f"{reason} is no reason")
    with unit_of_work(workspace_id, user_id=user_id) as session:
        # of two clicks the second waits, and finds what the first did
        session.execute(WRITING)
        known = of_unit(session, conversation_id, episode)
        if known is not None:
            return known
        unit = _charged(session, gateways, conversation_id, episode)
        proved = is_proved(reason, unit, _events(session, conversation_id))
        made = Contest(
            workspace_id=workspace_id,
            conversation_id=conversation_id,
            episode=episode,
            reason=reason,
            comment=comment.strip()[:LONGEST_COMMENT] or None,
            state=OPEN,
            by_rule=proved,
            created_by=user_id,
            created_at=gateways.clock.now(),
        )
        session.add(made)
        audit.record(session, "contest.made", user_id=user_id, after=_facts(made) | {"reason": reason})
        if proved:
            _decide(session, gateways, made, ACCEPTED)
        else:
            unit.contest = OPEN
            _ask_support(session, gateways, made)
        return made


def _charged(session: Session, gateways: Gateways, conversation_id: str, episode: int) -> Resolution:
    """The unit, locked, if it may be contested."""
    unit = session.scalars(
        select(Resolution)
        .where(Resolution.conversation_id == conversation_id, Resolution.episode == episode)
        .with_for_update()
    ).first()
    if unit is None:
        raise NotFoundError(N_("There is no such resolution."))
    if not is_charged(unit):
        raise NotContestableError(
            N_("Nothing is charged for this resolution, so there is nothing to contest.")
        )
    if not is_in_time(unit, gateways.clock.now()):
        raise NotContestableError(
            N_(
                "A resolution can be contested for %(days)s days. Write to us about older ones.",
                days=CONTESTABLE.days,
            )
        )
    return unit


def is_in_time(unit: Resolution, now: datetime) -> bool:
    """Whether it is not too late to contest the unit."""
    return unit.billable_at is not None and now <= unit.billable_at + CONTESTABLE


def is_charged(unit: Resolution) -> bool:
    """Whether the unit stands in the ledger as something to be paid."""
    return unit.state == rules.BILLABLE and unit.counts and unit.charge == METER


def is_proved(reason: str, unit: Resolution, events: Iterable[ConversationEvent]) -> bool:
    """Whether the conversation's own events show what the customer says, so that nobody need look.

    A person's reply also counts long after the unit became billable, when by the rules alone it changes
    nothing; a greeting is one that was sent as an answer as well, at the same instant.
    """
    known = list(events)
    since = [event for event in known if unit.answered_at is None or event.occurred_at >= unit.answered_at]
    answered, greeted = (
        {event.occurred_at for event in known if event.type == each}
        for each in (rules.AI_ANSWERED, rules.AI_GREETED)
    )
    proofs = {
        CAME_BACK: any(event.type in rules.RETURNS for event in since),
        HUMAN_REPLIED: any(event.type == rules.HUMAN_REPLIED for event in since),
        GREETING: bool(answered) and answered <= greeted,
        TEST: any(event.test or event.channel.lower() in TEST_CHANNELS for event in known),
    }
    return proofs.get(reason, False)


def _events(session: Session, conversation_id: str) -> Sequence[ConversationEvent]:
    statement = select(ConversationEvent).where(ConversationEvent.conversation_id == conversation_id)
    return session.scalars(statement.limit(resolution_evidence.MOST_EVENTS)).all()


def decide(
    gateways: Gateways, workspace_id: int, conversation_id: str, episode: int, *, accepted: bool, answer: str
) -> Contest:
    """Support's answer to an open contest: taken back, or it stays; the customer is mailed.

    Raises NotFoundError, and ConflictError when it is decided already, or cannot stay.
    """
    with unit_of_work(workspace_id) as session:
        session.execute(WRITING)
        found = of_unit(session, conversation_id, episode)
        if found is None:
            raise NotFoundError(f"Workspace {workspace_id} did not contest {conversation_id} ({episode}).")
        if found.state != OPEN:
            raise ConflictError(f"This contest is {found.state} already.")
        if not accepted and not _unit(session, found).counts:
            # to say that it stays would be wrong
            raise ConflictError("The resolution was taken back already by its conversation. Accept it.")
        found.answer = " ".join(answer.split())[:LONGEST_ANSWER] or None
        _decide(session, gateways, found, ACCEPTED if accepted else REFUSED, actor="support")
        _tell(session, gateways, found)
        return found


def sweep(gateways: Gateways) -> int:
    """Accept the open contests whose unit its conversation has taken back since, and mail it; of how many."""
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(Contest.workspace_id, Contest.conversation_id, Contest.episode)
            .join(Resolution, (Resolution.workspace_id == Contest.workspace_id) & OF_UNIT)
            .where(Contest.state == OPEN, ~Resolution.counts)
            .order_by(func.random())
            .limit(LISTED)
        ).all()
    return sum(_came_back(gateways, *unit) for unit in due)


def _came_back(gateways: Gateways, workspace_id: int, conversation_id: str, episode: int) -> bool:
    with unit_of_work(workspace_id) as session:
        session.execute(WRITING)
        found = session.get_one(Contest, (workspace_id, conversation_id, episode))
        if found.state != OPEN or _unit(session, found).counts:
            return False
        found.by_rule = True
        _decide(session, gateways, found, ACCEPTED)
        _tell(session, gateways, found)
        return True


def _decide(
    session: Session, gateways: Gateways, made: Contest, state: str, *, actor: str = audit.SYSTEM
) -> None:
    session.flush()
    if state == ACCEPTED:
        outcomes.take_out(session, gateways, made.workspace_id, made.conversation_id, made.episode)
        # take_out reads its rows anew
        session.refresh(made)
    unit = _unit(session, made)
    unit.contest = made.state = state
    made.decided_at = gateways.clock.now()
    audit.record(session, f"contest.{state}", actor=actor, after=_facts(made))


def _unit(session: Session, row: Contest) -> Resolution:
    return session.get_one(Resolution, (row.workspace_id, row.conversation_id, row.episode))


def _facts(row: Contest) -> dict[str, object]:
    return {"conversation": row.conversation_id, "episode": row.episode}


def _ask_support(session: Session, gateways: Gateways, made: Contest) -> None:
    incidents.report(
        session,
        gateways,
        "contest",
        dedupe_key=f"contest:{made.workspace_id}:{made.conversation_id}:{made.episode}",
        workspace_id=made.workspace_id,
        summary="A customer contests a resolution; see flask support contest show, then accept or refuse",
        details=_facts(made) | {"reason": made.reason, "comment": made.comment},
    )


def _tell(session: Session, gateways: Gateways, row: Contest) -> None:
    details = session.get_one(BillingDetails, row.workspace_id)
    letters.send(
        session,
        gateways,
        "contest_answer",
        details.email,
        dedupe_key=f"contest_answer:{row.workspace_id}:{row.conversation_id}:{row.episode}",
        workspace_id=row.workspace_id,
        facts=_facts(row) | {"accepted": row.state == ACCEPTED, "by_rule": row.by_rule, "answer": row.answer},
    )


def of_unit(session: Session, conversation_id: str, episode: int) -> Contest | None:
    """The contest of a unit, if there is one."""
    return session.get(Contest, (session.info["workspace_id"], conversation_id, episode))


def unanswered(session: Session) -> Sequence[Contest]:
    """Open contests of all workspaces, the oldest first; ``session`` is the system's."""
    return session.scalars(
        select(Contest).where(Contest.state == OPEN).order_by(Contest.created_at).limit(LISTED)
    ).all()
