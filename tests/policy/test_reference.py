"""Every key of a policy file is described, shown by an example that loads, and on its page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardrail.cli import main
from guardrail.errors import PolicyError
from guardrail.policy import load_policy
from guardrail.policy.cases import cases_schema
from guardrail.policy.docstring import Docstring
from guardrail.policy.document import parse_document
from guardrail.policy.json_schema import file_schema, selection_schema
from guardrail.policy.lint import lint
from guardrail.policy.loader import load
from guardrail.policy.reference import Key, find_keys, keys, told_keys

from .page import PAGE, page

ITEMS = {"<id>": "medical", "<language>": "en"}
SAYS_NOTHING = {"version", "extends"}
"""Keys whose examples say no more than every policy does."""


def schema_paths(schema: dict[str, Any], node: Any, path: str) -> Iterator[str]:
    """Yields the path of every key below a node of a JSON Schema, whatever it is nested in."""
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        yield from schema_paths(schema, schema["$defs"][node["$ref"].rpartition("/")[2]], path)
    for name, below in node.get("properties", {}).items():
        yield f"{path}{name}"
        yield from schema_paths(schema, below, f"{path}{name}.")
    item = {"categories.": "<id>.", "refusals.": "<language>."}.get(path, "")
    for below in (*node.get("anyOf", ()), node.get("items"), node.get("additionalProperties")):
        yield from schema_paths(schema, below, path + item)
    for below in node.get("patternProperties", {}).values():
        yield from schema_paths(schema, below, path + item)


def concrete(path: str) -> str:
    for item, one in ITEMS.items():
        path = path.replace(item, one)
    return path


def test_every_key_of_the_schema_is_told_and_no_other_is() -> None:
    schema = file_schema()
    paths = list(schema_paths(schema, schema, ""))
    assert len(paths) > 80
    assert [key.path for key in keys()] == paths
    assert sorted(told_keys()) == sorted(paths)


def test_the_page_is_written_from_the_keys_and_has_every_one() -> None:
    text = PAGE.read_text("utf-8")
    assert text == page(), "python -m tests.policy.page"
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    assert {f"`{key.path}`" for key in keys()} <= set(headings)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("plain") / "example.yaml"
    path.write_text("version: 1\nname: example\nextends: baseline\n", "utf-8")
    return load_policy(path).model_dump(mode="json")


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.path)
def test_its_example_loads_without_a_warning_has_it_and_changes_something(
    key: Key, tmp_path: Path, plain: dict[str, Any]
) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(key.file, "utf-8")
    loaded = load(path)
    assert [found for found in lint(loaded) if found.level == "warning"] == []
    said = parse_document(key.file.encode(), "example.yaml").plain()
    assert has(said, key.path.split(".")), key.example
    policy = loaded.policy.model_dump(mode="json")
    if key.path not in SAYS_NOTHING:
        assert policy != plain


def has(value: Any, steps: list[str]) -> bool:
    """Whether a document has a key, in any of its categories or languages."""
    if not steps:
        return True
    first, *rest = steps
    if first in ITEMS:
        below = value if isinstance(value, list) else value.values()
        return any(has(each, rest) for each in below)
    return isinstance(value, dict) and first in value and has(value[first], rest)


def test_each_says_what_it_is_and_does() -> None:
    for key in keys():
        assert key.takes, key.path
        assert key.means.endswith("."), key.path
        assert key.does.endswith((".", ")")), key.path


def test_the_lock_that_it_names_holds_it(tmp_path: Path) -> None:
    locks = sorted({concrete(key.lock) for key in keys() if key.lock})
    path = tmp_path / "parent.yaml"
    head = "version: 1\nname: parent\nextends: baseline\n"
    path.write_text(f"{head}locked: {json.dumps(locks)}\n", "utf-8")
    assert set(locks) == set(load_policy(path).locked)
    unlocked = {key.path for key in keys() if key.lock is None}
    assert unlocked == {"version", "name", "extends", "description", "locked"}


@pytest.mark.parametrize(
    "path",
    ["judge.calibration.scale", "refusals.<language>.add_phrases", "categories.<id>.enabled"],
)
def test_what_is_not_lockable_itself_is_held_by_what_is_above(path: str, tmp_path: Path) -> None:
    [key] = [key for key in keys() if key.path == path]
    assert key.lock is not None
    lock = concrete(key.lock).replace("medical", "offence")
    parent = tmp_path / "parent.yaml"
    parent.write_text(f"version: 1\nname: parent\nextends: baseline\nlocked: [{lock}]\n", "utf-8")
    child = tmp_path / "child.yaml"
    child.write_text(f"version: 1\nname: child\nextends: parent.yaml\n{key.example}\n", "utf-8")
    with pytest.raises(PolicyError, match=r"is locked by .*parent\.yaml:4"):
        load_policy(child)


def test_defaults_are_the_engine_s_and_the_baseline_s_stand_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text(
        "version: 1\nname: bare\ncategories: [{id: a, question: Is it?}]\nwatch: {}\n"
        "judge: {calibration: {}}\n",
        "utf-8",
    )
    bare = load_policy(path).model_dump(mode="json")
    baseline = load_policy("baseline").model_dump(mode="json")
    seen = 0
    for key in keys():
        if key.default and key.path != "description" and "<" not in key.path:
            assert read(key.default) == value_at(bare, key.path), key.path
            seen += 1
            if not key.path.startswith("judge.calibration."):  # of which baseline has none
                told = key.default if key.baseline is None else key.baseline
                assert read(told) == value_at(baseline, key.path), key.path
    assert seen > 35


def value_at(policy: Any, path: str) -> Any:
    for step in path.split("."):
        policy = policy[step]
    return policy


def read(text: str) -> Any:
    return parse_document(f"x: {json.dumps(text) if ': ' in text else text}".encode(), "x").plain()[
        "x"
    ]


@pytest.mark.parametrize("schema", [file_schema(), selection_schema(), cases_schema()])
def test_editors_are_shown_what_each_key_is(schema: dict[str, Any]) -> None:
    for section in (schema, *schema["$defs"].values()):
        assert section["description"]
        assert "Attributes:" not in section["description"]
        for name, key in section.get("properties", {}).items():
            assert key.get("description"), name
            assert "\n" not in key["description"], name


def test_keys_are_found_by_path_by_section_and_by_name() -> None:
    assert [key.path for key in find_keys("verdict.on_error")] == ["verdict.on_error"]
    assert [key.path for key in find_keys("failure")] == ["failure", "failure.noised_branch"]
    assert [key.path for key in find_keys("on_error")] == [
        "verdict.on_error",
        "categories.<id>.on_error",
        "audit.on_error",
    ]
    assert [key.path for key in find_keys("categories.question")] == ["categories.<id>.question"]
    assert find_keys("refusals.<language>.message") == find_keys("refusals.message")
    with pytest.raises(PolicyError, match=r"did you mean verdict\.unsafe_at\?"):
        find_keys("verdict.unsafe_att")


def test_the_command_lists_keys_and_tells_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(keys()) + 1
    assert "verdict.safe_below" in "".join(lines)
    assert main(["policy", "keys", "safe_below"]) == 0
    out = capsys.readouterr().out
    assert "in baseline: 0.36" in out
    assert "    verdict: {safe_below: 0.25}" in out
    assert main(["policy", "keys", "watch.every", "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)
    assert (told["path"], told["default"], told["baseline"]) == ("watch.every", "32", "0")
    assert main(["policy", "keys", "nonsense"]) == 2
    assert "'nonsense' is no key of a policy file" in capsys.readouterr().err


def test_a_docstring_is_text_and_attributes() -> None:
    class Told:
        """One.

        Two
        lines.

        Attributes:
            first: Words: with a colon
                that go on.
            second: More.
        """

    class Untold(Told):
        pass

    found = Docstring.of(Told)
    assert found.text == "One.\n\nTwo lines."
    assert found.attributes == {"first": "Words: with a colon that go on.", "second": "More."}
    assert Docstring.of(Untold) == Docstring()
