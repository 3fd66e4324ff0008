"""Composes scenes: what is in a picture, and the picture itself.

A scene is a place, up to four things, and who holds what. Composition is a pure function of the
scene, its seed and the cut-outs. Knows nothing of activities, harm or wording.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from guardrail.embedded.training.pictures import FAMILY, SETS, UNSEEN_STYLE
from guardrail.embedded.training.places import EDGE_PLACES, draw_place
from guardrail.embedded.training.things import PLACES, THINGS

PICTURE_PX = 224
TINTED = 0.3
"""Share of the training cut-outs that come from sets of one colour."""
Cutouts = dict[str, dict[str, Image.Image]]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom as fractions of the picture's sides."""

EXCLUDED = {
    ("bird", "fxemoji"), ("window", "fxemoji"), ("motorcycle", "emojione"), ("apple", "icon-park"),
    ("log", "icon-park"), ("trumpet", "icon-park"), ("apple", "mdi+apple"),
}  # fmt: skip
"""Drawings that show something else."""


@dataclass(frozen=True)
class Scene:
    """What a picture shows.

    Attributes:
        place: A key of `things.PLACES`.
        things: Keys of `things.THINGS`, left to right, without repeats.
        holder: The person who holds something, or "".
        held: What they hold, or "". Both are among `things`, `held` right after `holder`.
    """

    place: str
    things: tuple[str, ...]
    holder: str = ""
    held: str = ""

    @property
    def persons(self) -> tuple[str, ...]:
        """The people in the scene."""
        return tuple(key for key in self.things if THINGS[key].person)

    def to_json(self) -> dict[str, Any]:
        """The scene as plain data."""
        return asdict(self)


def scene_from_json(data: dict[str, Any]) -> Scene:
    """The inverse of `Scene.to_json`."""
    return Scene(data["place"], tuple(data["things"]), data["holder"], data["held"])


def make_scene(place: str, things: list[str], rng: random.Random, hold: float = 0.5) -> Scene:
    """Orders the things at random and lets a person hold one with probability `hold`."""
    order = list(dict.fromkeys(things))
    rng.shuffle(order)
    persons = [key for key in order if THINGS[key].person]
    objects = [key for key in order if key in HOLDABLE]
    if not persons or not objects or rng.random() >= hold:
        return Scene(place, tuple(order))
    holder, held = rng.choice(persons), rng.choice(objects)
    order.remove(held)
    order.insert(order.index(holder) + 1, held)
    return Scene(place, tuple(order), holder, held)


HOLDABLE = frozenset(
    key
    for key, thing in THINGS.items()
    if not thing.person
    and key
    not in {
        "bear", "crocodile", "shark", "car", "motorcycle", "boat", "window", "bathtub",
        "ladder", "dog", "butterfly", "snake",
    }
)  # fmt: skip


def _digest(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:8], "big")


def heldout_family(key: str, styles: set[str]) -> str:
    """The family of drawings of a thing that is never trained on.

    A different one for different things; at least two other families remain.
    """
    sets = {SETS[s.split("+")[0]] for s in styles}
    families = sorted({s.family for s in sets if not s.trained_only} - {UNSEEN_STYLE})
    can: list[str] = [f for f in ("noto", "noto-v1", "twemoji", "emojione") if f in families]
    if len(families) >= 5:
        can.append("fluent")
    return can[_digest("heldout-family", key) % len(can)]


def styles_for(key: str, cutouts: Cutouts, split: str) -> list[str]:
    """The styles of a thing that belong to a split.

    Args:
        key: A thing.
        cutouts: All cut-outs.
        split: "train", "heldout", "unseen-style" or "real" (whatever there is).
    """
    if split == "real":
        return sorted(cutouts[key])
    styles = {s for s in cutouts[key] if not {(key, s), (key, s.split("+")[0])} & EXCLUDED}
    unseen = {s for s in styles if s.split("+")[0] == UNSEEN_STYLE}
    if split == "unseen-style":
        return sorted(unseen) or sorted(styles)
    held = heldout_family(key, styles)
    of_held = {s for s in styles if FAMILY[s.split("+")[0]] == held}
    if split == "heldout":
        return sorted(s for s in of_held if not SETS[s.split("+")[0]].trained_only)
    return sorted(styles - of_held - unseen)


