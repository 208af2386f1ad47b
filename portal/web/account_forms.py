"""The forms of signing up, in and of changing a login, with our labels and limits."""

from typing import Any

from flask_babel import lazy_gettext as _
from flask_security.change_email import ChangeEmailForm
from flask_security.forms import (
    ChangePasswordForm,
    EmailValidation,
    ForgotPasswordForm,
    LoginForm,
    RegisterFormV2,
    ResetPasswordForm,
    SendConfirmationForm,
    email_required,
    password_required,
    unique_user_email,
    valid_user_email,
)
from flask_security.utils import validate_redirect_url
from flask_wtf import FlaskForm
from wtforms import EmailField, Field, PasswordField, StringField, SubmitField
from wtforms.validators import DataRequired, Length

from portal.web.account_mail import PASSWORD_LENGTH_MAX
from portal.web.text_rules import PlainText

COMPANY_NAME_MAX = 120
EMAIL_MAX = 254
TOO_LONG = _("Use at most %(max)d characters.")

EMAIL_RULES = [PlainText(), email_required, Length(max=EMAIL_MAX, message=TOO_LONG)]
PASSWORD_RULES = [PlainText(), password_required, Length(max=PASSWORD_LENGTH_MAX, message=TOO_LONG)]

NEW_PASSWORD = {"autocomplete": "new-password"}
PRESENT_PASSWORD = {"autocomplete": "current-password"}
EMAIL = {"autocomplete": "email", "inputmode": "email"}
USERNAME = {"autocomplete": "username", "inputmode": "email"}


def _strip(value: str | None) -> str | None:
    return " ".join(value.split()) if value else value


def _company_name() -> StringField:
    return StringField(
        _("Company name"),
        filters=[_strip],
        render_kw={"autocomplete": "organization"},
        validators=[
            PlainText(),
            DataRequired(_("Enter your company's name.")),
            Length(max=COMPANY_NAME_MAX, message=TOO_LONG),
        ],
    )


class WorkspaceForm(FlaskForm):
    """A further company, for a login that is there."""

    company_name = _company_name()


class GoesOn:
    """Where somebody wanted to go: an address elsewhere is dropped, and the usual page takes its place."""

    def validate_next(self, field: Field) -> None:
        """Unlike the library's own, which has the whole form filled in once more."""
        if field.data and not validate_redirect_url(field.data):
            field.data = ""


class SignUpForm(GoesOn, RegisterFormV2):
    """A company, its first person, and where that person wanted to go."""

    company_name = _company_name()
    email = EmailField(
        _("Work e-mail"),
        render_kw=EMAIL,
        validators=[*EMAIL_RULES, EmailValidation(verify=True), unique_user_email],
    )
    password = PasswordField(
        _("Password"),
        description=_("At least 8 characters. A few words in a row are easy to keep in mind."),
        render_kw=NEW_PASSWORD,
        validators=PASSWORD_RULES,
    )
    submit = SubmitField(_("Create account"))


class SignInForm(GoesOn, LoginForm):
    """Address and password; a sign-in lasts as the settings say, there is no "remember me"."""

    email = EmailField(
        _("E-mail"), render_kw=USERNAME, validators=[*EMAIL_RULES, EmailValidation(verify=False)]
    )
    password = PasswordField(_("Password"), render_kw=PRESENT_PASSWORD, validators=PASSWORD_RULES)
    remember = None
    submit = SubmitField(_("Sign in"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.password.description = ""


class AskResetForm(ForgotPasswordForm):
    """Where to mail the link for a new password."""

    email = EmailField(
        _("E-mail"),
        render_kw=USERNAME,
        validators=[*EMAIL_RULES, EmailValidation(verify=False), valid_user_email],
    )
    submit = SubmitField(_("Send the link"))

    def validate(self, **kwargs: Any) -> bool:
        """As the library, but for who never confirmed the address: this link, too, proves whose it is."""
        if super().validate(**kwargs):
            return True
        if not self.requires_confirmation:
            return False
        self.requires_confirmation = False
        self.email.errors = []
        return True


class NewPasswordForm(ResetPasswordForm):
    """A new password, after the mailed link."""

    password = PasswordField(
        _("New password"),
        description=_("At least 8 characters."),
        render_kw=NEW_PASSWORD,
        validators=PASSWORD_RULES,
    )
    password_confirm = None
    submit = SubmitField(_("Set the password"))


class AskConfirmationForm(SendConfirmationForm):
    """Where to mail the confirmation link again."""

    email = EmailField(
        _("E-mail"),
        render_kw=USERNAME,
        validators=[*EMAIL_RULES, EmailValidation(verify=False), valid_user_email],
    )
    submit = SubmitField(_("Send the link"))


class PasswordForm(ChangePasswordForm):
    """The present password and the new one."""

    password = PasswordField(_("Present password"), render_kw=PRESENT_PASSWORD, validators=PASSWORD_RULES)
    new_password = PasswordField(
        _("New password"),
        description=_("At least 8 characters."),
        render_kw=NEW_PASSWORD,
        validators=PASSWORD_RULES,
    )
    new_password_confirm = None
    submit = SubmitField(_("Change the password"))


class EmailForm(ChangeEmailForm):
    """The new address; it counts once its link was followed."""

    email = EmailField(
        _("New e-mail"),
        render_kw=EMAIL,
        validators=[*EMAIL_RULES, EmailValidation(verify=True), unique_user_email],
    )
    submit = SubmitField(_("Send the link"))


FORMS = {
    "register_form": SignUpForm,
    "login_form": SignInForm,
    "forgot_password_form": AskResetForm,
    "reset_password_form": NewPasswordForm,
    "send_confirmation_form": AskConfirmationForm,
    "change_password_form": PasswordForm,
    "change_email_form": EmailForm,
}
