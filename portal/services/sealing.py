"""Secrets that must be read again, such as an app's: encrypted with keys made of ``PORTAL_SECRET_KEY``.

A copy of the database alone is worth nothing; older keys (``PORTAL_PREVIOUS_SECRET_KEYS``) still open.
"""

import base64
import hashlib
import hmac

from portal.config import Settings

PURPOSE = b"portal: sealed secrets"


def seal(settings: Settings, secret: str) -> str:
    """``secret`` as it may be stored."""
    # loaded here: only those who use a second factor need it, and it is large
    from cryptography.fernet import Fernet

    return str(Fernet(_key(settings.secret_key)).encrypt(secret.encode()).decode())


def unseal(settings: Settings, sealed: str) -> str | None:
    """What was sealed, or None if no key that is known opens it."""
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

    keys = [Fernet(_key(each)) for each in (settings.secret_key, *settings.previous_secret_keys)]
    try:
        return str(MultiFernet(keys).decrypt(sealed.encode()).decode())
    except InvalidToken:
        return None


def _key(secret_key: str) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(secret_key.encode(), PURPOSE, hashlib.sha256))
