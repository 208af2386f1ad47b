"""Test bank accounts for `us_bank_account`, and what becomes of a debit from them.

Source: docs.stripe.com/payments/ach-direct-debit (testing). Other numbers are refused, so that no real
account can
be stored here.
"""

from __future__ import annotations

from dataclasses import dataclass

TEST_ROUTING_NUMBER = "110000000"
BANK_NAME = "STRIPE TEST BANK"


@dataclass(frozen=True)
class BankAccount:
    """One test account; `failure` is the code and message with which a debit comes back, None when it
    settles.
    """

    number: str
    name: str
    failure: tuple[str, str] | None = None

    @property
    def last4(self) -> str:
        return self.number[-4:]


ACCOUNTS = (
    BankAccount("000123456789", "success"),
    BankAccount(
        "000111111113", "accountClosed", ("account_closed", "The customer's bank account has been closed.")
    ),
    BankAccount(
        "000111111116",
        "noAccount",
        ("no_account", "The customer's bank account could not be located."),
    ),
    BankAccount(
        "000222222227",
        "insufficientFunds",
        ("insufficient_funds", "The customer's account has insufficient funds to cover this payment."),
    ),
    BankAccount(
        "000333333335",
        "debitNotAuthorized",
        ("debit_not_authorized", "The customer has notified their bank that this payment was unauthorized."),
    ),
)
BY_NUMBER = {account.number: account for account in ACCOUNTS}
BY_TOKEN = {f"pm_usBankAccount_{account.name}": account for account in ACCOUNTS}


def valid_routing_number(number: str) -> bool:
    """The checksum of an American routing number: nine digits weighted 3, 7, 1."""
    if not (number.isascii() and number.isdigit() and len(number) == 9):
        return False
    return sum(int(digit) * weight for digit, weight in zip(number, (3, 7, 1) * 3, strict=True)) % 10 == 0
