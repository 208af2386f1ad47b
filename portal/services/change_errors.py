"""What keeps a subscription from being changed, in words for the person who asked."""

from portal.errors import N_, ConflictError


class NothingToChangeError(ConflictError):
    """What is wanted is what there is."""

    code = "nothing_to_change"

    def __init__(self) -> None:
        super().__init__(N_("This is what you have already. Choose something else to see its price."))


class NoSubscriptionError(ConflictError):
    """There is nothing that could be changed."""

    code = "no_subscription"

    def __init__(self, log: str | None = None) -> None:
        super().__init__(
            N_("This workspace has no subscription that can be changed. Buy one first."), log=log
        )


class UnpaidInvoiceError(ConflictError):
    """The last invoice is not paid; nothing is added to what is owed."""

    code = "unpaid_invoice"

    def __init__(self) -> None:
        super().__init__(
            N_(
                "The last invoice is not paid yet. Pay it first; then you can change your subscription."
                " Seats and add-ons that end at the renewal can be given up already now."
            )
        )


class SubscriptionEndsError(ConflictError):
    """It has been cancelled for the end of its period."""

    code = "subscription_ends"

    def __init__(self) -> None:
        super().__init__(
            N_(
                "Your subscription is going to end, and all its seats with it. Keep it first; then you can"
                " change it."
            )
        )


class RenewalNearError(ConflictError):
    """What is planned takes effect in a moment; a payment that is waited for would stand in its way."""

    code = "renewal_near"

    def __init__(self) -> None:
        super().__init__(
            N_(
                "Your subscription renews in a moment, and with it comes the change that is planned. Make"
                " this change after the renewal."
            )
        )


class NotPlannedError(ConflictError):
    """There is no change that could be undone; it has taken effect, or somebody else undid it."""

    code = "not_planned"

    def __init__(self) -> None:
        super().__init__(N_("No change is planned any more. Look at what you have now."))


class CatalogNotOfferedError(ConflictError):
    """Only the current catalogue can be moved to, and back on the same day."""

    code = "catalog_not_offered"

    def __init__(self) -> None:
        super().__init__(N_("These prices are not offered any more."))
