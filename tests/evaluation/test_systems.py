"""The systems that are compared."""

from pathlib import Path

import pytest

from guardrail.errors import PolicyError
from guardrail.evaluation import SYSTEMS, systems_for
from guardrail.policy import load_policy

BASELINE = load_policy("baseline")


def test_each_system_differs_from_guarded_in_one_thing() -> None:
    systems = {each.name: each for each in systems_for(list(SYSTEMS), BASELINE)}
    assert list(systems) == ["unguarded", "guarded", "paper", "contrast-only", "modulation-only"]
    assert systems["unguarded"].mode == "off"
    assert systems["guarded"].policy == BASELINE
    assert systems["paper"].policy == load_policy("paper")
    changed = systems["contrast-only"].policy
    assert changed.modulation.form == "off"
    assert changed.contrast == BASELINE.contrast
    changed = systems["modulation-only"].policy
    assert changed.contrast.when == "never"
    assert changed.modulation == BASELINE.modulation
    digests = {each.policy.digest for each in systems.values()}
    assert len(digests) == 4  # unguarded and guarded share theirs


def test_another_policy_is_a_system_by_name_or_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("version: 1\nname: mine\nextends: baseline\n")
    names = [each.policy.name for each in systems_for(["paper", str(path)], BASELINE)]
    assert names == ["paper", "mine"]


def test_names_count_once_and_blanks_not_at_all() -> None:
    systems = systems_for(["guarded", "", " guarded "], BASELINE)
    assert [each.name for each in systems] == ["guarded"]


@pytest.mark.parametrize("names", [[], ["", " "]])
def test_no_systems_are_refused(names: list[str]) -> None:
    with pytest.raises(PolicyError, match="no systems"):
        systems_for(names, BASELINE)


def test_an_unknown_system_names_what_there_is() -> None:
    with pytest.raises(PolicyError, match="'gaurded' is neither a system nor a policy"):
        systems_for(["gaurded"], BASELINE)
