"""The words of /billing/activity for changes of how somebody signs in."""

from flask_babel import lazy_gettext as _

from portal.services import factor_changes

SIGN_IN_NOUNS = dict.fromkeys(("authenticator", "recovery_codes", "passkey", "factors"), "sign_in")
SIGN_IN_SENTENCES: dict[str, object] = {
    factor_changes.APP_ON: _("Turned two-step sign-in on"),
    factor_changes.APP_OFF: _("Turned two-step sign-in off"),
    factor_changes.CODES_NEW: _("Made new recovery codes"),
    factor_changes.PASSKEY_ADDED: _("Added the passkey %(name)s"),
    factor_changes.PASSKEY_REMOVED: _("Removed the passkey %(name)s"),
    factor_changes.RESET: _("Took a lost second step off the login of %(member)s"),
}
