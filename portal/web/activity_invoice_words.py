"""The words of /billing/activity for what becomes of issued invoices."""

from flask_babel import lazy_gettext as _

INVOICE_SENTENCES: dict[str, object] = {
    "credit_note.issued": _("A credit note was issued for the invoice"),
    "credit_note.void": _("The credit note was taken back"),
    "refund.pending": _("A refund is on its way"),
    "refund.requires_action": _("A refund waits for something to be done"),
    "refund.succeeded": _("A payment was refunded"),
    "refund.failed": _("A refund failed: the bank sent it back"),
    "refund.canceled": _("A refund was cancelled"),
    "dispute.needs_response": _("The bank was asked to take the payment back"),
    "dispute.under_review": _("The bank reviews the dispute of the payment"),
    "dispute.won": _("The dispute ended: the payment stands"),
    "dispute.lost": _("The dispute ended: the bank gave the payment back"),
    "dispute.prevented": _("A dispute of the payment was prevented"),
    "dispute.warning_needs_response": _("The bank asked about the payment"),
    "dispute.warning_under_review": _("The bank reviews its question about the payment"),
    "dispute.warning_closed": _("The bank's question about the payment is closed"),
    "usage.credited": _("A unit of usage that was taken back was credited on the invoice that billed it"),
    "billing_details.changed": _("Changed the billing details"),
}
INVOICE_NOUNS = {
    "credit_note": "invoice",
    "refund": "invoice",
    "dispute": "invoice",
    "usage": "invoice",
}
