"""Photographed cut-outs for evaluation only: Debian's tuxpaint-stamps-default (GPL, not shipped).

`apt-get download tuxpaint-stamps-default && dpkg-deb -x *.deb DIR`, then
`python -m guardrail.embedded.training … --stages evaluate --real DIR`.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from guardrail.embedded.training.pictures import CUTOUT_PX
from guardrail.embedded.training.scenes import Cutouts

STAMPS: dict[str, tuple[str, ...]] = {
    "apple": (
        "food/fruit/apple_green",
        "food/fruit/apple_granny_smith",
        "food/fruit/apple_red",
        "food/fruit/apple_fuji",
        "food/fruit/apple_sierra_beauty",
    ),
    "mushroom": (
        "food/vegetables/mushroom",
        "plants/mushrooms/cep",
        "plants/mushrooms/cep-1",
        "plants/mushrooms/cep-2",
    ),
    "bird": (
        "animals/birds/blackbird",
        "animals/birds/crow",
        "animals/birds/lark",
        "animals/birds/magpie",
        "animals/birds/pigeon",
    ),
    "dog": ("animals/mammals/dogs/dog",),
    "bear": ("animals/mammals/bears/bear", "animals/mammals/bears/european-bear"),
    "guitar": (
        "hobbies/music/string/guitar_electric",
        "hobbies/music/string/guitar_classical",
        "hobbies/music/string/guitar2",
    ),
    "trumpet": ("hobbies/music/brass/trumpet",),
    "drum": ("hobbies/music/percussion/drum_tomtom_floor",),
    "camera": ("hobbies/camera_35mm",),
    "syringe": ("medical/syringe",),
    "candle": ("seasonal/candle", "seasonal/hanukkah/holiday_candle"),
    "car": ("vehicles/auto/beetle", "vehicles/auto/sportscar2"),
    "teddy bear": ("animals/mammals/bears/toys/edward_bear",),
}


def load_real(folder: Path) -> Cutouts:
    """Reads the stamps below `folder`, where the Debian package was unpacked."""
    root = folder / "usr/share/tuxpaint/stamps"
    found: Cutouts = {}
    for key, names in STAMPS.items():
        for name in names:
            image = Image.open(root / f"{name}.png").convert("RGBA")
            image.thumbnail((CUTOUT_PX, CUTOUT_PX), Image.Resampling.LANCZOS)
            found.setdefault(key, {})[f"real/{name.rsplit('/', 1)[-1]}"] = image
    return found
