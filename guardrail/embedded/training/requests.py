"""Writes typical requests: questions about scenes of the kind that the model was made with.

They are of the training split, so that what is held out, and what is unseen, has no part in them.
The model's reference is made of them, by `guardrail reference own`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from guardrail.embedded.training.scenes import Cutouts, compose
from guardrail.embedded.training.stream import draw_scene

REQUESTS = 4000
QUALITY = 82


def write_requests(folder: Path, cutouts: Cutouts, *, count: int = REQUESTS) -> None:
    """Writes `requests.jsonl` and its pictures, as the data set `own` is laid out."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        seed = f"request/{number}"
        rng = random.Random(seed)
        scene, activity = draw_scene(rng, heldout=False)
        name = f"pictures/{number:05d}.webp"
        picture = compose(scene, seed=seed, cutouts=cutouts, split="train")
        picture.save(folder / name, quality=QUALITY, method=4)
        rows.append({
            "picture": name,
            "question": rng.choice(activity.questions),
            "label": "unsafe" if activity.harms(scene) else "safe",
        })  # fmt: skip
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "requests.jsonl").write_text(text, "utf-8")
