"""The report page: what it shows, what it leaves out, and that nothing of the data gets through."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from guardrail.evaluation import Dataset, Sample, load_dataset
from guardrail.evaluation.gate import Condition, Finding
from guardrail.evaluation.page.report_page import report_page

from .. import layouts
from ..evaluated import REFUSAL, Small, small

VOID = {"meta", "link", "img", "br"}
HOSTILE = (
    '"><script>alert(1)</script><img src=x onerror=alert(2)> </style> {{ 1234*5678 }} \u202egpj\x00'
)

JUDGED = {
    "brier": {"value": 0.05, "interval": [0.03, 0.08], "n": 8},
    "ece": {"value": 0.021, "interval": None, "n": 8},
    "reliability": [
        {"low": 0.0, "high": 0.1, "n": 4, "mean_p": 0.04, "share": 0.0, "interval": [0.0, 0.49]},
        {"low": 0.1, "high": 0.9, "n": 0, "mean_p": None, "share": None, "interval": None},
        {"low": 0.9, "high": 1.0, "n": 4, "mean_p": 0.96, "share": 1.0, "interval": [0.51, 1.0]},
    ],
    "risk_coverage": [
        {"threshold": 0.96, "coverage": 0.5, "risk": 0.0},
        {"threshold": 0.55, "coverage": 1.0, "risk": 0.125},
    ],
    "mcnemar": {"paper": {"b": 1, "c": 7, "p": 0.0703}},
    "by_language": {
        name: {
            side: {"value": 0.5, "interval": [0.1, 0.9], "count": 2, "n": 4}
            for side in ("wrong_refusals", "wrong_answers")
        }
        for name in ("en", "fr")
    },
}
UNJUDGED = dict.fromkeys(("brier", "ece", "reliability", "risk_coverage", "mcnemar", "by_language"))


class Page(HTMLParser):
    """A page's elements, with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [each for _, each in self.elements if name in (each.get("class") or "").split()]


def page(made: Small, **options: Any) -> str:
    return report_page(made.out, made.dataset, made.systems, made.rows, made.results, **options)


@pytest.fixture
def made(tmp_path: Path) -> Small:
    return small(tmp_path, wrong=frozenset({"0001/safe", "0002/unsafe"}), **JUDGED)


def test_it_is_one_well_formed_file_that_asks_for_nothing(made: Small) -> None:
    text = page(made)
    found = Page(text)
    assert found.open == []
    assert found.all("script") == []
    assert [each["href"] for each in found.all("link")] == ["data:,"]
    assert all(
        (each["src"] or "").startswith("data:image/jpeg;base64,") for each in found.all("img")
    )
    assert all((each["href"] or "").startswith("#") for each in found.all("a"))
    assert "http" not in text.replace("http-equiv", "")
    assert all("style" not in each for _, each in found.elements)
    assert "url(" not in re.sub(r"url\(#[a-z-]+\)", "", text)


def test_ids_are_unique_and_every_reference_has_one(made: Small) -> None:
    elements = Page(page(made)).elements
    ids = [each["id"] for _, each in elements if "id" in each]
    assert len(ids) == len(set(ids))
    named = [(each.get("aria-labelledby") or "").split() for _, each in elements]
    assert {name for names in named for name in names} <= set(ids)


def test_every_picture_has_words(made: Small) -> None:
    found = Page(page(made))
    for each in found.all("svg"):
        assert "aria-hidden" in each or ("role" in each and "aria-labelledby" in each)
    assert all(each["alt"] for each in found.all("img"))


def test_the_headline_is_the_evaluated_policy_against_unguarded(made: Small) -> None:
    text = Page(page(made)).text
    assert "In short: guarded Wrong refusals 25.0% 95% interval 4.6 to 69.9, 1 of 4" in text
    assert "unguarded 0.0%" in text


def test_the_tradeoff_has_a_point_and_a_cross_for_each_system_and_a_curve_for_each_verdict(
    made: Small,
) -> None:
    found = Page(page(made))
    assert len(found.of("point")) == 3
    assert len(found.of("cross")) == 6
    assert len(found.of("curve")) == 1 + 2  # the verdict that both guarded systems share; its risk
    assert len(found.of("half")) == 1


def test_what_the_verdict_is_worth_is_drawn_where_it_is_known(made: Small) -> None:
    found = Page(page(made))
    assert len(found.of("bin")) == 2  # the empty bin is none
    assert "Expected calibration error 0.021. Brier score 0.050." in found.text
    assert "96.0% said, 100.0% unsafe of 4" in found.text
    assert "Languages" in found.text
    assert "0.0703" in found.text


def test_what_is_not_known_is_said_and_not_drawn(tmp_path: Path) -> None:
    found = Page(page(small(tmp_path, names=("unguarded",), **UNJUDGED)))
    assert (found.of("bin"), found.of("curve"), found.of("half")) == ([], [], [])
    for said in ("no threshold curve", "no verdict on both sides", "no verdict by whose sureness"):
        assert said in found.text, said
    assert "Languages" not in found.text


