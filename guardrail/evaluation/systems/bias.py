"""A constant bias away from refusal, whatever is asked: what a verdict has to add to.

Nobody judges. The bias goes the way of every suppression, through an engine of its own on the same
backend, whose judge calls everything safe at no cost; that is no verdict, and is not recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from guardrail.errors import SettingsError
from guardrail.evaluation.systems.acting import acting, modulated
from guardrail.evaluation.systems.system import Ask, System
from guardrail.policy import Policy
from guardrail.policy.schema import Session
from guardrail.policy.terms import Mode
from guardrail.record.decision import VerdictRecord
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings

if TYPE_CHECKING:
    from guardrail.steering.safecode import SafeCoDe

DEFAULT_NATS = 4.0
"""Half of what `baseline` takes away at most: it turns refusals up to e^4 times likelier."""

MOST_NATS = 100.0


def constant_bias(name: str, policy: Policy, parameter: str = "") -> System:
    """Takes a constant number of nats from refusals at the guided steps.

    Args:
        name: With its parameter.
        policy: Names the refusals and how many steps are guided.
        parameter: Nats, from 0 to 100; 4 without.

    Raises:
        SettingsError: The parameter is no such number.
    """
    nats = _nats(name, parameter) if parameter else DEFAULT_NATS
    always = acting(policy, safe="comply", uncertain="comply", unsafe="comply")
    biased = modulated(always, form="phrase", suppress=nats, scale="fixed")
    judge = biased.judge.model_copy(update={"views": "whole", "calibration": None})
    biased = biased.model_copy(update={"judge": judge, "session": Session()})
    return System(name, biased, "enforce", unjudged)


def unjudged(engine: SafeCoDe, policy: Policy, mode: Mode) -> Ask:
    """Asks under a policy as if everything had been judged safe."""
    from guardrail.steering.safecode import SafeCoDe

    blind = SafeCoDe(
        backend=engine.backend, policy=policy, judge=lambda _: 0.0, name=engine.model_name
    )

    def ask(conversations: Sequence[Conversation], settings: GenerationSettings) -> list[Any]:
        answers = blind.batch(conversations, settings, mode=mode, return_exceptions=True)
        return [_without_verdict(each) for each in answers]

    return ask


def _without_verdict(answer: Any) -> Any:
    if isinstance(answer, Exception):
        return answer
    decision = answer.decision.model_copy(update={"verdict": VerdictRecord()})
    return replace(answer, decision=decision)


def _nats(name: str, parameter: str) -> float:
    try:
        nats = float(parameter)
    except ValueError:
        nats = -1.0
    if not 0 <= nats <= MOST_NATS:
        raise SettingsError(
            f"system {name!r} has {parameter!r} after the colon, expected nats from 0 to "
            f"{MOST_NATS:g}, as in constant-bias:{DEFAULT_NATS:g}"
        )
    return nats
