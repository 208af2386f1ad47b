"""Contesting a resolution: why, and what support should know."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectChoice, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.services import contests
from portal.web.text_rules import PlainText

REASONS = {
    contests.CAME_BACK: _("The customer came back for more help"),
    contests.HUMAN_REPLIED: _("A person had to reply"),
    contests.GREETING: _("The AI only greeted"),
    contests.TEST: _("It was a test of ours"),
    contests.OTHER: _("It did not solve the problem, or something else"),
}


class ContestForm(FlaskForm):  # type: ignore[misc]
    """The reason, and a comment."""

    reason = RadioField(
        _("Why should it not be charged?"),
        [InputRequired(_("Choose why it should not be charged."))],
        choices=[SelectChoice(key, words) for key, words in REASONS.items()],
    )
    comment = TextAreaField(
        _("What should we know?"),
        [
            Optional(),
            PlainText(lines=True),
            Length(max=contests.LONGEST_COMMENT, message=_("Use at most 1,000 characters.")),
        ],
    )
