"""Made-up models for the fit of steering: who refuses what, by a rule that a test chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from guardrail.evaluation.calibration import Evidence, Split
from guardrail.evaluation.calibration.evidence import split
from guardrail.evaluation.systems import System

from .evidence_made import judged

Leaning = Callable[[str, NDArray[np.bool_], np.random.Generator], NDArray[np.float64]]
"""From an arm's name and the labels to what the arm adds to each request's leaning to refuse."""


def pairs(count: int) -> Evidence:
    """Clusters of a safe and an unsafe request."""
    rows = [judged(at, side, 0.5) for at in range(count) for side in ("safe", "unsafe")]
    return Evidence(tuple(rows))


@dataclass
class Model:
    """Refuses a request where its leaning to refuse, with what the arm adds, is above 0.

    A cluster's requests lean alike, which is why they are resampled together.
    """

    evidence: Evidence
    adds: Leaning
    seed: int
    apart: float = 0.5
    offset: float = 0.0
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        place = {name: at for at, name in enumerate(self.evidence.clusters())}
        shared = rng.normal(size=len(place))
        self._leaning = {
            each.sample.id: shared[place[each.sample.cluster]]
            + rng.normal()
            + self.offset
            + (self.apart if each.unsafe else -self.apart)
            for each in self.evidence
        }

    def __call__(
        self, what: str, systems: Sequence[System], part: Evidence
    ) -> Mapping[str, Sequence[bool]]:
        unsafe = np.array([each.unsafe for each in part])
        leaning = np.array([self._leaning[each.sample.id] for each in part])
        refused = {}
        for system in systems:
            arm = system.name.split(" @")[0]
            self.asked.append((what, arm, len(part)))
            seed = [self.seed, *arm.encode(), len(what)]
            added = self.adds(arm, unsafe, np.random.default_rng(seed))
            refused[system.name] = (leaning + added > 0).tolist()
        return refused


def parts(evidence: Evidence, seed: int) -> Split:
    return split(evidence, seed=seed)
