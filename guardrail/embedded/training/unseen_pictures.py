"""Pictures of the unseen set: cut-outs of Open Clip Art on views into photographed panoramas.

Knows nothing of questions or harm.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from guardrail.embedded.training.pictures import CLIPART
from guardrail.embedded.training.scenes import PICTURE_PX
from guardrail.embedded.training.unseen_table import (
    CLIPART_PACKAGE,
    PANORAMA_PACKAGE,
    TALL,
    View,
)

CUTOUT_PX = 320
USUAL = 0.42
"""Longer side of a thing as a fraction of the picture's."""
FLOATING = frozenset({"balloon", "butterfly"})
EXPOSED = 0.18
"""What the panorama's median brightness is brought to before it is rolled off."""
FRAMED = frozenset({"painting"})
PAPER = frozenset({"addressed letter"})
"""Drawn see-through, and meant to be white."""
Pixels = npt.NDArray[np.float32]


@dataclass
class Stage:
    """Unpacked packages, and what was read from them so far.

    Attributes:
        clipart: Folder of Open Clip Art's PNG files.
        panoramas: Folder of equirectangular photographs (OpenEXR, linear light).
    """

    clipart: Path
    panoramas: Path
    _read: dict[str, Any] = field(default_factory=dict, repr=False)

    def path(self, file: str) -> Path:
        """Where a cut-out lies, links followed: many drawings lie in several folders."""
        return (self.clipart / f"{file}.png").resolve()

    def panorama_path(self, name: str) -> Path:
        """Where a panorama lies."""
        return self.panoramas / f"{name}.exr"

    def cutout(self, thing: str, file: str) -> Image.Image:
        """A cut-out, RGBA, cropped to what is drawn; a painting gets a frame, paper is white."""
        if file not in self._read:
            image = Image.open(self.path(file)).convert("RGBA")
            image.thumbnail((CUTOUT_PX * 2, CUTOUT_PX * 2), Image.Resampling.LANCZOS)
            box = image.getchannel("A").point(lambda a: 255 if a > 16 else 0).getbbox()
            image = image.crop(box) if box else image
            image.thumbnail((CUTOUT_PX, CUTOUT_PX), Image.Resampling.LANCZOS)
            if thing in PAPER:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            self._read[file] = _framed(image) if thing in FRAMED else image
        cutout: Image.Image = self._read[file]
        return cutout

    def photograph(self, view: View, rng: random.Random) -> Image.Image:
        """A view into a panorama, RGBA, of PICTURE_PX x PICTURE_PX; which way is random."""
        if view.panorama not in self._read:
            self._read[view.panorama] = develop(read_exr(self.panorama_path(view.panorama)))
        yaw = rng.uniform(*view.yaw)
        fov, pitch = view.fov * rng.uniform(0.85, 1.1), view.pitch + rng.uniform(-4, 4)
        seen = look(self._read[view.panorama], yaw=yaw, pitch=pitch, fov=fov)
        return Image.fromarray(seen).convert("RGBA")


def stage_of(packages: Path) -> Stage:
    """The folders of interest below unpacked packages."""
    return Stage(
        packages / CLIPART_PACKAGE / "usr/share/openclipart/png",
        packages / PANORAMA_PACKAGE / "usr/share/blender/datafiles/studiolights/world",
    )


def trained_on(stage: Stage, files: Iterable[str]) -> list[str]:
    """Those of the drawings that the embedded model was trained on, whatever they are called."""
    names = {name for group in CLIPART.values() for name in group}
    known = {stage.path(name).read_bytes() for name in names if stage.path(name).exists()}
    return sorted(file for file in files if file in names or stage.path(file).read_bytes() in known)


def read_exr(path: Path) -> Pixels:
    """An OpenEXR picture as (height, width, 3) linear light.

    Raises:
        ModuleNotFoundError: OpenEXR is not installed.
    """
    try:
        exr: Any = import_module("OpenEXR")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading panoramas needs OpenEXR: pip install 'safecode-guardrail[train]'"
        ) from error
    with exr.File(str(path)) as file:
        channels = file.channels()
        whole = next((channels[name].pixels for name in ("RGB", "RGBA") if name in channels), None)
        if whole is None:
            whole = np.stack([channels[name].pixels for name in "RGB"], -1)
    pixels: Pixels = np.asarray(whole, np.float32)[..., :3]
    return pixels


