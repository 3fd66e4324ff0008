"""Fetches the icon packages and turns them into cut-outs on transparent ground.

Every set is a package of the npm registry, fetched by name and pinned version, but for one of
Debian's. The shipped checkpoint and held-out set need none of this at run time. Knows nothing of
scenes.
"""

from __future__ import annotations

import io
import json
import logging
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from guardrail.embedded.training.things import SKIN_TONES, THINGS, Thing

logger = logging.getLogger(__name__)

CUTOUT_PX = 192
UNSEEN_STYLE = "openmoji"
"""Never trained on, never shipped: the figure for an unseen style is measured on it."""


@dataclass(frozen=True)
class IconSet:
    """One set of drawings.

    Attributes:
        name: Short name; the style part of a cut-out's file name.
        package: Package in the npm registry, or Debian's if `names` is "file".
        version: The version the shipped checkpoint was made with.
        licence: SPDX identifier.
        family: Sets of one family draw alike, and are held out together.
        names: How its icons are called: "emoji" by the emoji's names, "icon" by common words,
            "file" by the paths in `CLIPART`.
        tinted: Drawn in one colour, which composing replaces by one of many.
        trained_only: Never held out: there to show the model more ways of drawing a thing.
    """

    name: str
    package: str
    version: str
    licence: str
    family: str
    names: str = "emoji"
    tinted: bool = False
    trained_only: bool = False


ICON_SETS: tuple[IconSet, ...] = (
    IconSet("noto", "@iconify-json/noto", "1.2.9", "Apache-2.0", "noto"),
    IconSet("noto-v1", "@iconify-json/noto-v1", "1.2.5", "Apache-2.0", "noto-v1"),
    IconSet("twemoji", "@iconify-json/twemoji", "1.2.5", "CC-BY-4.0", "twemoji"),
    IconSet("emojione", "@iconify-json/emojione", "1.2.3", "CC-BY-4.0", "emojione"),
    IconSet("fxemoji", "@iconify-json/fxemoji", "1.2.2", "Apache-2.0", "fxemoji"),
    IconSet("fluent-flat", "@iconify-json/fluent-emoji-flat", "1.2.6", "MIT", "fluent"),
    IconSet("fluent-modern", "@iconify-json/fluent-emoji", "1.2.7", "MIT", "fluent"),
    IconSet("fluent-3d", "@lobehub/fluent-emoji-3d", "1.1.0", "MIT", "fluent"),
    IconSet("openmoji", "@iconify-json/openmoji", "1.2.29", "CC-BY-SA-4.0", "openmoji"),
    IconSet("streamline", "@iconify-json/streamline-emojis", "1.2.4", "CC-BY-4.0", "streamline",
            trained_only=True),
    IconSet("fluent-contrast", "@iconify-json/fluent-emoji-high-contrast", "1.2.6", "MIT",
            "fluent", tinted=True, trained_only=True),
    IconSet("emojione-mono", "@iconify-json/emojione-monotone", "1.2.1", "CC-BY-4.0", "emojione",
            tinted=True, trained_only=True),
    IconSet("game-icons", "@iconify-json/game-icons", "1.2.4", "CC-BY-3.0", "game-icons",
            "icon", tinted=True, trained_only=True),
    IconSet("icon-park", "@iconify-json/icon-park", "1.2.4", "Apache-2.0", "icon-park",
            "icon", tinted=True, trained_only=True),
    IconSet("mdi", "@iconify-json/mdi", "1.2.3", "Apache-2.0", "mdi",
            "icon", tinted=True, trained_only=True),
    IconSet("phosphor", "@iconify-json/ph", "1.2.2", "MIT", "phosphor",
            "icon", tinted=True, trained_only=True),
    IconSet("tabler", "@iconify-json/tabler", "1.2.41", "MIT", "tabler",
            "icon", tinted=True, trained_only=True),
    IconSet("mingcute", "@iconify-json/mingcute", "1.2.8", "Apache-2.0", "mingcute",
            "icon", tinted=True, trained_only=True),
    IconSet("lucide", "@iconify-json/lucide", "1.2.137", "ISC", "lucide",
            "icon", tinted=True, trained_only=True),
    IconSet("solar", "@iconify-json/solar", "1.2.13", "CC-BY-4.0", "solar",
            "icon", tinted=True, trained_only=True),
    IconSet("fa6", "@iconify-json/fa6-solid", "1.2.4", "CC-BY-4.0", "fa6",
            "icon", tinted=True, trained_only=True),
    IconSet("openclipart", "openclipart-png", "", "CC0-1.0", "openclipart",
            "file", trained_only=True),
)  # fmt: skip
SETS = {icon_set.name: icon_set for icon_set in ICON_SETS}
FAMILY = {icon_set.name: icon_set.family for icon_set in ICON_SETS}

