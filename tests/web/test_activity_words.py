"""Every action that the code records has words on /billing/activity."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from portal.models import AuditEntry
from portal.services import attempt_states, payment_actions
from portal.web.activity_words import KINDS, NOUNS, kind_of, known_actions, say

PORTAL = Path(__file__).resolve().parents[2] / "portal"
# modules that compute their actions, and all that can come of it
COMPUTED = {
    "services/payment_actions.py": {
        f"{noun}_{verb}"
        for noun in (*payment_actions.NOUNS.values(), "invoice.payment")
        for verb in ("asked", *payment_actions.LIVE, "done", "refused", "replaced")
    }
}
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def recorded() -> Iterator[tuple[str, ast.expr]]:
    """Where an entry is recorded, and the expression of its action."""
    for path in sorted(PORTAL.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("audit.record", "record"):
                yield f"{path.relative_to(PORTAL)}:{node.lineno}", node.args[1]


def actions() -> Iterator[tuple[str, str]]:
    """(where, action): a part that is put in when it runs reads as ``*``."""
    for where, expression in recorded():
        if isinstance(expression, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "*" for part in expression.values]
            yield where, "".join(parts)
            continue
        if isinstance(expression, ast.Call):
            yield from ((where, action) for action in COMPUTED[where.partition(":")[0]])
            continue
        if isinstance(expression, ast.Name):
            yield from handed_over(where)
        for node in ast.walk(expression):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield where, node.value


def handed_over(where: str) -> Iterator[tuple[str, str]]:
    """The actions in a module that hands them to a function of its own before they are recorded."""
    for node in ast.walk(ast.parse((PORTAL / where.split(":", maxsplit=1)[0]).read_text("utf-8"))):
        if isinstance(node, ast.Call):
            for argument in node.args:
                for each in ast.walk(argument):
                    if isinstance(each, ast.Constant) and ACTION.fullmatch(str(each.value)):
                        yield where, str(each.value)


def test_every_action_that_is_recorded_has_words() -> None:
    found = list(actions())
    silent = {
        f"{where} {action}"
        for where, action in found
        if not any(
            re.fullmatch(action.replace(".", r"\.").replace("*", r"[a-z_]+"), each)
            for each in known_actions()
        )
    }

    assert len(found) >= 10
    assert silent == set()


def test_every_state_of_an_attempt_has_words() -> None:
    states = (
        *attempt_states.LIVE,
        attempt_states.SUCCEEDED,
        attempt_states.REFUSED,
        attempt_states.ABANDONED,
        attempt_states.FAILED,
    )

    assert {f"attempt.{state}" for state in states} <= known_actions()


def test_every_action_is_noun_and_verb_and_of_a_kind() -> None:
    assert [action for action in known_actions() if not ACTION.fullmatch(action)] == []
    assert {action.partition(".")[0] for action in known_actions()} == set(NOUNS)
    assert {kind_of(action) for action in known_actions()} == set(KINDS)


def test_an_entry_reads_as_a_sentence_with_what_changed(app: Flask) -> None:
    entry = AuditEntry(
        action="subscription.projected",
        actor="Stripe",
        before={"status": "active", "access": "active", "tier": "advanced", "seats": 12, "interval": "month"},
        after={"status": "active", "access": "active", "tier": "expert", "seats": 15, "interval": "year"},
    )
    with app.test_request_context():
        said = say(entry)

    assert said.text == "The subscription changed"
    assert [(each.what, each.before, each.after) for each in said.changes] == [
        ("Tier", "Advanced", "Expert"),
        ("Seats", "12", "15"),
        ("Paid", "by the month", "by the year"),
    ]


def test_a_change_names_what_was_chosen_before_and_after(app: Flask) -> None:
    entry = AuditEntry(
        action="subscription.changed",
        actor="a@b.example",
        before={
            "selection": {"tier": "advanced", "seats": 12, "interval": "year", "add_ons": {"copilot": 5}}
        },
        after={
            "selection": {"tier": "advanced", "seats": 15, "interval": "year", "add_ons": {}},
            "later": None,
        },
    )
    with app.test_request_context():
        said = say(entry)

    assert [(each.what, each.before, each.after) for each in said.changes] == [
        ("Seats", "12", "15"),
        ("Copilot", "5", None),
    ]


def test_amounts_and_addresses_are_written_out(app: Flask) -> None:
    quote = AuditEntry(
        action="quote.made", actor="a@b.example", after={"total": 1398000, "currency": "usd", "digest": "x"}
    )
    details = AuditEntry(
        action="billing_details.saved",
        actor="a@b.example",
        before={
            "address": {"line1": "Torstraße 1", "city": "Berlin", "postal_code": "10119", "country": "DE"}
        },
        after={"address": None},
    )
    with app.test_request_context():
        amounts, addresses = say(quote), say(details)

    assert [(each.what, each.before, each.after) for each in amounts.changes] == [
        ("Total", None, "$13,980.00")
    ]
    assert [(each.before, each.after) for each in addresses.changes] == [
        ("Torstraße 1, 10119, Berlin, Germany", None)
    ]


def test_an_action_that_nobody_knows_is_named(app: Flask) -> None:
    with app.test_request_context():
        said = say(AuditEntry(action="moon.landed", actor="system"))

    assert said.text == "Recorded as moon.landed"


def test_a_change_of_limits_is_said_with_amounts_and_what_happens(app: Flask) -> None:
    chosen = {"cap_units": None, "hard": True, "at_cap": "hand_over", "approver": None, "currency": "usd"}
    entry = AuditEntry(
        action="usage_limit.changed",
        actor="a@b.example",
        before={"budget": None, **chosen},
        after={**chosen, "budget": 50_000, "cap_units": 500, "hard": False, "at_cap": "stop"},
    )
    allowed = AuditEntry(
        action="cap_raise.allowed",
        actor="a@b.example",
        before={"cap": 500},
        after={"cap": 550, "units": 50},
    )
    with app.test_request_context():
        said, more = say(entry), say(allowed)

    assert [(each.what, each.before, each.after) for each in said.changes] == [
        ("Budget", None, "$500.00"),
        ("Cap, in resolutions", None, "500"),
        ("Hard cap", "yes", "no"),
        ("At the cap", "people take over", "the AI stops"),
    ]
    assert more.text == "Allowed the AI 50 resolutions more in this period"
    assert [(each.what, each.before, each.after) for each in more.changes] == [
        ("Cap, in resolutions", "500", "550")
    ]
