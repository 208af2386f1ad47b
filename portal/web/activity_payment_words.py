"""The words of /billing/activity for what people asked about paying, by what was asked and how it stands."""

from flask_babel import lazy_gettext as _

# verb → sentence; the verbs between asking and the end share one
METHOD_SENTENCES: dict[str, dict[str, object]] = {
    "payment_method.add": {
        "asked": _("Began to add a payment method"),
        "done": _("Added a payment method"),
        "refused": _("A payment method was refused"),
        "replaced": _("Began anew to add a payment method"),
        "": _("Adding a payment method goes on"),
    },
    "payment_method.default": {
        "asked": _("Asked for another payment method to be the default"),
        "done": _("The default payment method was changed"),
        "refused": _("The default payment method could not be changed"),
        "replaced": _("Another change of the default payment method came first"),
        "": _("Changing the default payment method goes on"),
    },
    "payment_method.remove": {
        "asked": _("Asked to remove a payment method"),
        "done": _("The payment method was removed"),
        "refused": _("The payment method could not be removed"),
        "replaced": _("Another change of the payment methods came first"),
        "": _("Removing a payment method goes on"),
    },
    "invoice.payment": {
        "asked": _("Asked to pay the open invoice"),
        "done": _("The open invoice was paid as asked"),
        "refused": _("The payment of the open invoice was refused"),
        "replaced": _("The payment of the open invoice was begun anew"),
        "": _("The payment of the open invoice goes on"),
    },
}
VERBS = ("asked", "open", "awaiting", "processing", "done", "refused", "replaced")

PAYMENT_SENTENCES: dict[str, object] = {
    f"{noun}_{verb}": sentences.get(verb, sentences[""])
    for noun, sentences in METHOD_SENTENCES.items()
    for verb in VERBS
}
