"""The systems by name: which there are, what each changes, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from guardrail.errors import PolicyError, SettingsError
from guardrail.evaluation import DEFAULT_SYSTEMS, SYSTEMS, systems_for
from guardrail.evaluation.systems import System, listing
from guardrail.policy import Policy, decide, load_policy
from guardrail.policy.verdict import Verdict

BASELINE = load_policy("baseline")
ALL = {each.name: each for each in systems_for(["all"], BASELINE)}
JUDGING = [name for name, each in ALL.items() if each.mode == "enforce" and name != "constant-bias"]


def action(policy: Policy, p: float, category: str = "physical-danger") -> str:
    found = {each.id: 0.0 for each in policy.categories}
    return decide(policy, Verdict({**found, category: p})).action


def test_all_is_the_catalogue_in_its_order() -> None:
    assert list(ALL) == list(SYSTEMS)
    assert [each.name for each in systems_for(["paper", "all"], BASELINE)][:3] == [
        "paper",
        "unguarded",
        "guarded",
    ]
    assert set(DEFAULT_SYSTEMS) < set(SYSTEMS)


def test_every_system_says_what_it_is_in_one_line() -> None:
    for each in listing():
        assert each["summary"]
        assert len(each["summary"]) <= 100
        assert each["origin"]
        assert each["cost"]
    assert [each["name"] for each in listing()] == list(SYSTEMS)


def test_ablations_differ_from_guarded_in_one_thing() -> None:
    assert ALL["unguarded"].mode == "off"
    assert ALL["guarded"].policy == BASELINE
    watched = {each.name: each for each in systems_for(["all"], load_policy("watched"))}
    assert not watched["guarded"].policy.watch.is_off
    assert watched["request-only"].policy.watch.is_off
    assert watched["verdict-then-block"].policy.watch.is_off
    assert not watched["contrast-only"].policy.watch.is_off
    for name, part, key, value in (
        ("contrast-only", "modulation", "form", "off"),
        ("modulation-only", "contrast", "when", "never"),
        ("fixed-strength", "modulation", "scale", "fixed"),
        ("scaled-strength", "modulation", "scale", "confidence"),
    ):
        changed = getattr(BASELINE, part).model_copy(update={key: value})
        assert ALL[name].policy == BASELINE.model_copy(update={part: changed})


def test_what_answers_depend_on_tells_all_systems_apart() -> None:
    told = {name: tuple(each.identity) for name, each in ALL.items()}
    assert BASELINE.modulation.scale == "fixed"
    assert BASELINE.watch.is_off
    assert told["guarded"] == told["fixed-strength"] == told["request-only"]
    assert len(set(told.values())) == len(told) - 2
    [four], [two] = (systems_for([f"constant-bias:{nats}"], BASELINE) for nats in (4, 2))
    assert four.identity == ALL["constant-bias"].identity != two.identity


@pytest.mark.parametrize("name", JUDGING)
def test_whoever_judges_asks_the_same_of_the_same_judge(name: str) -> None:
    judge = ALL[name].policy.judge
    assert judge.model_copy(update={"competence": BASELINE.judge.competence}) == BASELINE.judge
    asked = [(each.id, each.question) for each in ALL[name].policy.categories]
    assert asked == [(each.id, each.question) for each in BASELINE.categories]


@pytest.mark.parametrize("pack", ["baseline", "kids", "medical", "strict", "mlcommons"])
@pytest.mark.parametrize(
    ("name", "safe", "low", "high", "unsafe"),
    [
        ("verdict-then-block", "plain", "plain", "block", "block"),
        ("block-and-suppress", "comply", "plain", "plain", "block"),
        ("forced-beginning", "comply", "comply", "refuse", "refuse"),
        ("paper", "comply", "plain", "plain", "refuse"),
        ("published-code", "comply", "comply", "refuse", "refuse"),
    ],
)
def test_a_verdict_leads_to_the_system_s_own_action_in_every_category(
    name: str, safe: str, low: str, high: str, unsafe: str, pack: str
) -> None:
    evaluated = load_policy(pack)
    [system] = systems_for([name], evaluated)
    for rule in evaluated.rules:
        middle = (rule.safe_below + rule.unsafe_at) / 2
        band = rule.unsafe_at - rule.safe_below
        probabilities = (
            rule.safe_below - 0.01,
            middle - band / 4,
            middle + band / 4,
            rule.unsafe_at + 0.01,
        )
        expected = (safe, low, high, unsafe)
        if band == 0:
            probabilities, expected = probabilities[::3], expected[::3]  # type: ignore[assignment]
        for p, wanted in zip(probabilities, expected, strict=True):
            assert action(system.policy, p, rule.id) == wanted
    failed = Verdict.unavailable("x")
    assert decide(system.policy, failed).action == decide(evaluated, failed).action


def test_published_systems_take_their_method_from_the_packs() -> None:
    for name in ("paper", "published-code"):
        pack = load_policy(name)
        assert ALL[name].policy.contrast == pack.contrast
        assert ALL[name].policy.modulation == pack.modulation
        for p in (0.0, 0.3, 0.7, 1.0):
            assert action(ALL[name].policy, p) == action(pack, p)


@pytest.mark.parametrize("name", ["verdict-then-block", "unguarded", "safety-prompt"])
def test_plain_systems_touch_no_logits(name: str) -> None:
    system = ALL[name]
    policy = system.policy
    assert system.mode == "off" or (
        policy.modulation.form == "off" and policy.contrast.when == "never"
    )


def test_a_bias_is_as_strong_as_its_name_says() -> None:
    for name, nats in (("constant-bias", 4.0), ("constant-bias:0.5", 0.5), ("constant-bias:0", 0)):
        [system] = systems_for([name], BASELINE)
        assert system.name == name
        modulation = system.policy.modulation
        assert (modulation.suppress, modulation.scale) == (nats, "fixed")
        assert {action(system.policy, p) for p in (0.0, 0.5, 1.0)} == {"comply"}


@pytest.mark.parametrize("parameter", ["much", "-1", "101", "nan", "inf", "4:4"])
def test_a_bias_of_something_else_is_refused(parameter: str) -> None:
    with pytest.raises(SettingsError, match="expected nats from 0 to 100"):
        systems_for([f"constant-bias:{parameter}"], BASELINE)


def test_a_beginning_is_the_policy_s_first_english_phrase() -> None:
    assert ALL["forced-beginning"].policy.modulation.openings.refuse == "I'm sorry"
    korean = load_policy("baseline").model_copy(
        update={"refusals": {"ko": {"phrases": ["죄송합니다"]}}}
    )
    [system] = systems_for(["forced-beginning"], korean)
    assert system.policy.modulation.openings.refuse == "죄송합니다"


def test_another_policy_is_a_system_by_name_or_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("version: 1\nname: mine\nextends: baseline\n")
    systems = systems_for(["kids", str(path)], BASELINE)
    assert [each.policy.name for each in systems] == ["kids", "mine"]
    assert systems[0] == System("kids", load_policy("kids"), "enforce")


def test_names_count_once_and_blanks_not_at_all() -> None:
    systems = systems_for(["guarded", "", " guarded "], BASELINE)
    assert [each.name for each in systems] == ["guarded"]


@pytest.mark.parametrize("names", [[], ["", " "]])
def test_no_systems_are_refused(names: list[str]) -> None:
    with pytest.raises(PolicyError, match="no systems"):
        systems_for(names, BASELINE)


def test_an_unknown_system_names_what_there_is() -> None:
    with pytest.raises(PolicyError, match=r"'gaurded' is neither .* \(did you mean guarded\?\)"):
        systems_for(["gaurded"], BASELINE)


def test_a_parameter_where_none_is_taken_is_refused() -> None:
    with pytest.raises(PolicyError, match="'paper' takes no parameter: 'paper:3'"):
        systems_for(["paper:3"], BASELINE)


def test_naming_the_systems_loads_no_torch() -> None:
    code = (
        "import sys; from guardrail.evaluation import systems_for; "
        "from guardrail.policy import load_policy; systems_for(['all'], load_policy('baseline')); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
