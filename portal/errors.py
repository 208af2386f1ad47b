"""What can go wrong in the portal's own words: a code, a line for the log, a line for the person.

Those words are written here and in the services in English, marked by ``N_``; the pages say them in the
reader's language. So the services need know nothing of pages and languages.
"""

from collections.abc import Mapping


class Text(str):
    """A sentence for a person: a string of its English words that can be said in another language.

    ``template`` is the text to translate, ``params`` what stands in its ``%(name)s``.
    """

    template: str
    params: Mapping[str, object]

    def __new__(cls, template: str, params: Mapping[str, object]) -> "Text":
        """The words of ``template`` with ``params`` in their places."""
        made = super().__new__(cls, template % params if params else template)
        made.template, made.params = template, dict(params)
        return made

    def __deepcopy__(self, memo: object) -> "Text":
        """Itself, since nothing of it changes."""
        return self


def N_(template: str, /, **params: object) -> Text:
    """Mark a text for translation where none can happen yet; ``web`` translates it (``translated``)."""
    return Text(template, params)


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
