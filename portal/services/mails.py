"""Mail: a row in the transaction that wants it, then a job, then a sweeper for what was left over."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import new_key, unit_of_work
from portal.errors import UnavailableError
from portal.gateways import Gateways
from portal.gateways.jobs import Jobs
from portal.gateways.mail import MailGateway, Message
from portal.models import Mail

TASK = "mails.deliver"
MOST_TRIES = 12
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)
# a job that runs now is left alone by the sweeper
JOB_HEAD_START = timedelta(seconds=30)
SWEEP_BATCH = 100


def queue(
    session: Session,
    jobs: Jobs,
    *,
    kind: str,
    recipient: str,
    subject: str,
    text: str,
    html: str | None = None,
    dedupe_key: str | None = None,
    workspace_id: int | None = None,
) -> int | None:
    """Write the mail and its job in ``session``'s transaction; None if ``dedupe_key`` was mailed before."""
    mail_id = new_key(session, Mail)
    statement = (
        insert(Mail)
        .values(
            id=mail_id,
            kind=kind,
            recipient=recipient,
            subject=subject,
            text_body=text,
            html_body=html,
            dedupe_key=dedupe_key,
            workspace_id=workspace_id,
            next_try_at=func.clock_timestamp() + JOB_HEAD_START,
        )
        # by no key and returning nothing: a mail of no workspace cannot be read back
        .on_conflict_do_nothing()
        .execution_options(preserve_rowcount=True)
    )
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        return None
    jobs.defer(session, TASK, mail_id=mail_id)
    return mail_id


def deliver(gateway: MailGateway, mail_id: int) -> bool:
    """Hand one mail over, once; after a failure it is due again later. False if there was nothing to do.

    The row is claimed first (its next try is moved on), so that two deliverers never send it both; no
    transaction is open while the mail server is talked to.
    """
    message = _claim(mail_id)
    if message is None:
        return False
    try:
        gateway.send(message)
    except UnavailableError as error:
        _record(mail_id, error=str(error))
        return False
    _record(mail_id, error=None)
    return True


def sweep(gateways: Gateways) -> int:
    """Queue a job for every mail that is due and has none any more; returns how many."""
    with unit_of_work(system=True) as session:
        due = session.scalars(
            select(Mail.id)
            .where(
                Mail.sent_at.is_(None), Mail.tries < MOST_TRIES, Mail.next_try_at <= func.clock_timestamp()
            )
            .order_by(Mail.next_try_at)
            .limit(SWEEP_BATCH)
        ).all()
        for mail_id in due:
            gateways.jobs.defer(session, TASK, queueing_lock=f"mail:{mail_id}", mail_id=mail_id)
    return len(due)


def _claim(mail_id: int) -> Message | None:
    with unit_of_work(system=True) as session:
        mail = session.scalars(
            select(Mail).where(Mail.id == mail_id).with_for_update(skip_locked=True)
        ).first()
        if mail is None or mail.sent_at is not None or mail.tries >= MOST_TRIES:
            return None
        wait = min(FIRST_WAIT * 2**mail.tries, LONGEST_WAIT)
        mail.tries += 1
        mail.next_try_at = session.execute(select(func.clock_timestamp() + wait)).scalar_one()
        identifier = f"mail-{mail.id}.{int(mail.created_at.timestamp())}"
        return Message(identifier, mail.recipient, mail.subject, mail.text_body, mail.html_body)


def _record(mail_id: int, *, error: str | None) -> None:
    with unit_of_work(system=True) as session:
        mail = session.get_one(Mail, mail_id)
        mail.error = error
        if error is None:
            mail.sent_at = session.execute(select(func.clock_timestamp())).scalar_one()
            # it may hold a link that lets its reader in
            mail.text_body, mail.html_body = "", None
