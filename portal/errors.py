"""What can go wrong in the portal's own words: a code, a line for the log, a line for the person."""


class PortalError(Exception):
    """Base of every refusal. ``code`` is stable and machine-readable; ``message`` is shown to the person.

    ``status`` is the HTTP status that ``web`` answers with; ``log`` is for the log only.
    """

    code = "error"
    status = 400

    def __init__(self, message: str, *, log: str | None = None, param: str | None = None) -> None:
        super().__init__(log or message)
        self.message = message
        self.param = param


class NotFoundError(PortalError):
    """The thing does not exist, or not for this workspace; the two are never told apart."""

    code = "not_found"
    status = 404


class ConflictError(PortalError):
    """The state changed meanwhile; the message says what to do next."""

    code = "conflict"
    status = 409


class UnavailableError(PortalError):
    """A neighbour (Stripe, the database) did not answer; nothing was decided."""

    code = "unavailable"
    status = 503
