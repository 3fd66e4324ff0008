"""What requests a model's judgement was tried on, and how unlike those a new one is.

A request is told by the model's own first step: the log-probabilities of a few tokens at the end of
its prompt, before anything is answered. How far they lie from those of the reference's requests is
a Mahalanobis distance. What a model makes of a picture is told by how sure it is of its own
description. Both become conformal p-values: the share of the reference's requests that were as
strange. Knows no model and no policy.

Source: Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples",
NeurIPS 2018 (the distance, there of hidden states, of which logits are a linear function); Bates et
al., "Testing for Outliers with Conformal p-values", Annals of Statistics 2023 (one half of the
requests for the distance, the other for its distribution).
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.errors import JudgeError

TOKENS = 128
"""How many tokens tell requests apart."""

FEWEST = 6
"""Fewer requests than this have no distribution: two of a half differ in one direction alone."""

LARGEST = 64 << 20
"""Bytes that a file may have: millions of requests."""

_VERSION = 1
_SHUFFLED_BY = 0

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reference:
    """The requests that a model was tried on, as far as telling others from them needs.

    Attributes:
        token_ids: (tokens,), whose log-probabilities tell a request.
        mean: (tokens,), nats.
        precision: (tokens, tokens), the inverse covariance, nats^-2.
        distances: (requests,), ascending: squared Mahalanobis distances of requests by which the
            above were not fitted.
        surprisals: (requests,), ascending: mean negative log-probability of the descriptions of
            those requests' pictures, nats a token. Empty where none had a picture.
        shapes: How many of the requests were made of what, by `familiarity.shape_of`.
        about: Where it came from, in words, by what.
    """

    token_ids: Ids
    mean: Floats
    precision: Floats
    distances: Floats
    surprisals: Floats
    shapes: Mapping[str, int]
    about: Mapping[str, str]

    @classmethod
    def fit(
        cls,
        token_ids: Sequence[int],
        first_tokens: npt.ArrayLike,
        surprisals: Sequence[float],
        about: Mapping[str, str],
        *,
        shapes: Mapping[str, int],
    ) -> Reference:
        """Returns the reference of requests.

        Args:
            token_ids: (tokens,).
            first_tokens: (requests, tokens), their log-probabilities as the answer's first. One
                half, drawn at random, is for the distance, the other for its distribution.
            surprisals: Of the descriptions of the pictures of those that have some.
            about: As the attribute.
            shapes: As the attribute.

        Raises:
            JudgeError: There are fewer than `FEWEST`, they are too much alike, or something is no
                finite number.
        """
        from sklearn.covariance import LedoitWolf

        rows = np.asarray(first_tokens, np.float64)
        found = np.sort(np.asarray(surprisals, np.float64))
        if len(rows) < FEWEST:
            raise JudgeError(f"{len(rows)} requests are no reference: expected {FEWEST} or more")
        if not (np.isfinite(rows).all() and np.isfinite(found).all()):
            raise JudgeError("the model gives log-probabilities that are no finite numbers")
        rows = np.random.default_rng(_SHUFFLED_BY).permutation(rows)
        gaussian = LedoitWolf().fit(rows[::2])
        mean, precision = gaussian.location_, gaussian.precision_
        if not _tells(precision.astype(np.float32)):
            raise JudgeError(
                "the requests are too much alike to the model to tell others from them"
            )
        distances = np.sort(_distances(rows[1::2], mean, precision))
        ids = np.asarray(token_ids, np.int64)
        return cls(ids, mean, precision, distances, found, dict(shapes), dict(about))

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Reads a reference.

        Raises:
            JudgeError: It is missing, or no reference.
        """
        from safetensors import safe_open

        try:
            _check_file(path)
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {})["guardrail_reference"])
                held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return cls._checked(held, about)
        except FileNotFoundError:
            raise JudgeError(f"there is no reference at {str(path)!r}") from None
        except Exception as error:  # whatever a broken or a foreign file raises
            raise JudgeError(f"{str(path)!r} is no reference: {error}") from error

    @classmethod
    def _checked(cls, held: Mapping[str, Any], about: Any) -> Reference:
        about = dict(about)
        if about.pop("version", None) != _VERSION:
            raise ValueError(f"its version is none that is known here ({_VERSION})")
        shapes = {str(shape): int(count) for shape, count in about.pop("shapes").items()}
        ids = held["token_ids"]
        if ids.dtype.kind not in "iu":
            raise ValueError(f"its token ids are of the type {ids.dtype}")
        names = ("mean", "precision", "distances", "surprisals")
        mean, precision, distances, surprisals = (np.asarray(held[n], np.float64) for n in names)
        k = ids.size
        fitting = [ids.shape, mean.shape, precision.shape, distances.ndim, surprisals.ndim]
        if fitting != [(k,), (k,), (k, k), 1, 1] or not k or not len(distances):
            raise ValueError("its shapes do not fit together")
        if ids.min() < 0:
            raise ValueError(f"it names a token {ids.min()}")
        if not all(np.isfinite(each).all() for each in (mean, precision, distances, surprisals)):
            raise ValueError("it holds what is no finite number")
        if not _tells(precision):
            raise ValueError("its precision takes requests for the same that are not")
        words = {str(name): str(said) for name, said in about.items()}
        ids = ids.astype(np.int64)
        return cls(ids, mean, precision, np.sort(distances), np.sort(surprisals), shapes, words)

    def to_bytes(self) -> bytes:
        """Returns the file that `load` reads: safetensors."""
        from safetensors.numpy import save

        held: dict[str, npt.NDArray[Any]] = {
            "token_ids": self.token_ids,
            "mean": self.mean.astype(np.float32),
            "precision": self.precision.astype(np.float32),
            "distances": self.distances.astype(np.float32),
            "surprisals": self.surprisals.astype(np.float32),
        }
        about = {"version": _VERSION, "shapes": dict(self.shapes), **self.about}
        return save(held, metadata={"guardrail_reference": json.dumps(about)})

    def resolves(self, p: float) -> bool:
        """Whether there are requests enough that a request's p-value could be `p` or less."""
        return 1 / (len(self.distances) + 1) <= p

    def resolves_shape(self, shape: str, p: float) -> bool:
        """Whether there are requests of such a shape enough that one's p-value could be `p`."""
        half = max(0, self.shapes.get(shape, 0)) // 2
        return 1 / (half + 1) <= p

    def resolves_descriptions(self, p: float) -> bool:
        """Whether there are descriptions enough that one's p-value could be `p` or less."""
        return 1 / (len(self.surprisals) + 1) <= p

    def p_requests(self, first_tokens: npt.ArrayLike) -> list[float]:
        """Returns, for each request, a p-value in (0, 1]: low where it is unlike the reference's.

        Args:
            first_tokens: (requests, tokens), the log-probabilities of `token_ids`.
        """
        rows = np.asarray(first_tokens, np.float64)
        return _p_values(_distances(rows, self.mean, self.precision), self.distances)

    def p_descriptions(self, surprisals: Sequence[float]) -> list[float]:
        """Returns, for each description, a p-value in (0, 1]: low where the model is less sure.

        A reference without descriptions knows of no picture, so that every one is strange: 0.

        Args:
            surprisals: Mean negative log-probability, nats a token.
        """
        if not len(self.surprisals):
            return [0.0] * len(surprisals)
        return _p_values(np.asarray(surprisals, np.float64), self.surprisals)


def _check_file(path: Path) -> None:
    """Checks that there is a file of a bearable size: a pipe would be waited for."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no file")
    if found.st_size > LARGEST:
        raise ValueError(f"it has {found.st_size} bytes, expected {LARGEST} or fewer")


def _tells(precision: npt.NDArray[Any]) -> bool:
    """Whether no two requests are at no distance, or at less: it is positive definite."""
    found = np.linalg.eigvalsh((precision + precision.T) / 2)
    return bool(found[0] > 0)


def _distances(rows: Floats, mean: Floats, precision: Floats) -> Floats:
    away = rows - mean
    found: Floats = np.einsum("ij,jk,ik->i", away, precision, away)
    return found


def _p_values(scores: Floats, ascending: Floats) -> list[float]:
    """Returns (1 + how many are as high) / (1 + how many there are); 0 for what is no number."""
    below = np.searchsorted(ascending, scores, side="left")
    p = (1 + len(ascending) - below) / (1 + len(ascending))
    return [float(each) for each in np.where(np.isfinite(scores), p, 0.0)]
