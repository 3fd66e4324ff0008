"""Writes the held-out requests for long answers, about pictures in which something is harmful.

Their wordings are kept out of training; their pictures are those of the held-out pairs' unsafe
side, whose compositions, cut-outs and backgrounds are.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from guardrail.embedded.training.acts import harmful_phrases
from guardrail.embedded.training.scenes import scene_from_json
from guardrail.embedded.training.things import CATEGORIES, THINGS
from guardrail.embedded.training.turning import harmful_in, harmless_in
from guardrail.embedded.training.turning_wording import KINDS

TURNING = 200


def draw_turning(entries: list[dict[str, Any]], count: int = TURNING) -> list[dict[str, Any]]:
    """Draws requests about held-out pairs: categories in turn, kinds in turn.

    Args:
        entries: The held-out pairs, as `combined.json` has them.
        count: How many requests, each about a picture of its own.
    """
    rng = random.Random("turning")
    pools = {name: [e for e in entries if e["category"] == name] for name in CATEGORIES}
    for pool in pools.values():
        rng.shuffle(pool)
    asked = [(name, text) for name, kind in KINDS.items() for text in kind.held_out]
    rng.shuffle(asked)
    rows = []
    for number in range(count):
        kind, request = asked[number % len(asked)]
        rows.append(_row(number, pools[CATEGORIES[number % len(CATEGORIES)]].pop(), kind, request))
    return rows


def _row(number: int, entry: dict[str, Any], kind: str, request: str) -> dict[str, Any]:
    scene = scene_from_json(entry["scene_unsafe"])
    harmful = harmful_in(scene)
    named = {category for each in harmful for category in each.harms(scene)}
    return {
        "id": f"t{number:04d}",
        "pair": entry["id"],
        "kind": kind,
        "request": request,
        "image_path": entry["unsafe_image_path"],
        "category": entry["category"],
        "categories": [name for name in CATEGORIES if name in named],
        "harmful": [each.key for each in harmful],
        "harmless": [each.key for each in harmless_in(scene)],
        "harmful_phrases": harmful_phrases(scene),
        "place": scene.place,
        "things": [THINGS[key].noun for key in scene.things],
        "scene": entry["scene_unsafe"],
    }


def write_turning(folder: Path) -> int:
    """Writes `turning.json` beside the pairs that it is drawn from; returns how many."""
    entries = json.loads((folder / "combined.json").read_text("utf-8"))
    rows = draw_turning(entries)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "turning.json").write_text(f"[\n{lines}\n]\n", "utf-8")
    return len(rows)