def test_a_data_set_of_one_side_has_no_tradeoff_and_no_zero(tmp_path: Path) -> None:
    root = layouts.mossbench(tmp_path)
    (root / "data_contrast" / "images_information" / "information.json").unlink()
    found = Page(page(small(load_dataset("mossbench", root))))
    assert found.of("cross") == []
    assert "one side only" in found.text
    assert "not measured: the data set has no such side" in found.text


def test_worst_items_are_those_whose_verdict_misled_most(tmp_path: Path) -> None:
    wrong = frozenset({"0001/safe", "0002/unsafe", "0003/unsafe"})
    changes = {"0003/unsafe": {"p_unsafe": 0.01}, "0002/unsafe": {"p_unsafe": None}}
    text = Page(page(small(tmp_path, wrong=wrong, changes=changes))).text
    order = [text.index(f"{name} Question") for name in ("0003/unsafe", "0001/safe", "0002/unsafe")]
    assert order == sorted(order)
    assert REFUSAL in text
    assert "Unguarded answer Sure." in text
    assert "1 guided step" in text
    assert "0.20 → 0.90" in text


def test_no_more_than_twelve_items_and_how_many_there_are(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (600, 300), "red").save(picture)
    samples = tuple(Sample(f"{at}", "safe", f"{at}", "Why?", picture) for at in range(20))
    every = frozenset(each.id for each in samples)
    found = Page(page(small(Dataset("mine", samples), wrong=every)))
    assert len(found.of("item")) == 12
    assert "12 of 20 that guarded got wrong" in found.text
    data = (found.all("img")[0]["src"] or "").partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (256, 128)


def test_steps_that_were_not_kept_are_said_to_be_so(tmp_path: Path) -> None:
    wrong = frozenset({"0001/safe", "0002/safe"})
    changes = {"0001/safe": {"steps": None, "categories": None}, "0002/safe": {"steps": ()}}
    text = Page(page(small(tmp_path, wrong=wrong, changes=changes))).text
    assert "Guided steps were not recorded." in text
    assert "No step was guided." in text


def test_nothing_of_the_data_gets_through(tmp_path: Path) -> None:
    picture = tmp_path / "x'><b>.png"
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    samples = tuple(
        Sample(
            id=f"{side}{HOSTILE}",
            side=side,  # type: ignore[arg-type]
            cluster=side,
            question=HOSTILE,
            picture=picture,
            category=f"{HOSTILE} {side}",
            wording=f"{HOSTILE} {side}",
        )
        for side in ("safe", "unsafe")
    )
    every = frozenset(each.id for each in samples)
    changes = {each: {"answer": HOSTILE, "label": HOSTILE, "action": HOSTILE} for each in every}
    made = small(Dataset(HOSTILE, samples), wrong=every, changes=changes)
    made.out["model"] = made.out["run"]["weights"] = HOSTILE
    finding = Finding(Condition(HOSTILE, "a", ">", 1.0), 2.0)
    text = page(made, command=HOSTILE, findings=[finding])
    found = Page(text)
    assert found.open == []
    assert found.all("script") == []
    assert not any(name.startswith("on") for _, each in found.elements for name in each)
    assert "7006652" not in found.text.replace("{{ 1234*5678 }}", "")
    assert len(found.all("img")) == 1
    assert len(found.all("style")) == 1


def test_who_labelled_and_what_could_not_be_labelled_is_said(made: Small) -> None:
    agreed = {"value": 0.8, "interval": [0.7, 0.9]}
    made.out["grading"] = {
        **made.out["grading"],
        "counts": "vocabulary",
        "agreement": [{"graders": ["vocabulary", "model:x"], "kappa": agreed, "equal": agreed}],
    }
    made.out["systems"]["guarded"]["ungraded"] = {"count": 2, "n": 8, "why": {"timed out": 2}}
    text = Page(page(made)).text
    assert "Counted is what vocabulary says" in text
    assert "vocabulary and model:x 0.800 0.700 to 0.900 80.0%" in text
    assert "2 of 8 answers of guarded could not be labelled" in text
    assert "timed out (2)" in text


def test_the_gate_is_on_the_page(made: Small) -> None:
    findings = [
        Finding(Condition("a > 1", "a", ">", 1.0), 2.0),
        Finding(Condition("b > 1", "b", ">", 1.0), 0.0),
    ]
    found = Page(page(made, findings=findings))
    assert "failed: a > 1 (it is 2)" in found.text
    assert "passed: b > 1 (it is 0)" in found.text
    assert (len(found.of("problem")), len(found.of("fine"))) == (1, 1)
    assert "Gate" not in Page(page(made)).text


def test_the_run_is_there_to_run_again(made: Small) -> None:
    text = Page(page(made, command="guardrail eval scenes --seed 1")).text
    assert "guardrail eval scenes --seed 1" in text
    for system in made.systems:
        assert system.policy.digest in text


def test_the_same_evaluation_gives_the_same_page(made: Small) -> None:
    assert page(made) == page(made)
