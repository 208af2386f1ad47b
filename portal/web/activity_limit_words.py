"""The words of /billing/activity for usage: limits, alerts, what was allowed on top, what was contested."""

from flask_babel import lazy_gettext as _

LIMIT_SENTENCES: dict[str, object] = {
    "usage_limit.changed": _("Changed the limits of usage"),
    "usage_alert.chosen": _("Changed who is warned of usage, and when"),
    "cap_raise.allowed": _("Allowed the AI %(units)s resolutions more in this period"),
    "contest.made": _("Contested a resolution of conversation %(conversation)s"),
    "contest.accepted": _("Took a contested resolution of conversation %(conversation)s back"),
    "contest.refused": _("Let a contested resolution of conversation %(conversation)s stay"),
}
LIMIT_NOUNS = {
    "usage_limit": "usage",
    "usage_alert": "usage",
    "cap_raise": "usage",
    "contest": "usage",
}
LIMIT_LABELS: dict[str, object] = {
    "budget": _("Budget"),
    "cap_units": _("Cap, in resolutions"),
    "cap_amount": _("Cap, in money"),
    "cap": _("Cap, in resolutions"),
    "units": _("Resolutions"),
    "hard": _("Hard cap"),
    "at_cap": _("At the cap"),
    "approver": _("Approver"),
    "warned_at": _("Warned at"),
    "warned_by_forecast": _("Warned by the forecast"),
    "recipients": _("Told"),
}
LIMIT_AMOUNTS = {"budget", "cap_amount"}
LIMIT_STATES: dict[str, object] = {
    "stop": _("the AI stops"),
    "hand_over": _("people take over"),
    "ask_approver": _("an approver is asked"),
    "next_pack": _("the next pack is drawn"),
}
YES, NO = _("yes"), _("no")
