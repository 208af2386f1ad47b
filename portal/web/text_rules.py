"""Which characters no text of a form may hold: those that cannot be seen, and those that turn round what can.

Control characters mean nothing in a name or an address, and PostgreSQL keeps no NUL. Bidirectional overrides
and isolates make a reader see another text than the one that is stored.
"""

import re

from flask_babel import lazy_gettext as _
from wtforms import Field, Form
from wtforms.validators import StopValidation

# C0 with NUL, DEL, C1; U+2028 and U+2029 break lines as well; lone surrogates cannot be encoded
CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
# LRE RLE PDF LRO RLO, and LRI RLI FSI PDI
OVERRIDES = "\u202a-\u202e\u2066-\u2069"
CONTROL = re.compile(f"[{CONTROLS}]")
FORBIDDEN = re.compile(f"[{CONTROLS}{OVERRIDES}]")
LAYOUT = str.maketrans("", "", "\t\n\r")

NOT_PLAIN = _("Remove the invisible characters: control characters and direction overrides are not accepted.")


def is_plain(text: str, *, lines: bool = False) -> bool:
    """Whether ``text`` holds only characters that a reader sees as they are stored.

    ``lines`` lets tabs and line ends pass, for what may be longer than a line.
    """
    return FORBIDDEN.search(text.translate(LAYOUT) if lines else text) is None


def has_controls(text: str, *, lines: bool = False) -> bool:
    """Whether ``text`` holds what no browser sends; ``lines`` as in ``is_plain``."""
    return CONTROL.search(text.translate(LAYOUT) if lines else text) is not None


class PlainText:
    """WTForms validator for every text field: refuses what is not plain, as it was sent; see ``is_plain``.

    Put it first, so that the validators after it never see such a text. It looks at what the browser sent as
    well as at ``data``, since a filter may have taken the characters out.
    """

    def __init__(self, message: object = NOT_PLAIN, *, lines: bool = False) -> None:
        self.message, self.lines = message, lines

    def __call__(self, form: Form, field: Field) -> None:
        data = [field.data] if isinstance(field.data, str) else []
        sent = [each for each in field.raw_data or () if isinstance(each, str)]
        if not all(is_plain(each, lines=self.lines) for each in [*data, *sent]):
            field.errors = []
            raise StopValidation(str(self.message))