ICON_VARIANTS = (
    "", "fill", "filled", "bold", "duotone", "solid", "variant", "outline", "line", "bold-duotone",
)  # fmt: skip
ICON_NAMES: dict[str, tuple[str, ...]] = {
    "dog": ("dog", "sitting-dog", "jumping-dog"),
    "bear": ("bear-head", "bear-face"),
    "crocodile": ("croc-jaws", "crocodile"),
    "knife": ("knife", "knife-military", "kitchen-knives", "butcher-knife"),
    "loaf of bread": ("bread", "baguette", "bread-slice"),
    "cake": ("cake", "birthday-cake", "cake-slice", "stairs-cake"),
    "apple": ("apple", "food-apple", "shiny-apple"),
    "mushroom": ("mushroom", "mushroom-gills", "super-mushroom"),
    "egg": ("egg", "egg-easter", "big-egg"),
    "glass of milk": ("milk", "milk-carton"),
    "beer": ("beer", "beer-stein", "glass-mug"),
    "axe": ("axe", "wood-axe", "battered-axe", "fire-axe"),
    "log": ("log", "wood-pile"),
    "candle": ("candle", "candle-light"),
    "gift": ("gift", "present"),
    "car": ("car", "car-side", "city-car"),
    "motorcycle": ("motorcycle", "motorbike"),
    "boat": ("sailboat", "sail-boat", "sailing"),
    "phone": ("cellphone", "device-mobile", "smartphone", "phone-portrait"),
    "camera": ("camera", "photo-camera"),
    "credit card": ("credit-card", "bank-card"),
    "letter": ("envelope", "envelope-simple", "email", "mail"),
    "lock": ("lock", "padlock", "lock-simple"),
    "painting": ("image-frame", "picture-frame", "gallery", "image"),
    "vase": ("amphora", "vase", "painted-pottery"),
    "palette": ("palette", "paint-palette"),
    "guitar": ("guitar", "guitar-acoustic", "guitar-electric"),
    "ball": ("soccer", "soccer-ball", "ball-football"),
    "teddy bear": ("teddy-bear",),
    "tulip": ("tulip", "flower-tulip"),
    "window": ("window-closed-variant", "window-open-variant", "window"),
    "bathtub": ("bathtub", "bath"),
    "bow and arrow": ("bow-arrow", "high-shot", "pocket-bow"),
}
"""What sets of plain icons call a thing; its own name where it is not here."""

CLIPART: dict[str, tuple[str, ...]] = {
    "camera": (
        "electronics/camera_icon_stuart_moore_01",
        "computer/icons/digital_camera_nikon_co_",
        "computer/hardware/digital-camera_aj_ashton_01",
        "tools/digital_camera_nicu_bucu_01",
    ),
    "dog": (
        "animals/mammals/dog_01_drawn_with_strai_01",
        "animals/mammals/dog_03_drawn_with_strai_01",
        "animals/mammals/dog_05_drawn_with_strai_01",
        "animals/mammals/dog_06_drawn_with_strai_01",
        "animals/mammals/dogs/bored_dog_01",
        "animals/mammals/dogs/dog_head_nicu_buculei_01",
        "animals/mammals/dogs/dog_head_nicu_buculei_02",
    ),
    "cat": (
        "animals/mammals/cartoon_cat_gerald_g._01",
        "animals/mammals/housecats/gatto_cat_architetto_fra_01",
        "animals/mammals/housecats/gatto_cat_architetto_fra_03",
    ),
    "book": (
        "education/books/book_01",
        "education/books/book_02",
        "education/books/closed_book_01",
        "education/books/paperback_book_black_gal_",
        "education/books/books-aj.svg_aj_ashton_01",
        "education/books/old_book_lumen_design_st_01",
    ),
    "beer": (
        "food/beverages/alcohol/beer",
        "food/beverages/alcohol/beer1",
    ),
    "mushroom": (
        "plants/mushroom",
        "plants/mushroom_benji_park_",
    ),
    "painting": ("office/picture_frame_jakob_chao_",),
    "bird": (
        "animals/birds/bird_of_peace_mauro_oliv_01",
        "animals/birds/crow_01",
        "animals/birds/gabbiano_architetto_fran_01",
        "animals/birds/gull_marcelo_staudt_01",
        "animals/birds/uccello_profilo_01_archi_01",
    ),
    "knife": ("tools/weapons/knife",),
    "lock": (
        "animals/lucchetto_grigio_archite_01",
        "animals/lucchetto_ottone_archite_01",
    ),
}
"""Files of Debian's `openclipart-png`, for things of which the icon sets have few drawings."""


def fetch(icon_set: IconSet, folder: Path) -> Path:
    """Downloads and unpacks one package; returns its root. Does nothing when it is there."""
    root = folder / icon_set.name
    if (root / "package" / "package.json").exists():
        return root / "package"
    folder.mkdir(parents=True, exist_ok=True)
    if icon_set.names == "file":
        return _fetch_debian(icon_set, folder)
    command = ["npm", "pack", "--silent", f"{icon_set.package}@{icon_set.version}"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    archive = folder / done.stdout.strip().splitlines()[-1]
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="data")
    archive.unlink()
    return root / "package"


