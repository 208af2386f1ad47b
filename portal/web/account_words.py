"""Flask-Security's messages and subjects in the portal's words."""

from flask_babel import lazy_gettext as _

MESSAGES = {
    "GENERIC_AUTHN_FAILED": (_("That e-mail address and password do not belong together."), "error"),
    "GENERIC_RECOVERY": (
        _("If there is an account for that address, a mail with a link is on its way."),
        "info",
    ),
    "PASSWORD_RESET_REQUEST": (
        _("If there is an account for %(email)s, a mail with a link to set a new password is on its way."),
        "info",
    ),
    "CONFIRM_REGISTRATION": (_("We have sent a link to %(email)s."), "info"),
    "CONFIRMATION_REQUEST": (
        _("If %(email)s waits to be confirmed, a mail with a new link is on its way."),
        "info",
    ),
    "EMAIL_CONFIRMED": (_("Your e-mail address is confirmed. Sign in to go on."), "success"),
    "ALREADY_CONFIRMED": (_("That address was confirmed before. Sign in to go on."), "info"),
    "INVALID_CONFIRMATION_TOKEN": (_("That link is not complete or not valid. Ask for a new one."), "error"),
    "CONFIRMATION_EXPIRED": (_("That link was good for %(within)s and is over. Ask for a new one."), "error"),
    "CONFIRMATION_REQUIRED": (_("Confirm your e-mail address first."), "error"),
    "INVALID_RESET_PASSWORD_TOKEN": (
        _("That link is not complete or was used before. Ask for a new one."),
        "error",
    ),
    "PASSWORD_RESET_EXPIRED": (
        _("That link was good for %(within)s and is over. Ask for a new one."),
        "error",
    ),
    "PASSWORD_RESET_NO_LOGIN": (_("Your new password is set. Sign in with it."), "success"),
    "PASSWORD_CHANGE": (_("Your new password is set. All other browsers were signed out."), "success"),
    "PASSWORD_IS_THE_SAME": (_("The new password is the present one. Choose another."), "error"),
    "PASSWORD_INVALID_LENGTH": (_("Use at least %(length)s characters."), "error"),
    "PASSWORD_NOT_PROVIDED": (_("Enter a password."), "error"),
    "INVALID_PASSWORD": (_("That is not your present password."), "error"),
    "EMAIL_NOT_PROVIDED": (_("Enter your e-mail address."), "error"),
    "INVALID_EMAIL_ADDRESS": (_("Enter an address such as name@company.com."), "error"),
    "CHANGE_EMAIL_SENT": (
        _("We have sent a link to %(email)s. The address changes when you follow it."),
        "info",
    ),
    "CHANGE_EMAIL_CONFIRMED": (_("Your new e-mail address is confirmed."), "success"),
    "CHANGE_EMAIL_EXPIRED": (_("That link was good for %(within)s and is over. Start again."), "error"),
    "API_ERROR": (_("That link is not valid any more. Start again."), "error"),
    "UNAUTHENTICATED": (_("Sign in to go on."), "info"),
    "INVALID_REDIRECT": (_("The address to go on to was not one of ours and was left out."), "error"),
    "DISABLED_ACCOUNT": (_("This login is closed."), "error"),
}

SUBJECTS = {
    "EMAIL_SUBJECT_REGISTER": _("Confirm your e-mail address"),
    "EMAIL_SUBJECT_CONFIRM": _("Confirm your e-mail address"),
    "EMAIL_SUBJECT_PASSWORD_RESET": _("Set a new password"),
    "EMAIL_SUBJECT_PASSWORD_NOTICE": _("Your password was changed"),
    "EMAIL_SUBJECT_PASSWORD_CHANGE_NOTICE": _("Your password was changed"),
    "CHANGE_EMAIL_SUBJECT": _("Confirm your new e-mail address"),
}
