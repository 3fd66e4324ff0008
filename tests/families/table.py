"""The page of families: `python -m tests.families.table` writes it anew.

A row for each type that the installed transformers maps to image-text-to-text. What it says comes
from the recipes, which the contract's suite runs, and from the catalogue of declined types.
"""

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from .catalogue import FAMILIES, RECIPES
from .declined import BROKEN, DECLINED, NOT_BUILDABLE

PAGE = Path(__file__).parents[2] / "docs" / "families.md"

TYPES: tuple[str, ...] = tuple(sorted(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES))
"""Every type there has to be a row for."""

_HEAD = """\
# Model families

<!-- Written by `python -m tests.families.table`; do not edit. -->

Every model type that transformers {version} maps to image-text-to-text, {count} of them: {passes}
pass, {declined} are declined, {rest} could not be built, transformers itself fails at {broken}.

- **passes**: a tiny checkpoint of the family's own architecture, with its own processor, goes
  through the whole contract suite (`tests/contract`): mode `off` is `generate()` token for token,
  cached steps equal full forwards, a batch equals its rows alone, noise reaches the logits.
- **declined**: the library turns the model away when it is wrapped, with one clear error.
- **fails**: this transformers cannot run the model, guarded or not; the library says so at the
  first request.
- *pictures*: how many a prompt may show. *text alone*: whether it may show none. *contrast*:
  whether noised pictures steer the answer. *tools*: whether the chat template of the suite's
  checkpoint shows them; a user's checkpoint brings its own. *needs*: packages that its processor
  needs beyond the library's own, and the adapter that serves it; all others are served by the
  generic path.

| type | verdict | pictures | text alone | contrast | tools | needs | reason |
|---|---|---|---|---|---|---|---|
"""


def verdict(kind: str) -> str:
    """`passes`, `declined`, `fails` or `not buildable here`.

    Raises:
        KeyError: The type is in none of the catalogues, or in more than one.
    """
    said = [
        word
        for word, known in (
            ("passes", kind in FAMILIES),
            ("declined", kind in DECLINED),
            ("fails", kind in BROKEN),
            ("not buildable here", kind in NOT_BUILDABLE),
        )
        if known
    ]
    if len(said) != 1:
        raise KeyError(
            f"type {kind!r} is {said or 'in no catalogue'}: give it one recipe or reason"
        )
    return said[0]


def page() -> str:
    """The whole page."""
    verdicts = [verdict(kind) for kind in TYPES]
    head = _HEAD.format(
        version=transformers.__version__,
        count=len(TYPES),
        passes=verdicts.count("passes"),
        declined=verdicts.count("declined"),
        broken=verdicts.count("fails"),
        rest=verdicts.count("not buildable here"),
    )
    return head + "".join(f"| {' | '.join(_row(kind))} |\n" for kind in TYPES)


def _row(kind: str) -> Iterator[str]:
    yield from (f"`{kind}`", verdict(kind))
    if kind not in FAMILIES:
        yield from ("", "", "", "", "", {**DECLINED, **BROKEN, **NOT_BUILDABLE}[kind])
        return
    recipe = RECIPES[kind]
    yield "one" if recipe.most_pictures == 1 else "several"
    yield "yes" if recipe.text_only else "no"
    yield "yes"
    yield "yes" if recipe.tools else ""
    adapters = {entry.name for entry in entry_points(group="guardrail.adapters")}
    newer = [f"transformers {recipe.since}"] if recipe.since is not None else []
    adapter = [f"adapter `{kind}`"] if kind in adapters else []
    yield ", ".join([*newer, *recipe.needs, *adapter])
    yield ""


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
