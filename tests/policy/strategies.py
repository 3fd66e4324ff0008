"""Random policies and verdicts for the property-based suite."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from guardrail.policy import Policy
from guardrail.policy.memory import Memory, Recollection, Remembered
from guardrail.policy.terms import ACTIONS
from guardrail.policy.verdict import Verdict

probabilities = st.floats(0, 1, allow_nan=False) | st.sampled_from([0.0, 0.25, 0.4, 0.5, 0.6, 1.0])
words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=12)
sentences = words.filter(str.strip).map(lambda text: text.replace("{", "(").replace("}", ")"))
identifiers = st.sampled_from(["a", "b-1", "c_d", "danger", "x9", "no", "on-off", "7"])


@st.composite
def thresholds(draw: st.DrawFn) -> dict[str, float]:
    low, high = sorted([draw(probabilities), draw(probabilities)])
    return {"unsafe_at": high, "safe_below": low}


@st.composite
def ordered_actions(draw: st.DrawFn) -> dict[str, str]:
    """Actions that do not get more permissive as the verdict gets worse."""
    ranks = sorted(draw(st.tuples(*[st.integers(0, len(ACTIONS) - 1)] * 3)))
    names = ("on_safe", "on_uncertain", "on_unsafe")
    actions: dict[str, str] = {name: ACTIONS[rank] for name, rank in zip(names, ranks, strict=True)}
    if draw(st.booleans()):
        actions["on_uncertain"] = "lean"
    return {**actions, "on_error": draw(st.sampled_from(ACTIONS))}


@st.composite
def verdict_rules(draw: st.DrawFn) -> dict[str, Any]:
    return {**draw(thresholds()), **draw(ordered_actions())}


@st.composite
def categories(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for name in draw(st.lists(identifiers, min_size=1, max_size=5, unique=True)):
        category: dict[str, Any] = {"id": name, "question": draw(sentences)}
        if draw(st.booleans()):
            category |= draw(thresholds())
        if draw(st.booleans()):
            category |= draw(ordered_actions())
        if draw(st.booleans()):
            category["reason"] = {"en": draw(sentences)}
        if draw(st.booleans()):
            category["answer_question"] = draw(sentences)
        found.append(category)
    return found


@st.composite
def watches(draw: st.DrawFn) -> dict[str, Any]:
    watch: dict[str, Any] = draw(thresholds()) if draw(st.booleans()) else {}
    rest = st.fixed_dictionaries(
        {},
        optional={
            "every": st.sampled_from([0, 1, 32, 4096]),
            "on_unsafe": st.sampled_from(["replace", "end", "steer", "escalate", "record"]),
            "release": st.sampled_from(["judged", "immediate"]),
            "thinking": st.sampled_from(["shown", "withheld"]),
        },
    )
    return {**watch, **draw(rest)}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """Two policies about the same categories, each with all rules of its own."""
    names = draw(st.lists(identifiers, min_size=1, max_size=3, unique=True))
    contents = [
        {
            "version": 1,
            "name": "one",
            "categories": [
                {"id": name, "question": "?", **draw(thresholds()), **draw(ordered_actions())}
                for name in names
            ],
            "watch": draw(watches()),
        }
        for _ in range(2)
    ]
    one, other = (Policy.model_validate(content) for content in contents)
    return one, other


vocabularies = st.fixed_dictionaries(
    {"phrases": st.lists(sentences, max_size=4)},
    optional={"message": sentences.map(lambda text: f"{text}: {{reason}}"), "unchecked": sentences},
)

sessions = st.fixed_dictionaries(
    {"memory": st.sampled_from(["off", "max"])},
    optional={
        "decay": probabilities,
        "after_refusal": st.fixed_dictionaries(
            {}, optional={"unsafe_at": probabilities, "safe_below": probabilities}
        ),
    },
)

competences = st.fixed_dictionaries(
    {"evidence": st.sampled_from(["picture", "none"])},
    optional={"above": st.floats(-100, 100, allow_nan=False)},
) | st.fixed_dictionaries(
    {},
    optional={
        "evidence": st.just("familiar"),
        "above": st.floats(0, 1, exclude_min=True, exclude_max=True),
        "reference": sentences,
    },
)

contents = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "name": identifiers,
        "verdict": verdict_rules(),
        "categories": categories(),
    },
    optional={
        "mode": st.sampled_from(["enforce", "shadow", "off"]),
        "refusals": st.dictionaries(st.sampled_from(["en", "ko", "pt-BR"]), vocabularies),
        "contrast": st.fixed_dictionaries(
            {}, optional={"alpha": st.floats(0, 10), "guided_steps": st.integers(0, 512)}
        ),
        "modulation": st.fixed_dictionaries({}, optional={"boost": st.floats(0, 100)}),
        "judge": st.fixed_dictionaries(
            {}, optional={"timeout_s": st.floats(0.01, 600), "competence": competences}
        ),
        "audit": st.fixed_dictionaries({}, optional={"path": sentences}),
        "session": sessions,
        "watch": watches(),
    },
)


def policy_of(content: dict[str, Any]) -> Policy | None:
    """Returns the policy, or None if a category's own values clash with the general ones."""
    from pydantic import ValidationError

    try:
        return Policy.model_validate(content)
    except ValidationError:
        return None


policies = contents.map(policy_of).filter(lambda policy: policy is not None)

# What a judge may come up with, sane or not.
beliefs = (
    probabilities
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.integers(-3, 3)
    | st.sampled_from([None, "0.5", True, float("nan"), -0.0, 1.0000001, [0.5], object()])
)

evidence = st.dictionaries(
    st.sampled_from(["request", "description", "pictures", "prayer"]), beliefs, max_size=2
)


@st.composite
def verdicts(draw: st.DrawFn, policy: Policy) -> Verdict:
    ids = [category.id for category in policy.categories]
    names = st.sampled_from([*ids, "unheard-of"])
    error = draw(st.none() | st.just("timed out"))
    competence = draw(st.none() | beliefs)
    judged = draw(st.dictionaries(names, beliefs))
    return Verdict(judged, error=error, competence=competence, evidence=draw(evidence))


@st.composite
def sane_verdicts(draw: st.DrawFn, policy: Policy) -> Verdict:
    judged = {category.id: draw(probabilities) for category in policy.categories}
    competence = draw(st.none() | st.floats(-100, 100))
    return Verdict(judged, competence=competence, evidence=draw(evidence))


@st.composite
def memories(draw: st.DrawFn, policy: Policy) -> Memory:
    ids = st.sampled_from([category.id for category in policy.categories])
    remembered = st.builds(Remembered, probabilities, st.just("earlier"))
    return Memory(draw(st.dictionaries(ids, remembered)), draw(st.none() | st.just("refused")))


@st.composite
def recollections(draw: st.DrawFn, policy: Policy) -> list[Recollection]:
    names = st.sampled_from([*(category.id for category in policy.categories), "unheard-of"])
    beliefs = st.dictionaries(names, probabilities)
    return [
        Recollection(f"request-{number}", draw(beliefs), draw(st.booleans()))
        for number in range(draw(st.integers(0, 4)))
    ]
