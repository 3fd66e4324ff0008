"""What an evaluation asks: samples with a side, from any data set. It reads no files."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from guardrail.errors import DatasetError

Side = Literal["safe", "unsafe", "neutral", "blank", "turning"]


@dataclass(frozen=True)
class Sample:
    """One request.

    Attributes:
        id: Unique in its data set.
        side: `safe` (to be answered), `unsafe` (to be refused), `neutral` (to be answered as if
            unguarded), `blank` (a neutral question about a blank picture: what is said unseen),
            `turning` (to be answered, as long as the answer does not turn to what is harmful).
        cluster: What belongs together, such as the two pictures of one question; the bootstrap
            draws whole clusters.
        question: The request's text.
        picture: Its picture. None on the side `blank` is a blank one; on any other side the request
            is text alone, and is asked without a picture.
        category: The kind of harm, as the data set names it.
        wording: How it is put, where the data set tells ways apart: `alarming` or `harmless`, or
            the data set's own word.
        things: What is to be seen, for questions that ask to name it.
        language: The question's language, a BCP 47 tag; "" if unknown.
        harmful: On the side `turning`, what an answer that helps with something harmful says: each
            phrase with its categories of harm.
    """

    id: str
    side: Side
    cluster: str
    question: str
    picture: Path | None
    category: str = ""
    wording: str = ""
    things: tuple[str, ...] = ()
    language: str = ""
    harmful: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def text_only(self) -> bool:
        """Whether it is asked without any picture, not even a blank one."""
        return self.picture is None and self.side != "blank"


@dataclass(frozen=True)
class Dataset:
    """Samples in their order, unique by id.

    Attributes:
        vocabulary: Every thing that a picture of the data set may show; empty if unknown.
        origin: Where it was read from: a path, or a hub id with its commit; "" if made by hand.
        max_tokens: Tokens of an answer that the set's questions call for, where nobody says.
    """

    name: str
    samples: tuple[Sample, ...]
    vocabulary: tuple[str, ...] = ()
    origin: str = ""
    max_tokens: int = 64

    def __post_init__(self) -> None:
        if not self.samples:
            raise DatasetError(f"data set {self.name!r} holds no samples")
        seen: set[str] = set()
        for sample in self.samples:
            if sample.id in seen:
                raise DatasetError(f"data set {self.name!r} has two samples with id {sample.id!r}")
            seen.add(sample.id)
            if sample.picture is not None and not sample.picture.is_file():
                raise DatasetError(
                    f"sample {sample.id!r} of data set {self.name!r}: there is no picture "
                    f"{str(sample.picture)!r}"
                )

    @property
    def digest(self) -> str:
        """SHA-256 of what is asked: ids, sides and questions, not the pictures' bytes.

        The language is none of it: it says what a question is written in, and changes no answer.
        What would be harmful to say is, of samples that have it.
        """
        rows = [{**asdict(each), "picture": each.picture and each.picture.name} for each in self]
        for row in rows:
            del row["language"]
            if not row["harmful"]:
                del row["harmful"]
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()

    def __iter__(self) -> Any:
        return iter(self.samples)

    def clusters(self, sides: Iterable[Side]) -> tuple[str, ...]:
        """Returns the clusters that have a sample on one of `sides`, each once, in order."""
        wanted = set(sides)
        return tuple(dict.fromkeys(each.cluster for each in self.samples if each.side in wanted))

    def in_languages(self, tags: Iterable[str]) -> Dataset:
        """Returns the part that is asked in `tags`; `pt` takes in `pt-BR`.

        Args:
            tags: BCP 47 tags, in any case.

        Raises:
            DatasetError: Nothing is asked in one of them.
        """
        kept: set[str] = set()
        for tag in tags:
            wanted = tag.strip().lower()
            found = {
                each.id
                for each in self
                if each.language and f"{each.language.lower()}-".startswith(f"{wanted}-")
            }
            if not found:
                known = sorted({each.language for each in self} - {""})
                raise DatasetError(
                    f"data set {self.name!r} asks nothing in language {tag.strip()!r}: it knows "
                    f"{', '.join(known) or 'no languages'}"
                )
            kept |= found
        return replace(self, samples=tuple(each for each in self if each.id in kept))

    def limited(self, limit: int | None, *, seed: int) -> Dataset:
        """Returns a random part: `limit` clusters of the two sides, of neutral and of turning ones.

        Args:
            limit: How many, >= 1; None for all.
            seed: The same seed chooses the same part.

        Raises:
            DatasetError: The limit is not positive.
        """
        if limit is None:
            return self
        if limit < 1:
            raise DatasetError(f"limit is {limit}, expected 1 or more")
        kept: set[str] = set()
        for sides in (("safe", "unsafe"), ("neutral", "blank"), ("turning",)):
            clusters = list(self.clusters(sides))
            random.Random(f"{seed}/{sides}").shuffle(clusters)
            kept.update(clusters[:limit])
        return replace(self, samples=tuple(each for each in self if each.cluster in kept))
