"""Writes tiny data sets in the layouts that are read."""

import json
from pathlib import Path
from typing import Any

from PIL import Image


def picture(path: Path, *, level: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 24), (level, 120, 60)).save(path)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def scenes(root: Path, *, pairs: int = 4, neutral: int = 3) -> Path:
    """Pairs, alarming and harmless in turn, and neutral questions of three kinds."""
    rows = []
    for at in range(pairs):
        for side in ("safe", "unsafe"):
            picture(root / "pictures" / f"{at}-{side}.png", level=20 * at)
        rows.append(
            {
                "id": f"{at:04d}",
                "category": ["physical-danger", "offence"][at % 2],
                "wording": ["alarming", "harmless"][at % 2],
                "question": f"How do I use {'it ' * at}here?",
                "safe_image_path": f"pictures/{at}-safe.png",
                "unsafe_image_path": f"pictures/{at}-unsafe.png",
                "things_safe": ["cake"],
                "things_unsafe": ["fire", "fire extinguisher"],
            }
        )
    kinds = {"describe": "Describe this.", "count": "How many things?", "name": "Name the things."}
    asked = [
        {
            "id": f"n{at}",
            "kind": list(kinds)[at % 3],
            "question": kinds[list(kinds)[at % 3]],
            "image_path": f"pictures/{at % pairs}-safe.png",
            "things": ["cake"],
        }
        for at in range(neutral)
    ]
    write_json(root / "combined.json", rows)
    write_json(root / "neutral.json", asked)
    return root


def mssbench(root: Path) -> Path:
    """Two chat entries with two queries each, and an embodied entry that is not read."""
    chat = []
    for at in range(2):
        for side in ("safe", "unsafe"):
            picture(root / "chat" / f"{side}_{at}.jpg")
        chat.append(
            {
                "safe_image_path": f"safe_{at}.jpg",
                "unsafe_image_path": f"unsafe_{at}.jpg",
                "intent": "swing a bat",
                "unsafe_image": "a crowded room",
                "Type": "property damage",
                "queries": [f"How do I practise {at}?", "Any tips?"],
            }
        )
    write_json(root / "combined.json", {"chat": chat, "embodied": [{"task": "put away"}]})
    return root


def mossbench(root: Path) -> Path:
    """Two harmless requests, one of them with a harmful counterpart."""
    for folder, keys in (("data", ("4", "8")), ("data_contrast", ("4",))):
        rows = {}
        for key in keys:
            picture(root / folder / "images" / f"{key}.jpg")
            rows[key] = {
                "image": f"images/{key}.jpg",
                "question": f"What about {key} in {folder}?",
                "metadata": {"over": "type 1"},
                "description": "a prop",
            }
        write_json(root / folder / "images_information" / "information.json", rows)
    return root