def _cutout(
    key: str, cutouts: Cutouts, split: str, rng: random.Random, hardness: float
) -> Image.Image:
    """Draws one of a thing's cut-outs; for training, styles alike and often changed."""
    styles = styles_for(key, cutouts, split)
    if split != "train":
        return cutouts[key][rng.choice(styles)]
    # First the set, then the drawing: a set with many variants of a thing is only one set.
    sets = sorted({s.split("+")[0] for s in styles})
    tinted = [s for s in sets if SETS[s].tinted]
    plain = [s for s in sets if not SETS[s].tinted]
    style = rng.choice(tinted if tinted and rng.random() < TINTED else plain)
    image = cutouts[key][rng.choice([s for s in styles if s.split("+")[0] == style])]
    image = _vary(_tint(image, rng) if SETS[style].tinted else image, rng, hardness)
    return _erase(image, rng) if rng.random() < 0.5 * hardness else image


def _erase(image: Image.Image, rng: random.Random) -> Image.Image:
    """Leaves out a part of a drawing, so that no single part of a thing stands for it."""
    image = image.copy()
    width, height = (round(side * rng.uniform(0.25, 0.5)) for side in image.size)
    x, y = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    image.paste((0, 0, 0, 0), (x, y, x + width, y + height))
    return image


def _tint(image: Image.Image, rng: random.Random) -> Image.Image:
    """A drawing of one colour in another, half the time on a filled outline."""
    dark = rng.random() < 0.6
    ink = tuple(rng.randint(0, 90) if dark else rng.randint(60, 255) for _ in range(3))
    alpha = image.getchannel("A")
    out = Image.new("RGBA", image.size, (*ink, 0))
    out.putalpha(alpha)
    if rng.random() < 0.5:
        return out
    # Whatever the lines enclose: what a flood from the corner does not reach.
    framed = Image.new("L", (image.width + 2, image.height + 2), 0)
    framed.paste(alpha.point(lambda a: 255 if a > 96 else 0), (1, 1))
    ImageDraw.floodfill(framed, (0, 0), 128)
    inside = framed.crop((1, 1, image.width + 1, image.height + 1)).point(
        lambda a: 0 if a == 128 else 255
    )
    fill = Image.new("RGBA", image.size, (*(rng.randint(70, 255) for _ in range(3)), 0))
    fill.putalpha(inside)
    fill.alpha_composite(out)
    return fill


def _vary(image: Image.Image, rng: random.Random, hardness: float) -> Image.Image:
    """Now and then turns, shears, squeezes, blurs or recolours a drawing, its outline kept."""
    if rng.random() < 0.3:
        image = image.rotate(rng.uniform(-55, 55), Image.Resampling.BILINEAR, expand=True)
        image = image.crop(image.getchannel("A").getbbox())
    if rng.random() < 0.4:
        x, y = rng.uniform(-0.2, 0.2), rng.uniform(-0.12, 0.12)
        w, h = image.size
        image = image.transform(
            (round(w * (1 + abs(x))), round(h * (1 + abs(y)))),
            Image.Transform.AFFINE,
            (1, x, -max(x, 0) * h, y, 1, -max(y, 0) * w),
            Image.Resampling.BILINEAR,
        )
    if rng.random() < 0.35 + 0.35 * hardness:
        alpha = image.getchannel("A")
        hue, saturation, value = image.convert("RGB").convert("HSV").split()
        turn = rng.choice((rng.randint(-12, 12), rng.randint(-12, 12), rng.randint(0, 255)))
        hue = hue.point(lambda h: (h + turn) % 256)
        image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        image.putalpha(alpha)
    if rng.random() < 0.15:
        alpha = image.getchannel("A")
        image = ImageOps.posterize(image.convert("RGB"), rng.randint(2, 4))
        image.putalpha(alpha)
    if rng.random() < 0.12:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3.0)))
    return image


