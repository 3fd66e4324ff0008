"""What the tests of `guardrail eval` ask, and who answers; the other commands' bring their own."""

from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import eval as command
from tests.evaluation import layouts
from tests.evaluation.stand_in import StandIn, refuses_unguarded


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(refuses_unguarded)
    monkeypatch.setattr(command, "load_engine", lambda *_, **__: stand_in)
    return stand_in


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(layouts.scenes(tmp_path / "scenes"))


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(command, "load_engine", load)
