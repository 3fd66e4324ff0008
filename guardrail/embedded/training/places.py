"""Draws the places: simple varied backgrounds, by procedure.

One function per place, on a square canvas. Knows nothing of what is put in front.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
EDGE_PLACES = ("cliff", "rooftop")
"""Drawn with firm ground on the left and the drop on the right."""


class Pen:
    """A canvas addressed in fractions of its side, with its own random source."""

    def __init__(self, size: int, rng: random.Random, sky: Colour) -> None:
        self.size, self.rng = size, rng
        self.image = Image.new("RGB", (size, size), self.tint(sky))
        self.draw = ImageDraw.Draw(self.image)

    def tint(self, colour: Colour, amount: int = 22) -> Colour:
        """The colour, moved a little at random."""
        shift = self.rng.randint(-amount, amount)
        red, green, blue = (
            max(0, min(255, c + shift + self.rng.randint(-amount, amount) // 2)) for c in colour
        )
        return red, green, blue

    def _scale(self, *values: float) -> list[float]:
        return [v * self.size for v in values]

    def rect(
        self, x0: float, y0: float, x1: float, y1: float, fill: Colour, line: Colour | None = None
    ) -> None:
        """Fills a rectangle."""
        width = max(1, self.size // 112)
        self.draw.rectangle(self._scale(x0, y0, x1, y1), fill=fill, outline=line, width=width)

    def oval(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """Fills an ellipse."""
        self.draw.ellipse(self._scale(x0, y0, x1, y1), fill=fill)

    def poly(self, *points: tuple[float, float], fill: Colour) -> None:
        """Fills a polygon."""
        self.draw.polygon([(x * self.size, y * self.size) for x, y in points], fill=fill)

    def line(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, width: float) -> None:
        """Draws a line, its width a fraction of the side too."""
        thick = max(1, round(width * self.size))
        self.draw.line(self._scale(x0, y0, x1, y1), fill=fill, width=thick)


def _kitchen(p: Pen) -> None:
    top = p.rng.uniform(0.5, 0.6)
    tile, n = p.tint((200, 215, 220)), p.rng.randint(6, 9)
    for i in range(n + 1):
        p.line(i / n, 0, i / n, top, tile, 0.006)
        p.line(0, i / n, 1, i / n, tile, 0.006)
    wood = p.tint((170, 120, 70), 30)
    for i in range(4):
        p.rect(i / 4, 0, (i + 1) / 4, 0.18, wood, (90, 60, 40))
        p.oval(i / 4 + 0.11, 0.13, i / 4 + 0.14, 0.16, (60, 50, 40))
    p.rect(0, top, 1, top + 0.06, p.tint((225, 225, 215)), (120, 120, 120))
    for i in range(3):
        p.rect(i / 3, top + 0.06, (i + 1) / 3, 1, wood, (90, 60, 40))


def _street(p: Pen) -> None:
    for i in range(5):
        h = p.rng.uniform(0.08, 0.3)
        p.rect(i / 5, h, (i + 1) / 5, 0.5, p.tint((170, 130, 115), 45), (80, 70, 70))
        for j in range(3):
            x, y = i / 5 + 0.04, h + 0.05 + j * 0.1
            p.rect(x, y, x + 0.04, y + 0.05, (225, 230, 180))
    p.rect(0, 0.48, 1, 0.56, p.tint((180, 180, 180)))
    p.rect(0, 0.56, 1, 1, p.tint((75, 75, 80), 12))
    for i in range(5):
        p.rect(i / 4 - 0.05, 0.76, i / 4 + 0.07, 0.79, (240, 240, 240))


def _forest(p: Pen) -> None:
    p.rect(0, 0.6, 1, 1, p.tint((90, 110, 50)))
    for _ in range(11):
        x, base = p.rng.uniform(-0.05, 1.05), p.rng.uniform(0.55, 0.72)
        h, green = p.rng.uniform(0.45, 0.65), p.tint((30, 95, 45), 25)
        p.rect(x - 0.018, base - 0.12, x + 0.018, base, (85, 55, 30))
        for k in range(3):
            y = base - 0.1 - k * h * 0.25
            w = 0.13 - 0.03 * k
            p.poly((x - w, y), (x + w, y), (x, y - h * 0.4), fill=green)


def _beach(p: Pen) -> None:
    x = p.rng.uniform(0.1, 0.8)
    p.oval(x, 0.06, x + 0.14, 0.2, (255, 225, 90))
    p.rect(0, 0.36, 1, 0.58, p.tint((40, 140, 200)))
    for _ in range(7):
        x, y = p.rng.uniform(0, 0.9), p.rng.uniform(0.39, 0.55)
        p.line(x, y, x + 0.1, y, (200, 230, 245), 0.008)
    p.rect(0, 0.57, 1, 1, p.tint((238, 214, 150), 15))


def _cliff(p: Pen) -> None:
    drop = p.rng.uniform(0.52, 0.6)
    p.rect(0, 0.68, 1, 1, p.tint((60, 110, 160)))
    for _ in range(8):
        x, y = p.rng.uniform(0.4, 1), p.rng.uniform(0.76, 0.98)
        p.line(x, y, x + 0.08, y, (215, 230, 240), 0.01)
    rock = p.tint((125, 95, 75), 18)
    edge = p.rng.uniform(0.74, 0.8)
    p.poly(
        (0, drop),
        (edge, drop),
        (edge - 0.09, 0.75),
        (edge - 0.03, 0.88),
        (edge - 0.12, 1),
        (0, 1),
        fill=rock,
    )
    for _ in range(12):
        x, y = p.rng.uniform(0, 0.6), p.rng.uniform(0.66, 0.95)
        p.line(x, y, x + 0.07, y + 0.06, p.tint((85, 62, 48)), 0.012)
    p.rect(0, drop - 0.03, edge + 0.01, drop + 0.03, p.tint((105, 165, 70)))


def _rooftop(p: Pen) -> None:
    for i in range(9):
        h = p.rng.uniform(0.25, 0.62)
        p.rect(i / 9, h, (i + 1) / 9, 1, p.tint((95, 105, 135), 25), (60, 65, 85))
        for j in range(7):
            if p.rng.random() < 0.6:
                p.rect(
                    i / 9 + 0.03,
                    h + 0.04 + j * 0.08,
                    i / 9 + 0.06,
                    h + 0.08 + j * 0.08,
                    (250, 230, 130),
                )
    edge = p.rng.uniform(0.72, 0.8)
    p.rect(0, 0.66, edge, 1, p.tint((165, 85, 65), 14))
    p.rect(0, 0.62, edge + 0.03, 0.68, p.tint((205, 205, 200)))
    for k in range(5):
        p.line(0, 0.74 + k * 0.06, edge, 0.74 + k * 0.06, (110, 55, 45), 0.007)


def _cemetery(p: Pen) -> None:
    p.rect(0, 0.45, 1, 1, p.tint((95, 125, 85)))
    for row, y in enumerate((0.5, 0.66)):
        for i in range(5):
            x = i / 5 + 0.04 + row * 0.07 + p.rng.uniform(-0.02, 0.02)
            stone = p.tint((140, 140, 145))
            p.oval(x, y - 0.17, x + 0.12, y - 0.05, stone)
            p.rect(x, y - 0.11, x + 0.12, y, stone)
            p.line(x + 0.06, y - 0.14, x + 0.06, y - 0.04, (70, 70, 75), 0.012)
            p.line(x + 0.03, y - 0.11, x + 0.09, y - 0.11, (70, 70, 75), 0.012)


def _church(p: Pen) -> None:
    glass = ((200, 50, 60), (50, 90, 190), (240, 200, 60), (60, 150, 80), (140, 60, 150))
    for i in range(3):
        x = 0.08 + i * 0.32
        p.oval(x, 0.05, x + 0.2, 0.25, (70, 60, 60))
        p.rect(x, 0.15, x + 0.2, 0.52, (70, 60, 60))
        for r in range(4):
            for c in range(2):
                fill = p.tint(p.rng.choice(glass))
                p.rect(
                    x + 0.02 + c * 0.085,
                    0.15 + r * 0.09,
                    x + 0.095 + c * 0.085,
                    0.23 + r * 0.09,
                    fill,
                )
    p.rect(0, 0.58, 1, 1, p.tint((150, 110, 80)))
    for i in range(3):
        y = 0.6 + i * 0.14
        p.rect(0, y, 0.3, y + 0.07, p.tint((110, 70, 40)), (60, 40, 25))
        p.rect(0.7, y, 1, y + 0.07, p.tint((110, 70, 40)), (60, 40, 25))
    p.rect(0.4, 0.58, 0.6, 1, p.tint((160, 30, 40)))


def _office(p: Pen) -> None:
    p.rect(0.08, 0.08, 0.55, 0.4, (250, 250, 252), (120, 120, 125))
    for i in range(4):
        h = p.rng.uniform(0.05, 0.22)
        p.rect(0.13 + i * 0.1, 0.37 - h, 0.2 + i * 0.1, 0.37, p.tint((60, 110, 190), 50))
    p.rect(0.65, 0.1, 0.93, 0.55, p.tint((125, 130, 140)), (70, 70, 75))
    for k in range(3):
        p.rect(0.67, 0.13 + k * 0.14, 0.91, 0.24 + k * 0.14, p.tint((165, 170, 178)), (70, 70, 75))
    p.rect(0, 0.56, 1, 1, p.tint((110, 120, 135)))
    p.rect(0.02, 0.6, 0.98, 0.68, p.tint((190, 150, 100)), (100, 75, 45))
    p.rect(0.05, 0.68, 0.1, 1, (90, 70, 45))
    p.rect(0.9, 0.68, 0.95, 1, (90, 70, 45))


def _bedroom(p: Pen) -> None:
    stripe = p.tint((235, 205, 215), 18)
    for i in range(0, 12, 2):
        p.rect(i / 12, 0, (i + 1) / 12, 0.62, stripe)
    p.rect(0, 0.62, 1, 1, p.tint((180, 140, 100)))
    p.rect(0.08, 0.28, 0.92, 0.5, p.tint((120, 75, 45)), (70, 45, 30))
    p.rect(0.08, 0.46, 0.92, 0.62, (248, 248, 245))
    for x in (0.13, 0.55):
        p.rect(x, 0.38, x + 0.32, 0.5, (255, 255, 255), (190, 190, 200))
    p.rect(0.06, 0.56, 0.94, 0.86, p.tint((90, 110, 190), 50), (60, 60, 90))


def _hospital(p: Pen) -> None:
    p.rect(0, 0.6, 1, 1, p.tint((190, 215, 215)))
    p.rect(0.38, 0.06, 0.62, 0.3, (255, 255, 255), (190, 195, 200))
    p.rect(0.47, 0.09, 0.53, 0.27, (215, 40, 45))
    p.rect(0.41, 0.15, 0.59, 0.21, (215, 40, 45))
    curtain = p.tint((120, 200, 185), 20)
    for i in range(4):
        p.rect(i * 0.06, 0.05, i * 0.06 + 0.05, 0.62, curtain)
        p.rect(0.78 + i * 0.06, 0.05, 0.83 + i * 0.06, 0.62, curtain)
    p.rect(0.18, 0.5, 0.82, 0.62, (250, 250, 252), (150, 160, 165))
    p.rect(0.14, 0.36, 0.19, 0.8, (150, 160, 170))
    p.rect(0.81, 0.44, 0.86, 0.8, (150, 160, 170))


def _gas_station(p: Pen) -> None:
    roof = p.tint(p.rng.choice(((215, 40, 40), (240, 190, 40), (40, 120, 70))))
    p.rect(0, 0.06, 1, 0.18, roof)
    p.rect(0, 0.18, 1, 0.22, (245, 245, 245))
    for x in (0.1, 0.86):
        p.rect(x, 0.22, x + 0.05, 0.62, (190, 190, 195))
    p.rect(0, 0.6, 1, 1, p.tint((130, 130, 132)))
    for x in (0.22, 0.6):
        p.rect(x, 0.3, x + 0.17, 0.62, roof, (60, 60, 60))
        p.rect(x + 0.03, 0.33, x + 0.14, 0.42, (30, 40, 45))
        p.rect(x + 0.03, 0.46, x + 0.14, 0.5, (250, 250, 250))
        p.line(x + 0.17, 0.4, x + 0.22, 0.5, (25, 25, 25), 0.018)
        p.line(x + 0.22, 0.5, x + 0.19, 0.6, (25, 25, 25), 0.018)


def _playground(p: Pen) -> None:
    p.rect(0, 0.55, 1, 1, p.tint((215, 170, 110)))
    a, b = p.tint((215, 60, 60), 40), p.tint((60, 90, 210), 40)
    p.line(0.08, 0.6, 0.18, 0.14, a, 0.025)
    p.line(0.28, 0.6, 0.18, 0.14, a, 0.025)
    p.line(0.18, 0.15, 0.52, 0.15, a, 0.025)
    p.line(0.42, 0.6, 0.52, 0.14, a, 0.025)
    p.line(0.62, 0.6, 0.52, 0.14, a, 0.025)
    for x in (0.28, 0.4):
        p.line(x, 0.15, x - 0.02, 0.45, (60, 60, 60), 0.008)
    p.rect(0.24, 0.44, 0.41, 0.47, b)
    p.poly((0.7, 0.2), (0.78, 0.2), (1.0, 0.6), (0.9, 0.6), fill=(250, 205, 50))
    p.line(0.72, 0.2, 0.72, 0.6, b, 0.025)


def _museum(p: Pen) -> None:
    for i in range(3):
        x = 0.08 + i * 0.32
        stone = p.tint((185, 185, 190))
        p.rect(x + 0.02, 0.36, x + 0.18, 0.6, p.tint((240, 240, 238), 8), (150, 145, 140))
        p.oval(x + 0.03, 0.24, x + 0.17, 0.42, stone)
        p.rect(x + 0.08, 0.18, x + 0.12, 0.3, stone)
        p.oval(x + 0.055, 0.06, x + 0.145, 0.22, stone)
    p.rect(0, 0.6, 1, 1, p.tint((165, 125, 90)))
    for i in range(4):
        x = 0.04 + i * 0.3
        p.rect(x, 0.46, x + 0.025, 0.66, (205, 170, 70))
        p.line(x + 0.01, 0.49, x + 0.31, 0.49, (160, 25, 40), 0.022)


def _railway(p: Pen) -> None:
    p.rect(0, 0.42, 1, 1, p.tint((120, 145, 90)))
    p.poly((0.38, 0.42), (0.62, 0.42), (1.05, 1), (-0.05, 1), fill=p.tint((135, 125, 115)))
    for k in range(8):
        y = 0.45 + 0.075 * k + 0.004 * k * k
        w = 0.1 + 0.42 * (y - 0.42) / 0.58
        p.rect(0.5 - w, y, 0.5 + w, y + 0.022 + 0.004 * k, p.tint((85, 55, 35), 10))
    p.line(0.45, 0.42, 0.14, 1, (190, 195, 200), 0.028)
    p.line(0.55, 0.42, 0.86, 1, (190, 195, 200), 0.028)


def _pool(p: Pen) -> None:
    tile = p.tint((225, 225, 215))
    p.rect(0, 0.36, 1, 0.5, tile)
    p.rect(0, 0.5, 1, 1, p.tint((60, 190, 225), 14))
    for i in range(4):
        y = 0.58 + i * 0.12
        for k in range(12):
            p.rect(k / 12, y, k / 12 + 0.05, y + 0.018, (235, 60, 60) if k % 2 else (250, 250, 250))
    p.line(0.1, 0.3, 0.1, 0.62, (185, 190, 195), 0.02)
    p.line(0.2, 0.3, 0.2, 0.62, (185, 190, 195), 0.02)
    for k in range(3):
        p.line(0.1, 0.42 + k * 0.07, 0.2, 0.42 + k * 0.07, (185, 190, 195), 0.015)


def _garden(p: Pen) -> None:
    fence = p.tint((235, 235, 230), 10)
    for i in range(12):
        p.poly(
            (i / 12, 0.28),
            (i / 12 + 0.03, 0.22),
            (i / 12 + 0.06, 0.28),
            (i / 12 + 0.06, 0.54),
            (i / 12, 0.54),
            fill=fence,
        )
    p.rect(0, 0.32, 1, 0.36, fence)
    p.rect(0, 0.5, 1, 1, p.tint((110, 185, 75)))
    for _ in range(16):
        x, y = p.rng.uniform(0, 1), p.rng.uniform(0.5, 0.62)
        colour = p.rng.choice(((235, 80, 100), (250, 210, 60), (180, 90, 200), (255, 255, 255)))
        p.line(x, y, x, y + 0.05, (50, 120, 40), 0.008)
        p.oval(x - 0.018, y - 0.02, x + 0.018, y + 0.016, colour)


def _gym(p: Pen) -> None:
    wood = p.tint((195, 140, 80))
    for x in (0.05, 0.33, 0.61, 0.89):
        p.rect(x, 0.05, x + 0.03, 0.6, wood)
    for k in range(7):
        p.rect(0.05, 0.08 + k * 0.075, 0.92, 0.1 + k * 0.075, wood)
    p.rect(0, 0.6, 1, 1, p.tint((215, 165, 100)))
    for y, colour in ((0.7, (40, 90, 190)), (0.86, (200, 50, 50))):
        p.line(0, y, 1, y, colour, 0.014)
    p.oval(0.3, 0.62, 0.7, 0.95, p.tint((70, 110, 190)))


def _library(p: Pen) -> None:
    p.rect(0, 0, 1, 0.68, p.tint((95, 60, 35)))
    for row in range(4):
        x = 0.02
        while x < 0.96:
            w, h = p.rng.uniform(0.02, 0.045), p.rng.uniform(0.09, 0.13)
            base = 0.15 + row * 0.165
            p.rect(x, base - h, x + w, base, p.tint((130, 90, 90), 90))
            x += w + 0.004
        p.rect(0, 0.15 + row * 0.165, 1, 0.165 + row * 0.165, (60, 38, 22))
    p.rect(0, 0.68, 1, 1, p.tint((120, 85, 65)))


def _frozen_lake(p: Pen) -> None:
    for i in range(5):
        x = i / 4 + p.rng.uniform(-0.1, 0.1)
        top = p.rng.uniform(0.1, 0.25)
        p.poly((x - 0.25, 0.46), (x + 0.25, 0.46), (x, top), fill=p.tint((150, 165, 190)))
        p.poly((x - 0.07, top + 0.07), (x + 0.07, top + 0.07), (x, top), fill=(250, 250, 252))
    p.rect(0, 0.42, 1, 0.5, (245, 248, 252))
    p.rect(0, 0.48, 1, 1, p.tint((190, 222, 238), 12))
    for _ in range(9):
        x, y = p.rng.uniform(0, 0.9), p.rng.uniform(0.52, 0.96)
        for _ in range(3):
            dx, dy = p.rng.uniform(-0.12, 0.12), p.rng.uniform(-0.05, 0.05)
            p.line(x, y, x + dx, y + dy, (90, 140, 180), 0.008)
            x, y = x + dx, y + dy


_PAINTERS: dict[str, tuple[Callable[[Pen], None], Colour]] = {
    "kitchen": (_kitchen, (240, 240, 232)),
    "street": (_street, (165, 200, 235)),
    "forest": (_forest, (170, 205, 200)),
    "beach": (_beach, (140, 205, 245)),
    "cliff": (_cliff, (165, 205, 240)),
    "rooftop": (_rooftop, (120, 130, 180)),
    "cemetery": (_cemetery, (150, 155, 170)),
    "church": (_church, (205, 190, 165)),
    "office": (_office, (225, 230, 235)),
    "bedroom": (_bedroom, (250, 232, 232)),
    "hospital": (_hospital, (232, 242, 242)),
    "gas station": (_gas_station, (175, 210, 240)),
    "playground": (_playground, (160, 215, 245)),
    "museum": (_museum, (225, 215, 205)),
    "railway": (_railway, (175, 200, 220)),
    "pool": (_pool, (200, 230, 245)),
    "garden": (_garden, (165, 215, 250)),
    "gym": (_gym, (235, 225, 200)),
    "library": (_library, (120, 85, 60)),
    "frozen lake": (_frozen_lake, (185, 210, 235)),
}


def draw_place(place: str, seed: str, size: int) -> Image.Image:
    """Draws a place.

    Args:
        place: A key of `things.PLACES`.
        seed: Anything; equal seeds draw equal pictures.
        size: Side in pixels.

    Returns:
        An RGB picture of size x size.
    """
    rng = random.Random(f"{place}/{seed}")
    paint, sky = _PAINTERS[place]
    pen = Pen(size * 2, rng, sky)
    paint(pen)
    image = pen.image
    if place not in EDGE_PLACES and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(size / 200))
    return image.resize((size, size), Image.Resampling.BOX)
