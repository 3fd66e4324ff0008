"""What a file inherits, and from where."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrail.errors import PolicyError
from guardrail.policy import Policy, load_policy
from guardrail.policy.loader import load
from guardrail.policy.packs import names


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"version: 1\nname: {path.stem}\n{text}", encoding="utf-8")
    return path


def test_maps_merge_and_values_replace(tmp_path: Path) -> None:
    policy = load_policy(
        write(tmp_path, "a.yaml", "extends: baseline\nverdict: {unsafe_at: 0.7}\n")
    )
    assert policy.verdict.unsafe_at == 0.7
    assert policy.verdict.safe_below == 0.36
    assert policy.description == ""
    assert [c.id for c in policy.categories] == [c.id for c in load_policy("baseline").categories]


def test_categories_merge_by_id_and_can_be_switched_off(tmp_path: Path) -> None:
    text = """extends: baseline
categories:
  - {id: medical, unsafe_at: 0.5}
  - {id: privacy, enabled: false}
  - {id: new, question: Is it?}
"""
    policy = load_policy(write(tmp_path, "a.yaml", text))
    by_id = {category.id: category for category in policy.categories}
    assert by_id["medical"].unsafe_at == 0.5
    assert by_id["medical"].question.startswith("Could helping")
    assert "privacy" not in by_id
    assert policy.categories[-1].id == "new"


def test_an_inherited_value_can_be_unset(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: baseline\ncategories: [{id: medical, unsafe_at: 0.5}]\n")
    b = write(tmp_path, "b.yaml", "extends: a.yaml\ncategories: [{id: medical, unsafe_at: }]\n")
    assert load_policy(b).rules[4].unsafe_at == 0.6


def test_phrases_replace_and_add_phrases_add(tmp_path: Path) -> None:
    text = "extends: baseline\nrefusals: {en: {phrases: [Nope], add_phrases: [Never ever]}}\n"
    a = write(tmp_path, "a.yaml", text)
    b = write(tmp_path, "b.yaml", "extends: a.yaml\nrefusals: {en: {add_phrases: [Not me]}}\n")
    assert load_policy(a).phrases == ("Nope", "Never ever")
    assert load_policy(b).phrases == ("Nope", "Never ever", "Not me")


def test_of_several_parents_the_last_wins(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "mode: shadow\nverdict: {unsafe_at: 0.7}\n")
    write(tmp_path, "b.yaml", "verdict: {unsafe_at: 0.8}\n")
    c = write(tmp_path, "c.yaml", "extends: [baseline, a.yaml, b.yaml]\n")
    policy = load_policy(c)
    assert (policy.mode, policy.verdict.unsafe_at) == ("shadow", 0.8)


def test_a_parent_reached_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: baseline\n")
    write(tmp_path, "b.yaml", "extends: baseline\n")
    c = write(tmp_path, "c.yaml", "extends: [a.yaml, b.yaml]\n")
    assert load(c).files.count("guardrail.policies/baseline.yaml") == 1


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, "a.yaml", "extends: baseline\nmode: off\n")
    b = write(tmp_path / "sub", "b.yaml", "extends: ../a.yaml\n")
    monkeypatch.chdir("/")
    assert load_policy(b).mode == "off"


def test_every_value_knows_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a.yaml", "extends: baseline\nverdict: {unsafe_at: 0.7}\n")
    loaded = load("a.yaml")
    assert str(loaded.document.at(("verdict", "unsafe_at")).mark) == "a.yaml:4:22"
    inherited = loaded.document.at(("verdict", "safe_below")).mark
    assert inherited.file == "guardrail.policies/baseline.yaml"


def test_a_lock_may_be_restated_and_locks_add_up(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: baseline\nlocked: [mode]\n")
    b = write(tmp_path, "b.yaml", "extends: a.yaml\nmode: enforce\nlocked: [capture]\n")
    assert load_policy(b).locked == ("mode", "capture")
    c = write(tmp_path, "c.yaml", "extends: b.yaml\ncapture: {content: true}\n")
    with pytest.raises(PolicyError, match=r"capture is locked by .*b\.yaml:5:10"):
        load_policy(c)


def test_a_locked_verdict_lets_a_category_that_differs_be(tmp_path: Path) -> None:
    text = "extends: strict\nlocked: [verdict]\n"
    write(tmp_path, "a.yaml", text)
    b = write(tmp_path, "b.yaml", "extends: a.yaml\ncategories: [{id: new, question: Is it?}]\n")
    assert load_policy(b).rules[1].actions["unsafe"] == "block"
    c = write(tmp_path, "c.yaml", "extends: a.yaml\ncategories: [{id: medical, unsafe_at: 0.9}]\n")
    with pytest.raises(PolicyError, match="unsafe_at is locked"):
        load_policy(c)


def test_locked_categories_cannot_be_moved_through_the_general_thresholds(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: baseline\nlocked: [categories]\n")
    b = write(tmp_path, "b.yaml", "extends: a.yaml\nverdict: {unsafe_at: 0.9}\n")
    with pytest.raises(PolicyError, match=r"b\.yaml:4:22: categories\.physical-danger"):
        load_policy(b)


def test_a_pack_names_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from guardrail.policy import packs

    write(tmp_path, "house.yaml", "extends: ./secret.yaml\n")
    monkeypatch.setattr(packs, "other_folders", lambda: {"acme": tmp_path})
    with pytest.raises(PolicyError, match=r"acme/house\.yaml:3:10: a policy in a pack cannot name"):
        load_policy("house")


def test_a_dumped_policy_keeps_its_locks(tmp_path: Path) -> None:
    dumped = load_policy("strict").model_dump(mode="json")
    path = tmp_path / "dumped.yaml"
    import json

    path.write_text(json.dumps(dumped), encoding="utf-8")
    child = write(tmp_path, "child.yaml", "extends: ./dumped.yaml\nverdict: {on_error: plain}\n")
    with pytest.raises(PolicyError, match="is locked"):
        load_policy(child)


def test_model_validate_takes_what_a_file_says() -> None:
    content = {
        "version": 1,
        "name": "x",
        "extends": "baseline",
        "refusals": {"en": {"add_phrases": ["Never ever"]}},
        "categories": [{"id": "medical", "enabled": False}],
    }
    policy = Policy.model_validate(content)
    assert policy.phrases[-1] == "Never ever"
    assert len(policy.categories) == 6


def test_load_policy_takes_a_policy_a_name_or_a_path(tmp_path: Path) -> None:
    policy = load_policy("baseline")
    assert load_policy(policy) is policy
    path = write(tmp_path, "a.yaml", "extends: baseline\n")
    assert load_policy(path) == load_policy(str(path))


def test_yaml_words_are_words(tmp_path: Path) -> None:
    """YAML 1.1 would read these as booleans, a number in base 60 and an octal number."""
    text = "extends: baseline\nmode: off\nrefusals: {no: {phrases: [yes, 12:30:45, 017]}}\n"
    path = write(tmp_path, "a.yaml", text.replace("017", "'017'"))
    policy = load_policy(path)
    assert policy.mode == "off"
    assert policy.refusals["no"].phrases == ("yes", "12:30:45", "017")


def test_aliases_within_the_limits_are_fine(tmp_path: Path) -> None:
    text = """extends: baseline
categories:
  - &grave {id: medical, unsafe_at: 0.4, safe_below: &low 0.2}
  - {id: privacy, safe_below: *low}
"""
    policy = load_policy(write(tmp_path, "a.yaml", text))
    assert policy.rules[5].safe_below == 0.2


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\r\nname: a\r\nextends: baseline\r\n")
    assert load_policy(path).name == "a"


def test_packs_are_found_by_name_and_cannot_be_shadowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guardrail.policy import packs

    write(tmp_path, "baseline.yaml", "extends: strict\nmode: off\n")
    write(tmp_path, "house.yaml", "extends: strict\nmode: shadow\n")
    monkeypatch.setattr(packs, "other_folders", lambda: {"acme": tmp_path})
    assert load_policy("baseline").mode == "enforce"
    assert load_policy("acme:baseline").mode == "off"
    assert load_policy("house").mode == "shadow"
    assert "acme:house" in names()
    monkeypatch.setattr(packs, "other_folders", lambda: {"acme": tmp_path, "other": tmp_path})
    with pytest.raises(PolicyError, match="in several packs: accepted are acme:house, other:house"):
        load_policy("house")