def _fetch_debian(icon_set: IconSet, folder: Path) -> Path:
    root = folder / icon_set.name
    pictures = root / "usr" / "share" / "openclipart" / "png"
    if not pictures.exists():
        subprocess.run(["apt-get", "download", icon_set.package], cwd=folder, check=True)
        archive = next(folder.glob(f"{icon_set.package}_*.deb"))
        subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)
        archive.unlink()
    return pictures


def _render(svg: str) -> Image.Image:
    resvg_py: Any = import_module("resvg_py")  # only the training extra has it
    data = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=CUTOUT_PX, height=CUTOUT_PX))
    return Image.open(io.BytesIO(data)).convert("RGBA")


def _crop(image: Image.Image) -> Image.Image:
    box = image.getchannel("A").point(lambda a: 255 if a > 16 else 0).getbbox()
    return image.crop(box) if box else image


def _names(thing: Thing, style: str) -> Iterator[tuple[str, str]]:
    """Yields (icon name, variant suffix), skin tones included for people."""
    if SETS[style].names == "icon":
        for icon in ICON_NAMES.get(thing.key, (thing.key.replace(" ", "-"),)):
            for variant in ICON_VARIANTS:
                name = f"{icon}-{variant}" if variant else icon
                yield name, f"+{name}"
        return
    for icon in thing.icons:
        yield icon, ""
        if thing.person:
            for tone in SKIN_TONES:
                yield f"{icon}-{tone}-skin-tone", f"+{tone}"


def _body(icons: dict[str, Any], name: str) -> tuple[str, dict[str, Any]] | None:
    table = icons["icons"]
    seen = 0
    while name not in table and name in icons.get("aliases", {}) and seen < 4:
        name, seen = icons["aliases"][name]["parent"], seen + 1
    entry = table.get(name)
    return (entry["body"], entry) if entry else None


def _from_iconify(package: Path, thing: Thing, style: str) -> dict[str, Image.Image]:
    icons = json.loads((package / "icons.json").read_text("utf-8"))
    found: dict[str, Image.Image] = {}
    for name, suffix in _names(thing, style):
        hit = _body(icons, name)
        if hit is None or suffix in found:
            continue
        body, entry = hit
        width = entry.get("width", icons.get("width", 16))
        height = entry.get("height", icons.get("height", 16))
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            f' viewBox="0 0 {width} {height}">{body}</svg>'
        )
        found[suffix] = _crop(_render(svg))
    return found


def _from_lobehub(package: Path, thing: Thing, codepoints: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Image.Image] = {}
    for name, suffix in _names(thing, "fluent-3d"):
        code = codepoints.get(name, "")
        for stem in (code, f"{code}-fe0f"):
            path = package / "assets" / f"{stem}.webp"
            if code and suffix not in found and path.exists():
                image = Image.open(path).convert("RGBA")
                image.thumbnail((CUTOUT_PX, CUTOUT_PX), Image.Resampling.LANCZOS)
                found[suffix] = _crop(image)
    return found


def _from_files(folder: Path, thing: Thing) -> dict[str, Image.Image]:
    found: dict[str, Image.Image] = {}
    for name in CLIPART.get(thing.key, ()):
        image = _crop(Image.open(folder / f"{name}.png").convert("RGBA"))
        image.thumbnail((CUTOUT_PX, CUTOUT_PX), Image.Resampling.LANCZOS)
        found[f"+{Path(name).name}"] = image
    return found


def prepare(work_dir: Path) -> Path:
    """Fetches every icon set and writes `cutouts/<thing>/<style>[+tone].png`.

    Returns:
        The folder of cut-outs. A folder with a `done` mark is returned as it is.
    """
    out = work_dir / "cutouts"
    if (out / "done").exists():
        return out
    roots = {icon_set.name: fetch(icon_set, work_dir / "packages") for icon_set in ICON_SETS}
    chars = json.loads((roots["noto"] / "chars.json").read_text("utf-8"))
    codepoints = {name: code for code, name in chars.items()}
    for thing in THINGS.values():
        folder = out / thing.key.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        for style, root in roots.items():
            if style == "fluent-3d":
                images = _from_lobehub(root, thing, codepoints)
            elif SETS[style].names == "file":
                images = _from_files(root, thing)
            else:
                images = _from_iconify(root, thing, style)
            for suffix, image in images.items():
                image.save(folder / f"{style}{suffix}.png")
        logger.info("%s: %d cut-outs", thing.key, len(list(folder.glob("*.png"))))
    (out / "done").touch()
    return out


def load_cutouts(folder: Path) -> dict[str, dict[str, Image.Image]]:
    """Reads the cut-outs as thing -> `style[+tone]` -> RGBA image."""
    return {
        key: {
            path.stem: Image.open(path).convert("RGBA")
            for path in sorted((folder / key.replace(" ", "-")).glob("*.png"))
        }
        for key in THINGS
    }
