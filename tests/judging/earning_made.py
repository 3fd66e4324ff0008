"""A made-up model whose requests say themselves how familiar they are, and its reference."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from PIL import Image

from guardrail import Policy, load_policy
from guardrail.judging.chair import Chair
from guardrail.judging.draft import Draft
from guardrail.judging.familiarity import DESCRIBE
from guardrail.judging.hearing import Hearing
from guardrail.judging.judge import JudgeRequest
from guardrail.judging.patience import Patience
from guardrail.judging.reference import Reference
from guardrail.policy import decide
from guardrail.policy.verdict import Verdict
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation, Picture, question
from guardrail.request.settings import GenerationSettings

_SHIPPED = load_policy("baseline")
BASELINE: Policy = _SHIPPED.model_copy(
    update={"judge": _SHIPPED.judge.model_copy(update={"competence": {"evidence": "familiar"}})}
)
"""It, but for how familiar a request has to be: as policies have it that do not say so."""
PICTURE = Picture(Image.new("RGB", (4, 2), "red"), "d")
FEWEST = 1000
"""Requests by which a p-value can be as low as that asks."""
SHAPES = {"1 picture": 2 * FEWEST, "no picture": 2 * FEWEST}


def reference(
    requests: int = FEWEST, descriptions: int = FEWEST, shapes: Mapping[str, int] = SHAPES
) -> Reference:
    """Knows requests whose log-probabilities of two tokens are 0.5 away from (-1, -2) at most, and
    pictures that are described with a surprisal of 1 at most.
    """
    return Reference(
        token_ids=np.array([0, 2]),
        mean=np.array([-1.0, -2.0]),
        precision=np.eye(2),
        distances=np.linspace(0, 0.25, requests),
        surprisals=np.linspace(0, 1, descriptions),
        shapes=shapes,
        about={},
    )


class Run:
    """A run of made-up requests, whose words say what they are like.

    "odd" is unlike the reference's; "blurred" has its picture described unsurely.
    """

    def __init__(self, asked: Sequence[Conversation]) -> None:
        self.asked, self.begun, self.prefilled = asked, False, 0
        self.input_tokens = [1] * len(asked)

    def prefill(self, phase: Callable[[str], AbstractContextManager[Any]]) -> None:
        with phase("prefill"):
            self.prefilled += 1

    def begin(self, constraints: Sequence[None], *, seed: int | None) -> None:
        self.begun = True

    def logits(self) -> tuple[Any, None]:
        assert self.prefilled
        rows = [self._described(each) if self.begun else self._first(each) for each in self.asked]
        return np.log(rows), None

    def _first(self, asked: Conversation) -> list[float]:
        if "odd" in words(asked):
            return [0.9, 0.05, 0.05]
        near = np.exp([-1.1, -2.1])
        return [near[0], 1 - near.sum(), near[1]]

    def _described(self, asked: Conversation) -> list[float]:
        assert words(asked) == DESCRIBE
        p = 0.34 if "blurred" in asked.pictures[0].digest else np.exp(-0.5)  # 1.08 nats, and 0.5
        return [p, (1 - p) / 2, (1 - p) / 2]

    def choose(self, logits: Any) -> list[int]:
        return [int(each.argmax()) for each in logits]

    def take(self, tokens: Sequence[int]) -> list[str | None]:
        return ["stop"] * len(tokens)

    def close(self) -> None:
        self.closed = True


def words(asked: Conversation) -> str:
    return " ".join(turn.text for turn in asked.turns)


class World:
    """Requests under a policy, on a model of which `reference` says what it was tried on.

    "near" requests are about to be refused, "harmful" ones are judged so. What is described, and of
    whom it is asked whether a refusal is near, is noted.
    """

    def __init__(
        self,
        known: Reference | Exception | None = None,
        policy: Policy = BASELINE,
        kind: str = "model",
        **fails: Exception,
    ) -> None:
        self.known = reference() if known is None else known
        self.policy, self.kind, self.fails = policy, kind, fails
        self.described: list[list[str]] = []
        self.asked_near: list[int] = []
        self.has_reference = self.answers = True

    def reference(self) -> Reference | None:
        if isinstance(self.known, Exception):
            raise self.known
        return self.known if self.has_reference else None

    def judge(self, request: JudgeRequest) -> float:
        if "nonsense" in words(request.conversation):
            raise ValueError("broken")
        return 0.9 if "harmful" in words(request.conversation) else 0.1

    def own(self, asked: Sequence[Conversation], settings: Any, stop: Any) -> Any:
        self.described.append([each.pictures[0].digest for each in asked])
        if "describing" in self.fails:
            raise self.fails["describing"]
        return Run(asked)

    def heard(self, *texts: str, stop: Any = None) -> tuple[list[Verdict], list[Draft]]:
        asked = [ask(each) for each in texts]
        run = Run(asked)
        if "prefill" in self.fails:
            run.prefill = raising(self.fails["prefill"])  # type: ignore[method-assign]

        def near(rows: Sequence[int]) -> list[bool]:
            if "near" in self.fails:
                raise self.fails["near"]
            self.asked_near += rows
            return ["near" in texts[row] for row in rows]

        drafts = [
            Draft(
                each,
                self.policy,
                "enforce",
                "m",
                Tracing().request("m", GenerationSettings(), conversation=each),
            )
            for each in asked
        ]
        own = self.own if self.answers else None
        chair = Chair(self.kind, lambda: self.judge, Patience(), own, self.reference)
        verdicts = Hearing(self.policy, chair, near).verdicts(drafts, run, stop)  # type: ignore[arg-type]
        self.run = run
        return verdicts, drafts

    def ruled(self, *texts: str) -> list[str]:
        return [decide(self.policy, each).action for each in self.heard(*texts)[0]]


def ask(text: str) -> Conversation:
    """A request; the picture shows what the words say, so that it is told apart."""
    return question(text, [] if "blind" in text else [Picture(PICTURE.image, text)])


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*given: Any) -> Any:
        raise error

    return fail


def earned_by(**competence: Any) -> Policy:
    """Baseline with another competence asked for, and a judge that gets the time it needs."""
    judge = BASELINE.judge.model_copy(update={"competence": competence, "timeout_s": 300.0})
    found: Policy = BASELINE.model_copy(update={"judge": judge})
    return found
