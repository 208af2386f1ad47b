"""Units asked for, settled and billed at the same moment, with real threads: the cap holds."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from portal.app import create_app
from portal.gateways import Gateways
from portal.gateways.jobs import Jobs
from portal.gateways.mail import mail_gateway
from portal.services.allowances import CAP_REACHED
from portal.services.limits import LimitError
from portal.services.reservations import Held, Refused
from tests import factories
from tests.database import TestDatabase
from tests.services.limiting import Company, granted, november
from tests.services.test_at_once import at_once
from tests.shop import Shop


@pytest.fixture
def busy(committing: TestDatabase, tmp_path: Path) -> Company:
    """A company whose rows are there for every thread."""
    clock = november()
    settings = replace(factories.settings(), database_url=committing.app_url, data_dir=tmp_path)
    gateways = Gateways(settings, Shop().gateway, clock, mail_gateway(settings), Jobs(), letters=None)  # type: ignore[arg-type]
    app: Flask = create_app(settings, gateways)
    account = factories.account(app)
    made = Company(app.extensions["portal"], account.workspace_id, account.user_id, clock)
    made.subscribe()
    return made


def test_of_64_at_once_on_a_cap_of_10_exactly_10_are_granted(busy: Company) -> None:
    busy.limit(cap_units=10)
    answers = at_once(*[busy.hold] * 64)

    assert granted(answers) == 10
    assert busy.row() == (0, 10, 10)
    assert {each.allowance.reason for each in answers if isinstance(each, Refused)} == {CAP_REACHED}


def test_a_cap_that_is_set_amid_64_is_refused_or_holds(busy: Company) -> None:
    answers = at_once(*[busy.hold] * 63, lambda: busy.limit(cap_units=40))
    at_once(*[busy.hold] * 63)
    _, held, cap = busy.row()

    # more was held by then than it would have allowed, or it holds for all who came later
    assert (held, cap) in ((126, None), (40, 40))
    assert isinstance(answers[-1], LimitError) is (cap is None)


def test_one_conversation_asked_for_20_times_at_once_holds_one_unit(busy: Company) -> None:
    busy.limit(cap_units=10)
    answers = at_once(*[lambda: busy.hold("c-1")] * 20)

    assert {each.id for each in answers if isinstance(each, Held)} != set()
    assert len({each.id for each in answers if isinstance(each, Held)}) == 1
    assert granted(answers) == 20
    assert busy.row() == (0, 1, 10)


def test_reserving_settling_and_billing_at_once_never_passes_the_cap(busy: Company) -> None:
    busy.limit(cap_units=20)
    first = [each for each in (busy.hold() for _ in range(15)) if isinstance(each, Held)]
    names = [each.conversation_id for each in first]
    busy.answer(*names)
    work = [lambda name=name: busy.bill(name) for name in names[:8]]
    work += [lambda name=name: busy.drop(name) for name in names[8:]]
    answers = at_once(*work, *[busy.hold] * 30)

    used, held, _ = busy.row()
    assert used == 8
    assert held == granted(answers[15:])
    assert used + held <= 20
    assert not [each for each in answers[:8] if each != ["meter"]]


def test_of_24_billed_at_once_that_nobody_asked_for_the_cap_is_charged_and_the_rest_is_free(
    busy: Company,
) -> None:
    busy.limit(cap_units=10)
    names = [f"n{number}" for number in range(24)]
    busy.answer(*names)
    charges = at_once(*[lambda name=name: busy.bill(name) for name in names])

    assert sorted(charge for [charge] in charges) == ["meter"] * 10 + ["over_cap"] * 14
    assert (busy.row(), busy.sent()) == ((10, 0, 10), 10)
