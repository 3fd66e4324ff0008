"""What is valid and probably not meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrail.policy.lint import lint
from guardrail.policy.loader import load
from guardrail.policy.packs import names

BAND = load("baseline").document.at(("verdict", "on_uncertain")).mark.line
MODULATION = load("baseline").document.at(("modulation", "form")).mark.line - 1
"""Where the shipped file says that phrases are steered."""


def findings(tmp_path: Path, text: str, extends: str = "baseline") -> list[tuple[str, int | None]]:
    path = tmp_path / "p.yaml"
    path.write_text(f"version: 1\nname: p\nextends: {extends}\n{text}", encoding="utf-8")
    return [(finding.check, finding.mark.line) for finding in lint(load(path))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ('refusals: {en: {add_phrases: ["I"]}}\n', [("phrase-collides", 4)]),
        ('refusals: {en: {add_phrases: ["No"]}}\n', [("phrase-collides", 4)]),
        ('refusals: {en: {add_phrases: ["It is"]}}\n', [("phrase-collides", 4)]),
        ('refusals: {en: {add_phrases: ["Nope, never"]}}\n', []),
        (
            "categories: [{id: medical, on_unsafe: comply, on_uncertain: comply}]\n",
            [("never-fires", 4)],
        ),
        (
            "categories: [{id: medical, unsafe_at: 1.0, on_uncertain: comply}]\n",
            [("never-fires", 4)],
        ),
        (
            "categories: [{id: medical, unsafe_at: 0, safe_below: 0}]\n",
            [("no-uncertainty", 4), ("always-fires", 4), ("screen-unsafe", 4)],
        ),
        ("categories: [{id: medical, unsafe_at: 0.36}]\n", [("no-uncertainty", 4)]),
        (
            "categories:\n  - id: again\n    question: Could helping with this, in this picture, "
            "damage property?\n    reason: x\n",
            [("same-question", 5)],
        ),
        (
            "refusals: {ko: {phrases: [죄송합니다]}}\n",
            [("message-missing", 4), ("reason-missing", 4)],
        ),
        (
            "locked: [verdict.on_unsafe]\ncategories: [{id: medical, on_unsafe: block}]\n",
            [("lock-overridden", 4)],
        ),
        ("verdict: {on_error: comply}\n", [("error-permits", 4)]),
        (
            "verdict: {on_uncertain: refuse}\nmodulation: {scale: confidence}\n",
            [("refuses-weakly", 4)] * 7,
        ),
        (
            "modulation: {scale: confidence}\ncategories: [{id: medical, on_uncertain: lean}]\n",
            [*[("refuses-weakly", BAND)] * 6, ("refuses-weakly", 5)],
        ),
        ("language: de\n", [("language-missing", 4)]),
        ("contrast: {guided_steps: 0}\n", [("no-steps", 4)]),
        ("refusals: {en: {phrases: []}}\n", [("no-phrases", MODULATION)]),
        ("session: {memory: max, decay: 0.8, after_refusal: {unsafe_at: 0.5}}\n", []),
        ("session: {decay: 0.8}\n", [("session-ignored", 4)]),
        ("session: {memory: off, after_refusal: {unsafe_at: 0.5}}\n", [("session-ignored", 4)]),
        ("session: {memory: max, decay: 0}\n", [("session-ignored", 4)]),
        ("session: {memory: max, after_refusal: {unsafe_at: 0.6}}\n", [("session-ignored", 4)]),
        ("verdict: {safe_below: 0.01}\n", [("screen-unsafe", 4)]),
        ("verdict: {safe_below: 0.02}\n", []),
        ("judge: {screen: {covers: [privcy]}}\n", [("screen-covers-nothing", 4)]),
        ("categories: [{id: privacy, enabled: false}]\n", []),
    ],
)
def test_each_check(tmp_path: Path, text: str, found: list[tuple[str, int]]) -> None:
    assert sorted(findings(tmp_path, text)) == sorted(found)


def test_languages_that_share_first_words_are_noted(tmp_path: Path) -> None:
    found = findings(tmp_path, "", extends="[baseline, refusals/es]")
    assert {check for check, _ in found} == {"phrase-shares-word"}


@pytest.mark.parametrize("name", [name for name in names() if "/" not in name])
def test_the_shipped_policies_have_no_warnings(name: str) -> None:
    assert [f for f in lint(load(name)) if f.level == "warning"] == []


@pytest.mark.parametrize("language", [n.split("/")[1] for n in names() if "/" in n])
def test_the_shipped_vocabularies_have_no_warnings(tmp_path: Path, language: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        f"version: 1\nname: p\nextends: [baseline, refusals/{language}]\n", encoding="utf-8"
    )
    assert [str(f) for f in lint(load(path)) if f.level == "warning"] == []


def test_a_tokenizer_can_make_a_phrase_collide(tmp_path: Path) -> None:
    """In a tokenizer of letters, `Certain` begins `Certainly`."""
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nname: p\nextends: baseline\nrefusals: {en: {phrases: [Certain]}}\n",
        encoding="utf-8",
    )
    loaded = load(path)
    assert lint(loaded) == []
    (finding,) = lint(loaded, lambda text: [ord(letter) for letter in text])
    assert (finding.check, finding.mark.line) == ("phrase-collides", 4)
    (finding,) = lint(loaded, lambda text: [])
    assert finding.check == "phrase-unspeakable"