def _jitter(image: Image.Image, side: float, rng: random.Random, turn: float) -> Image.Image:
    """Resizes a cut-out to `side` along its longer side and varies it a little."""
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = side / max(image.size)
    width = max(4, round(image.width * scale * rng.uniform(0.9, 1.1)))
    height = max(4, round(image.height * scale * rng.uniform(0.9, 1.1)))
    image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    if turn:
        image = image.rotate(rng.uniform(-turn, turn), Image.Resampling.BILINEAR, expand=True)
    alpha = image.getchannel("A")
    rgb = ImageEnhance.Brightness(image.convert("RGB")).enhance(rng.uniform(0.82, 1.15))
    rgb = ImageEnhance.Color(rgb).enhance(rng.uniform(0.6, 1.3))
    rgb.putalpha(alpha)
    return rgb


def _figure(
    head: Image.Image, key: str, height: float, rng: random.Random, hold: bool
) -> tuple[Image.Image, tuple[float, float]]:
    """Draws a person of a given height; returns it and where its right hand is."""
    head_px = height * {"baby": 0.62, "girl": 0.48}.get(key, 0.4)
    canvas = Image.new("RGBA", (round(height * 0.9), round(height)), (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    middle, top, foot = canvas.width / 2, head_px * 0.88, float(height)
    shirt = tuple(rng.randint(40, 235) for _ in range(3))
    legs = tuple(rng.randint(30, 140) for _ in range(3))
    skin = head.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    hip, half = top + (foot - top) * 0.62, height * 0.12
    for side in (-1, 1):
        draw.line((middle + side * half * 0.5, hip, middle + side * half * 0.6, foot),
                  fill=legs, width=max(2, round(height * 0.075)))  # fmt: skip
    arm = max(2, round(height * 0.06))
    hand = (middle + height * 0.36, top + (hip - top) * (0.25 if hold else 0.8))
    draw.line((middle - half * 0.8, top + arm, middle - half * 1.7, hip - arm), shirt, arm)
    end = hand if hold else (middle + half * 1.7, hip - arm)
    draw.line((middle + half * 0.8, top + arm, *end), shirt, arm)
    if isinstance(skin, tuple):
        r = arm * 0.7
        draw.ellipse((end[0] - r, end[1] - r, end[0] + r, end[1] + r), fill=skin)
    draw.rounded_rectangle((middle - half, top, middle + half, hip), half * 0.5, fill=shirt)
    face = _jitter(head, head_px, rng, 6)
    canvas.alpha_composite(face, (max(0, round(middle - face.width / 2)), 0))
    return canvas, hand


def compose(
    scene: Scene, *, seed: str, cutouts: Cutouts, split: str, size: int = PICTURE_PX
) -> Image.Image:
    """Draws a scene.

    Args:
        scene: What to show.
        seed: Equal arguments and seeds give equal pixels.
        cutouts: As `pictures.load_cutouts` gives them.
        split: Which cut-outs and backgrounds to use; see `styles_for`.
        size: Side in pixels.

    Returns:
        An RGB picture of size x size.
    """
    return compose_with_boxes(scene, seed=seed, cutouts=cutouts, split=split, size=size)[0]


def compose_with_boxes(
    scene: Scene,
    *,
    seed: str,
    cutouts: Cutouts,
    split: str,
    size: int = PICTURE_PX,
    hardness: float = 0.0,
) -> tuple[Image.Image, dict[str, Box]]:
    """As `compose`, with where each thing is.

    Args:
        scene: As for `compose`, like all below.
        seed: As above.
        cutouts: As above.
        split: As above.
        size: As above.
        hardness: From 0 to 1: how much more the cut-outs of the training split are changed.
    """
    rng = random.Random(f"{split}/{seed}")
    ground = "train" if split == "train" else "heldout"
    canvas = draw_place(scene.place, f"{ground}/{seed}", size).convert("RGBA")
    groups: list[tuple[str, ...]] = []
    for key in scene.things:
        if key == scene.held:
            groups[-1] = (*groups[-1], key)
        else:
            groups.append((key,))
    left, right = (0.02, 0.76) if scene.place in EDGE_PLACES else (0.02, 0.98)
    mirrored = scene.place in EDGE_PLACES and rng.random() < 0.5
    if mirrored:
        groups = groups[::-1]
    widths = [1.45 if len(group) == 2 else 1.0 for group in groups]
    unit, at = (right - left) / max(sum(widths), 2.0 if len(groups) < 2 else 0.0), left
    at += (right - left - unit * sum(widths)) * rng.random()
    boxes: dict[str, Box] = {}
    for group, share in zip(groups, widths, strict=True):
        centre = at + unit * share / 2 + rng.uniform(-0.06, 0.06) * unit
        at += unit * share
        placed = _place_group(
            canvas, group, centre, unit, scene.place, rng, cutouts, split, hardness
        )
        boxes.update(zip(group, placed, strict=True))
    picture = canvas.convert("RGB")
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        boxes = {key: (1 - x1, y0, 1 - x0, y1) for key, (x0, y0, x1, y1) in boxes.items()}
    return ImageEnhance.Brightness(picture).enhance(rng.uniform(0.9, 1.08)), boxes


def _place_group(
    canvas: Image.Image,
    group: tuple[str, ...],
    centre: float,
    unit: float,
    place: str,
    rng: random.Random,
    cutouts: Cutouts,
    split: str,
    hardness: float,
) -> list[Box]:
    """Pastes one thing, or a person and what they hold, onto `canvas` (changed in place).

    Returns:
        Where each of the group is.
    """
    size = canvas.width
    base = rng.uniform(0.56, 0.62) if place in EDGE_PLACES else rng.uniform(0.74, 0.97)
    head = _cutout(group[0], cutouts, split, rng, hardness)
    if not THINGS[group[0]].person:
        image = _jitter(head, min(unit * 1.02, rng.uniform(0.36, 0.5)) * size, rng, 14)
        at = centre * size - image.width / 2
        return [_paste(canvas, image, at, base * size - image.height)]
    height = {"baby": 0.42, "girl": 0.5}.get(group[0], 0.6) * rng.uniform(0.9, 1.05) * size
    figure, hand = _figure(head, group[0], height, rng, len(group) == 2)
    x = centre * size - figure.width / 2 - (unit * 0.2 * size if len(group) == 2 else 0)
    x = max(-0.1 * figure.width, x)
    y = base * size - figure.height
    boxes = [_paste(canvas, figure, x, y)]
    if len(group) == 2:
        drawn = _cutout(group[1], cutouts, split, rng, hardness)
        item = _jitter(drawn, rng.uniform(0.28, 0.34) * size, rng, 14)
        left, top = x + hand[0] - item.width * 0.25, y + hand[1] - item.height * 0.6
        boxes.append(_paste(canvas, item, left, top))
    return boxes


def _paste(canvas: Image.Image, image: Image.Image, x: float, y: float) -> Box:
    """Pastes with the picture's edges respected, so that nothing is cut off by much."""
    x = min(max(x, -0.06 * image.width), canvas.width - 0.94 * image.width)
    y = min(max(y, 0.0), canvas.height - 0.96 * image.height)
    canvas.paste(image, (round(x), round(y)), image)
    width, height = canvas.size
    return x / width, y / height, (x + image.width) / width, (y + image.height) / height


def random_scene(rng: random.Random) -> Scene:
    """A scene of one to three things anywhere, with no activity in mind."""
    place = rng.choice(sorted(PLACES))
    things = rng.sample(sorted(THINGS), rng.choice((1, 2, 2, 3)))
    return make_scene(place, things, rng)
