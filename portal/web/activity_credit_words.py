"""The words of /billing/activity for annual credits: what was bought, taken back, and chosen."""

from flask_babel import lazy_gettext as _

CREDIT_SENTENCES: dict[str, object] = {
    "credit_purchase.open": _("A pack of %(units)s resolutions waits to be confirmed again"),
    "credit_purchase.paying": _("Confirmed a pack of %(units)s resolutions"),
    "credit_purchase.paid": _("A pack of %(units)s resolutions was paid and is on the balance"),
    "credit_purchase.granted": _("A pack of %(units)s resolutions pays for the next invoices"),
    "credit_purchase.refunding": _("A pack of %(units)s resolutions is being taken back"),
    "credit_purchase.refunded": _("A pack of %(units)s resolutions was taken back"),
    "credit_purchase.disputed": _("A bank disputes the payment of a pack of %(units)s resolutions"),
    "credit_purchase.void": _("A pack of %(units)s resolutions was not bought"),
    "credit_purchase.renewal_chosen": _("Changed whether a pack of %(units)s resolutions renews"),
    "credit_purchase.repeated": _("Support went on with a purchase of credits"),
    "credit_refund.begun": _("Asked for %(units)s resolutions to be taken back"),
    "credit_refund.done": _("%(units)s resolutions were taken back, and their price was given back"),
    "credit_refund.stuck": _("Taking %(units)s resolutions back goes on by hand; support has been told"),
    "credit_refund.undone": _("A dispute was won: %(units)s resolutions are on the balance again"),
    "credit.unit_returned": _("A billed resolution was taken back and returned to its pack"),
    "credit_grant.returned": _("%(units)s resolutions that returned pay for the next invoices"),
    "credit_grant.repriced": _("%(units)s resolutions of a pack pay for the next invoices at the new price"),
    "credit_grant.replaced": _(
        "%(units)s resolutions of a pack pay for the next invoices, since one was voided"
    ),
    "credit_grant.restored": _("%(units)s resolutions pay for the next invoices after a dispute"),
    "credit_lot.extended": _("A pack ends later, with a month of the new subscription"),
    "credit_lot.repriced": _("A pack follows the new price of a resolution; its units stay"),
    "credit_top_up.chosen": _("Changed what is bought by itself"),
    "credit_top_up.blocked": _("A pack of %(units)s resolutions was not bought by itself"),
}
CREDIT_NOUNS = {
    **{"credit_purchase": "invoice", "credit_refund": "invoice", "credit_top_up": "usage"},
    **{"credit": "usage", "credit_grant": "usage", "credit_lot": "usage"},
}
