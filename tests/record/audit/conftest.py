from pathlib import Path

import pytest

from guardrail.record.audit.bench import fill
from tests.record.audit.making import KEY, Held, held


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees or makes a key of the user's."""
    monkeypatch.setenv("GUARDRAIL_AUDIT_KEY", KEY.spell())
    monkeypatch.delenv("GUARDRAIL_AUDIT_KEY_FILE", raising=False)
    monkeypatch.delenv("GUARDRAIL_AUDIT_LOG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def thousand_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("thousand") / "audit.db"
    fill(path, KEY, 1000)
    return path


@pytest.fixture(scope="session")
def thousand(thousand_path: Path) -> Held:
    return held(thousand_path)
