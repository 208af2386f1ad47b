"""The link of an invitation: signed, and bound to one row by that row's own random key.

When it ends is in the row, so that sending it again makes it good for longer and revoking ends it at once.
"""

import secrets
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeSerializer

from portal.config import Settings
from portal.models import Invitation

SALT = "invitation"
KEY_BYTES = 24


@dataclass(frozen=True)
class Link:
    """What a link that we signed names."""

    workspace_id: int
    invitation_id: int
    key: str


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_urlsafe(KEY_BYTES)


def sign(settings: Settings, invitation: Invitation) -> str:
    """The token of the invitation's link."""
    return str(_signer(settings).dumps([invitation.workspace_id, invitation.id, invitation.key]))


def read(settings: Settings, token: str) -> Link | None:
    """What ``token`` names; nothing if it is not, or not all of, what we signed."""
    try:
        workspace_id, invitation_id, key = _signer(settings).loads(token)
    except (BadData, ValueError, TypeError):
        return None
    return Link(int(workspace_id), int(invitation_id), str(key))


def address(settings: Settings, invitation: Invitation) -> str:
    """The whole link."""
    return f"{settings.base_url}/invitations/{sign(settings, invitation)}"


def _signer(settings: Settings) -> URLSafeSerializer:
    # the newest key signs; the library takes it from the end
    keys = [*reversed(settings.previous_secret_keys), settings.secret_key]
    return URLSafeSerializer(keys, salt=SALT)