def develop(light: Pixels) -> Pixels:
    """Linear light as values in [0, 1] for a screen, the brightest rolled off."""
    exposed = light * (EXPOSED / max(float(np.median(light)), 1e-6))
    rolled = np.clip(exposed / (1 + 0.6 * exposed), 0, 1)
    shown: Pixels = (rolled ** (1 / 2.2)).astype(np.float32)
    return shown


def look(
    panorama: Pixels, *, yaw: float, pitch: float, fov: float, size: int = PICTURE_PX
) -> npt.NDArray[np.uint8]:
    """What a camera in the middle of an equirectangular panorama sees.

    Args:
        panorama: (height, width, 3) in [0, 1].
        yaw: Degrees to the right of the panorama's middle.
        pitch: Degrees above the horizon.
        fov: Degrees across.
        size: Side in pixels.

    Returns:
        (size, size, 3) of 0 to 255.
    """
    half = np.tan(np.radians(fov) / 2)
    across = np.linspace(-half, half, size)
    x, y = np.meshgrid(across, -across)
    tilt = np.radians(pitch)
    up, ahead = y * np.cos(tilt) + np.sin(tilt), np.cos(tilt) - y * np.sin(tilt)
    longitude = np.arctan2(x, ahead) + np.radians(yaw)
    latitude = np.arctan2(up, np.hypot(x, ahead))
    height, width = panorama.shape[:2]
    column = (longitude / (2 * np.pi) + 0.5) * width - 0.5
    row = np.clip((0.5 - latitude / np.pi) * height - 0.5, 0, height - 1)
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    across_part, down_part = (column - left)[..., None], (row - top)[..., None]
    below = np.minimum(top + 1, height - 1)
    upper = panorama[top, left % width] * (1 - across_part)
    upper = upper + panorama[top, (left + 1) % width] * across_part
    lower = panorama[below, left % width] * (1 - across_part)
    lower = lower + panorama[below, (left + 1) % width] * across_part
    seen = upper * (1 - down_part) + lower * down_part
    shown: npt.NDArray[np.uint8] = np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)
    return shown


def _framed(image: Image.Image) -> Image.Image:
    """A picture on a wall: a wooden and a golden edge."""
    wide = max(6, min(image.size) // 14)
    framed = Image.new("RGBA", (image.width + 4 * wide, image.height + 4 * wide), (84, 52, 24, 255))
    ImageDraw.Draw(framed).rectangle(
        (wide, wide, framed.width - wide, framed.height - wide), fill=(201, 162, 70, 255)
    )
    framed.paste(image.convert("RGB"), (2 * wide, 2 * wide))
    return framed


def place_thing(
    picture: Image.Image, cutout: Image.Image, thing: str, turn: tuple[int, int], rng: random.Random
) -> None:
    """Pastes a cut-out with a soft shadow onto `picture` (changed in place).

    Args:
        picture: RGBA, square.
        cutout: RGBA.
        thing: Its name, which says how big it is.
        turn: Which of how many, left to right.
        rng: Random source.
    """
    size, (index, count) = picture.width, turn
    room = 0.94 * size / count
    side = TALL.get(thing, USUAL) * size * rng.uniform(0.9, 1.05)
    scale = min(side / max(cutout.size), 1.05 * room / cutout.width)
    image = cutout.resize(
        (max(1, round(cutout.width * scale)), max(1, round(cutout.height * scale))),
        Image.Resampling.LANCZOS,
    )
    middle = 0.03 * size + room * (index + 0.5) + rng.uniform(-0.06, 0.06) * room
    base = (rng.uniform(0.6, 0.75) if thing in FLOATING else rng.uniform(0.86, 0.96)) * size
    x = round(min(max(middle - image.width / 2, 0), size - image.width))
    y = round(max(base - image.height, 0))
    if thing not in FLOATING:
        shadow = Image.new("RGBA", picture.size, (0, 0, 0, 0))
        deep = max(3.0, image.width * 0.06)
        bottom = y + image.height
        ImageDraw.Draw(shadow).ellipse(
            (x, bottom - deep, x + image.width, bottom + deep), fill=(0, 0, 0, 110)
        )
        picture.alpha_composite(shadow.filter(ImageFilter.GaussianBlur(3)))
    picture.alpha_composite(image, (x, y))
