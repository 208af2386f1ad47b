"""What goes wrong in pricing, in words for the person who asked."""

from collections.abc import Iterator
from contextlib import contextmanager


class PricingError(ValueError):
    """The input cannot be priced: something is missing, misspelt, out of range or not sold.

    ``message`` is one sentence for a person: what is wrong and what would be accepted.
    ``param`` is the path of the culprit in the style of Stripe's errors (``seats``,
    ``add_ons[copilot]``, ``discounts[0][percent_off]``), or None when no single field is to blame.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def within(self, outer: str) -> "PricingError":
        """Return the same error as seen from a larger input that holds the culprit at ``outer``.

        ``within("discounts[0]")`` turns the param ``percent_off`` into ``discounts[0][percent_off]``.
        """
        return PricingError(self.message, path(outer, self.param))


def path(outer: str, inner: str | None) -> str:
    """Join two param paths: ``discounts[0]`` and ``line`` are ``discounts[0][line]``.

    An empty ``outer`` adds nothing; an ``inner`` of None is the outer itself.
    """
    if inner is None:
        return outer
    if not outer:
        return inner
    head, bracket, rest = inner.partition("[")
    return f"{outer}[{head}]{bracket}{rest}"


@contextmanager
def inside(outer: str) -> Iterator[None]:
    """Let errors raised in the block carry ``outer`` in front of their param."""
    try:
        yield
    except PricingError as error:
        raise error.within(outer) from None
