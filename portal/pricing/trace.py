"""Why an amount is what it is: each result carries the formulas and inputs that led to it."""

from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.money import decimal_text

# What an input is, so that a page can write it the way people read it.
UNITS, MONEY, RATE, PERCENT, TIME, SECONDS = "units", "money", "rate", "percent", "time", "seconds"


@dataclass(frozen=True, slots=True)
class Input:
    """One named number of a formula.

    ``kind`` says what it is: ``units`` (a count), ``money`` (integer minor units), ``rate`` (Decimal minor
    units per unit), ``percent`` (Decimal), ``time`` (unix seconds), ``seconds`` (a duration).
    """

    name: str
    value: int | Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of an explanation: ``formula`` over ``inputs`` gives ``result``, in integer minor units.

    ``rule`` names the step for pages that word it themselves: ``price``, ``line_percent``, ``line_amount``,
    ``order_percent``, ``order_amount``, ``included``, ``graduated``, ``volume``, ``proration_credit``,
    ``proration_debit``, ``pack_percent``, ``grant``. ``formula`` is written with the names of the inputs.
    """

    rule: str
    formula: str
    inputs: tuple[Input, ...]
    result: int

    def as_dict(self) -> dict[str, object]:
        """Return the step for JSON: integers as they are, rates and percentages as decimal strings."""
        inputs = {
            each.name: decimal_text(each.value) if isinstance(each.value, Decimal) else each.value
            for each in self.inputs
        }
        return {"rule": self.rule, "formula": self.formula, "inputs": inputs, "result": self.result}


def explained(trace: tuple[Reason, ...], explain: bool) -> dict[str, object]:
    """Return what a result adds to its JSON shape: its trace if ``explain``, else nothing."""
    return {"trace": [reason.as_dict() for reason in trace]} if explain else {}
