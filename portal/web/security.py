"""What every response carries: the content security policy as data, with a nonce, and the other headers."""

import secrets

from flask import Flask, g, request
from werkzeug.wrappers import Response

from portal.config import Settings

NONCE_BYTES = 16
HSTS_SECONDS = 2 * 365 * 24 * 3600

# docs.stripe.com/security/guide#content-security-policy, with Link's hosts
STRIPE_HOSTS = {
    "script-src": ["https://js.stripe.com", "https://*.js.stripe.com"],
    "frame-src": [
        "https://js.stripe.com",
        "https://*.js.stripe.com",
        "https://hooks.stripe.com",
        "https://link.com",
        "https://*.link.com",
    ],
    "connect-src": ["https://api.stripe.com", "https://link.com", "https://*.link.com"],
    "img-src": ["https://*.stripe.com", "https://*.link.com"],
}

POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "frame-src": [],
    "manifest-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}
WITH_NONCE = ("script-src", "style-src")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    # Stripe's redirect methods open popups, which same-origin would cut off
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def csp_nonce() -> str:
    """This response's nonce; the same one however often it is asked for."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(NONCE_BYTES)
    return str(g.csp_nonce)


def policy(settings: Settings, nonce: str | None) -> str:
    """The Content-Security-Policy: ourselves, and Stripe's hosts or the sandbox's, whichever is in use."""
    sandbox = settings.sandbox_url
    extra = {name: [sandbox] for name in STRIPE_HOSTS} if sandbox else STRIPE_HOSTS
    parts = []
    for directive, own in POLICY.items():
        sources = [*own, *extra.get(directive, [])]
        if nonce and directive in WITH_NONCE:
            sources.append(f"'nonce-{nonce}'")
        parts.append(" ".join([directive, *(sources or ["'none'"])]))
    return "; ".join(parts)


def permissions(settings: Settings) -> str:
    """The Permissions-Policy: payment for Stripe's frames, nothing else for anybody."""
    origin = settings.sandbox_url or "https://js.stripe.com"
    return f'camera=(), geolocation=(), microphone=(), usb=(), payment=(self "{origin}")'


class Seal:
    """The headers that an answer carries unless it says otherwise itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._always = {
            **HEADERS,
            "Content-Security-Policy": policy(settings, None),
            "Permissions-Policy": permissions(settings),
            "Cache-Control": "no-store",
        }

    def put(self, response: Response, *, secure: bool, nonce: str | None = None) -> None:
        """Add what ``response`` lacks; ``nonce`` is that of its inline elements, if it has any."""
        wanted = self._always
        if nonce:
            wanted = wanted | {"Content-Security-Policy": policy(self._settings, nonce)}
        if secure and self._settings.production:
            wanted = wanted | {"Strict-Transport-Security": f"max-age={HSTS_SECONDS}; includeSubDomains"}
        said = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 (iterating gives pairs)
        for name, value in wanted.items():
            if name.lower() not in said:
                response.headers.add(name, value)


def protect(app: Flask, settings: Settings) -> None:
    """Seal every response of ``app``, errors too."""
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    seal = Seal(settings)

    @app.after_request
    def add_headers(response: Response) -> Response:
        seal.put(response, secure=request.is_secure, nonce=g.get("csp_nonce"))
        return response
