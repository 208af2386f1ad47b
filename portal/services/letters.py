"""Mails about money: worded by the web layer's templates, queued in the transaction that wants them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import BillingDetails, Mail
from portal.services import mails


def send(
    session: Session,
    gateways: Gateways,
    kind: str,
    recipient: str,
    *,
    dedupe_key: str,
    workspace_id: int | None,
    facts: dict[str, object],
) -> bool:
    """Queue the mail ``kind`` once per ``dedupe_key``; False when it was queued before.

    ``facts`` are what ``templates/mail/<kind>`` names, amounts in minor units.
    """
    if session.scalar(select(Mail.id).where(Mail.dedupe_key == dedupe_key)) is not None:
        return False
    letter = gateways.letters.write(kind, facts)
    queued = mails.queue(
        session,
        gateways.jobs,
        kind=kind,
        recipient=recipient,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        dedupe_key=dedupe_key,
        workspace_id=workspace_id,
    )
    return queued is not None


def tell(
    session: Session,
    gateways: Gateways,
    details: BillingDetails,
    kind: str,
    dedupe_key: str,
    facts: dict[str, object],
) -> bool:
    """The same to the workspace's billing address, by its company's name."""
    return send(
        session,
        gateways,
        kind,
        details.email,
        dedupe_key=dedupe_key,
        workspace_id=details.workspace_id,
        facts=facts | {"company_name": details.company_name, "base_url": gateways.settings.base_url},
    )
