"""How many units an amount pays for, through the same bands that price them."""

from collections.abc import Sequence

from portal.pricing.checks import whole
from portal.pricing.money import MAX_AMOUNT
from portal.pricing.usage import MAX_QUANTITY, Band, checked_bands, rate_checked


def units_within(amount: int, bands: Sequence[Band], *, included: int = 0) -> int:
    """Return the largest quantity whose graduated price, as ``rate()`` gives it, is at most ``amount``.

    ``amount`` is integer minor units. The answer is exact: one unit more costs more than ``amount``, rounded
    as an invoice rounds it. Where units are free without end it is ``MAX_QUANTITY``.
    Raises PricingError (params ``amount``, ``included``, ``bands…``).
    """
    whole(amount, "amount", minimum=0, maximum=MAX_AMOUNT)
    whole(included, "included", minimum=0, maximum=MAX_QUANTITY)
    checked = checked_bands(bands)
    # the price never falls with the quantity, so the last quantity that is paid for can be searched by halves
    paid, too_many = 0, MAX_QUANTITY + 1
    while too_many - paid > 1:
        middle = (paid + too_many) // 2
        if rate_checked(middle, checked, mode="graduated", included=included).amount <= amount:
            paid = middle
        else:
            too_many = middle
    return paid
