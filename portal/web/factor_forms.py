"""The forms that take a code, a name of a passkey, or the password once more."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField, SubmitField
from wtforms.validators import DataRequired, Length

from portal.services.passkeys import NAME_MAX
from portal.web.account_mail import PASSWORD_LENGTH_MAX
from portal.web.text_rules import PlainText

TOO_LONG = _("Use at most %(max)d characters.")
CODE_MAX = 40
CODE = {"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}
RECOVERY = {
    "autocomplete": "off",
    "autocapitalize": "off",
    "spellcheck": "false",
}


def _strip(value: str | None) -> str | None:
    return " ".join(value.split()) if value else value


class CodeForm(FlaskForm):  # type: ignore[misc]
    """Six digits from an authenticator app."""

    wrong = _("That code is not right, or it was used before. Wait for the next one and enter it.")

    code = StringField(
        _("Code"),
        description=_("Six digits, from your authenticator app."),
        render_kw=CODE,
        validators=[
            PlainText(),
            DataRequired(_("Enter the code that your app shows.")),
            Length(max=CODE_MAX, message=TOO_LONG),
        ],
    )
    submit = SubmitField(_("Go on"))


class RecoveryForm(FlaskForm):  # type: ignore[misc]
    """One of the codes that were kept for the day when the app is gone."""

    wrong = _("That is none of your recovery codes, or it was used before.")

    code = StringField(
        _("Recovery code"),
        description=_("Sixteen letters and digits, with or without the hyphens. Each works once."),
        render_kw=RECOVERY,
        validators=[
            PlainText(),
            DataRequired(_("Enter one of your recovery codes.")),
            Length(max=CODE_MAX, message=TOO_LONG),
        ],
    )
    submit = SubmitField(_("Go on"))


class PasswordAgainForm(FlaskForm):  # type: ignore[misc]
    """The password once more, before something that matters."""

    wrong = _("That is not your password.")

    password = PasswordField(
        _("Password"),
        render_kw={"autocomplete": "current-password"},
        validators=[
            PlainText(),
            DataRequired(_("Enter your password.")),
            Length(max=PASSWORD_LENGTH_MAX, message=TOO_LONG),
        ],
    )
    submit = SubmitField(_("Go on"))


class PasskeyForm(FlaskForm):  # type: ignore[misc]
    """A new passkey: what it is called, and the browser's answer, which the page's script puts in."""

    name = StringField(
        _("Name"),
        filters=[_strip],
        description=_("So that you know it again, such as “Office laptop”."),
        render_kw={"autocomplete": "off"},
        validators=[
            PlainText(),
            DataRequired(_("Give the passkey a name.")),
            Length(max=NAME_MAX, message=TOO_LONG),
        ],
    )
    credential = HiddenField()
    submit = SubmitField(_("Add a passkey"))
