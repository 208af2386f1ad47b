"""Codes of an authenticator app, held against the RFC's own examples."""

import base64

import pytest

from portal.services import one_time_codes

# RFC 6238, appendix B: the secret, and the last six of its eight digits
SECRET = base64.b32encode(b"12345678901234567890").decode()
EXAMPLES = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("moment", "code"), EXAMPLES)
def test_codes_are_those_of_the_standard(moment: int, code: str) -> None:
    assert one_time_codes.code_at(SECRET, moment // 30) == code


@pytest.mark.parametrize(("late", "known"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_phones_clock_may_be_half_a_minute_off(late: int, known: bool) -> None:
    now = 1234567890 + late

    assert (one_time_codes.counter_of(SECRET, "005924", now) is not None) is known


@pytest.mark.parametrize("typed", ["005 924", " 005924 ", "005-924"])
def test_a_code_is_read_as_apps_show_it(typed: str) -> None:
    assert one_time_codes.counter_of(SECRET, typed, 1234567890) == 1234567890 // 30


@pytest.mark.parametrize("typed", ["", "5924", "0059240", "٠٠٥٩٢٤", "abcdef", "005924\x00"])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert one_time_codes.counter_of(SECRET, typed, 1234567890) is None


def test_the_picture_says_whose_code_it_is() -> None:
    address = one_time_codes.address("ABC", issuer="Birch & Sons", login="ada@birch.example")

    assert (
        address
        == "otpauth://totp/Birch%20%26%20Sons%3Aada@birch.example?secret=ABC&issuer=Birch%20%26%20Sons"
    )


def test_every_secret_is_new_and_long_enough() -> None:
    secrets = {one_time_codes.new_secret() for _ in range(10)}

    assert len(secrets) == 10
    assert all(len(base64.b32decode(secret)) == 20 for secret in secrets)
