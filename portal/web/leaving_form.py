"""Why somebody leaves: both answers may be left out."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import SelectChoice, SelectField, TextAreaField
from wtforms.validators import Length, Optional

from portal.services.leaving import FEEDBACK
from portal.web.text_rules import PlainText

LONGEST_COMMENT = 500

REASONS = {
    "too_expensive": _("It costs too much"),
    "missing_features": _("Something that we need is missing"),
    "switched_service": _("We use something else now"),
    "unused": _("We do not use it enough"),
    "customer_service": _("We were not helped well"),
    "too_complex": _("It is too complicated"),
    "low_quality": _("It does not work well enough"),
    "other": _("Another reason"),
}


class ReasonForm(FlaskForm):  # type: ignore[misc]
    """The reason, in Stripe's words, and a comment."""

    feedback = SelectField(
        _("Why are you leaving?"),
        [Optional()],
        choices=[
            SelectChoice("", _("I would rather not say")),
            *(SelectChoice(key, REASONS[key]) for key in FEEDBACK),
        ],
    )
    comment = TextAreaField(
        _("What could we have done better?"),
        [
            Optional(),
            PlainText(lines=True),
            Length(max=LONGEST_COMMENT, message=_("Use at most 500 characters.")),
        ],
    )

    def answers(self) -> dict[str, str | None]:
        """What was answered, as ``leaving.ask`` takes it."""
        return {"feedback": self.feedback.data or None, "comment": (self.comment.data or "").strip() or None}
