"""Writes typical requests: questions about scenes of the kind that the model was made with.

Most are put and typed as people do it, and some want a long answer, as in training.

They are of the training split, so that what is held out, and what is unseen, has no part in them.
The model's reference is made of them, by `guardrail reference own`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from guardrail.embedded.training.rewording import question_of
from guardrail.embedded.training.scenes import Cutouts, compose
from guardrail.embedded.training.stream import draw_scene
from guardrail.embedded.training.turning import long_request

REQUESTS = 4000
QUALITY = 82
LONG = 0.15
"""Share of the requests that want a long answer; they are safe by themselves."""


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
        wants_long = rng.random() < LONG
        question = long_request(rng)[0] if wants_long else question_of(activity, rng)[0]
        unsafe = activity.harms(scene) and not wants_long
        label = "unsafe" if unsafe else "safe"
        rows.append({"picture": name, "question": question, "label": label})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "requests.jsonl").write_text(text, "utf-8")
