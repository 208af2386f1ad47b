"""Every recorded case is either replayed by a test or named here with the reason why not."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.sandbox.recorded import CASES, covered

NOT_SUPPORTED: dict[str, str] = {}


def test_every_recorded_case_is_replayed_or_excused() -> None:
    for file in sorted(Path(__file__).parent.glob("test_recorded_*.py")):
        importlib.import_module(f"tests.sandbox.{file.stem}")
    excused = set(NOT_SUPPORTED)

    assert len(CASES) == 119
    assert sorted(covered & excused) == []
    assert sorted(CASES.keys() - covered - excused) == []
