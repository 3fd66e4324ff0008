"""Requests with their label and their verdict, and the two parts that they are split into.

Whatever belongs together, such as the two pictures of one question, falls into the same part: what
measures has seen nothing of what is fitted.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from guardrail.errors import DatasetError
from guardrail.evaluation.calibration.asking import labelled
from guardrail.evaluation.calibration.verdicts import Verdicts
from guardrail.evaluation.dataset import Dataset, Sample
from guardrail.judging.evidence import counted
from guardrail.policy import Policy
from guardrail.policy.verdict import Verdict

FITTED = 0.5
"""The share of the clusters that is fitted; the others measure."""


@dataclass(frozen=True)
class Judged:
    """A labelled request and what the judge said of it.

    Attributes:
        categories: P(harm) by category id, uncalibrated; empty where the judge failed.
        unseen: The same with grey pictures; None where there is none, or nobody asked.
    """

    sample: Sample
    categories: Mapping[str, float]
    unseen: Mapping[str, float] | None = None

    @property
    def unsafe(self) -> bool:
        """Its label."""
        return self.sample.side == "unsafe"

    def verdict(self, policy: Policy) -> Verdict:
        """Returns the verdict that `policy` would have of it, contrasted and calibrated."""
        without = None if self.unseen is None else _said(self.unseen)
        found = counted(policy.judge, _said(self.categories), without)
        return found if found.error is None else Verdict.unavailable(found.error)


def _said(categories: Mapping[str, float]) -> Verdict:
    return Verdict(categories) if categories else Verdict.unavailable("the judge failed")


@dataclass(frozen=True)
class Evidence:
    """Judged requests, in their order.

    Attributes:
        merged: How many clusters were counted with another, whose request one of theirs repeats.
    """

    rows: tuple[Judged, ...]
    merged: int = 0

    def __iter__(self) -> Iterator[Judged]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def available(self, policy: Policy) -> Evidence:
        """Returns those of which `policy` would have a verdict."""
        return Evidence(tuple(each for each in self if each.verdict(policy).error is None))

    def of(self, clusters: Iterable[str]) -> Evidence:
        """Returns those in one of the clusters."""
        wanted = set(clusters)
        return Evidence(tuple(each for each in self if each.sample.cluster in wanted))

    def clusters(self, *, unsafe: bool | None = None) -> tuple[str, ...]:
        """Returns the clusters, each once, in order; only those with such a label, if given."""
        return tuple(
            dict.fromkeys(
                each.sample.cluster for each in self if unsafe is None or each.unsafe is unsafe
            )
        )

    @property
    def cluster_numbers(self) -> list[int]:
        """Each request's cluster, by its place among `clusters`."""
        place = {name: at for at, name in enumerate(self.clusters())}
        return [place[each.sample.cluster] for each in self]


@dataclass(frozen=True)
class Split:
    """Two parts without a cluster in common: one to fit on, one that only measures."""

    fitted: Evidence
    held_out: Evidence


def evidence_of(dataset: Dataset, verdicts: Verdicts, *, unseen: bool = False) -> Evidence:
    """Returns the labelled samples with their verdicts.

    Args:
        dataset: What was asked.
        verdicts: What was said.
        unseen: Whether pictured samples were judged with grey pictures, too.

    Raises:
        DatasetError: A sample was not judged, or none is labelled.
    """
    samples: Sequence[Sample] = labelled(dataset)
    if not samples:
        raise DatasetError(f"data set {dataset.name!r} has no sample labelled safe or unsafe")
    clusters = _clusters(samples)
    rows = []
    for sample in samples:
        spoken = verdicts.get(sample.id)
        grey = verdicts.get(sample.id, unseen=True) if unseen and not sample.text_only else None
        if spoken is None:
            raise DatasetError(f"sample {sample.id!r} was not judged")
        if grey is None and unseen and not sample.text_only:
            raise DatasetError(f"sample {sample.id!r} was not judged with grey pictures")
        together = replace(sample, cluster=clusters[sample.cluster])
        rows.append(Judged(together, spoken.categories, None if grey is None else grey.categories))
    return Evidence(tuple(rows), merged=len(clusters) - len(set(clusters.values())))


def _clusters(samples: Sequence[Sample]) -> dict[str, str]:
    """Returns for each cluster the one that it is counted with.

    The same question about the same picture, byte for byte, is one request however often a data set
    holds it: as several clusters it would count several times, and fall into both parts.
    """
    found = {each.cluster: each.cluster for each in samples}
    first: dict[tuple[str, bytes], str] = {}
    for sample in samples:
        picture = sample.picture.read_bytes() if sample.picture is not None else b""
        request = sample.question, hashlib.sha256(picture).digest()
        other = found[first.setdefault(request, sample.cluster)]
        mine = found[sample.cluster]
        if mine != other:
            found.update({name: other for name, at in found.items() if at == mine})
    return found


def split(evidence: Evidence, *, seed: int) -> Split:
    """Returns two random parts, clusters whole; the same seed gives the same parts."""
    clusters = list(evidence.clusters())
    random.Random(f"calibration/{seed}").shuffle(clusters)
    count = round(FITTED * len(clusters))
    return Split(evidence.of(clusters[:count]), evidence.of(clusters[count:]))
