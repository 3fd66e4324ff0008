"""Geometry of the page's pictures: figures in, places out. It knows nothing of HTML or of systems.

Places are in the units of a picture's view box, y from the top.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 400.0, 340.0
"""The view box: at the narrowest page one unit is about a pixel, so that letters stay legible."""

LEFT, RIGHT, TOP, BOTTOM = 46.0, 14.0, 12.0, 44.0
LETTER = (8.0, 13.0)
"""Width and height that a label's letter takes."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """Axes from 0 to a highest value each.

    Attributes:
        x_high: What the right edge stands for.
        y_high: What the upper edge stands for.
    """

    x_high: float = 1.0
    y_high: float = 1.0

    @property
    def left(self) -> float:
        """The y axis."""
        return LEFT

    @property
    def right(self) -> float:
        """The right edge."""
        return WIDTH - RIGHT

    @property
    def top(self) -> float:
        """The upper edge."""
        return TOP

    @property
    def bottom(self) -> float:
        """The x axis."""
        return HEIGHT - BOTTOM

    def x(self, value: float) -> float:
        """Returns where a value is on the x axis."""
        return round(self.left + (self.right - self.left) * value / self.x_high, 2)

    def y(self, value: float) -> float:
        """Returns where a value is on the y axis."""
        return round(self.bottom - (self.bottom - self.top) * value / self.y_high, 2)

    def x_ticks(self) -> tuple[tuple[float, str], ...]:
        """Returns places and labels of the x axis, in percent."""
        return tuple((self.x(each), _percent(each)) for each in ticks(self.x_high))

    def y_ticks(self) -> tuple[tuple[float, str], ...]:
        """Returns places and labels of the y axis, in percent."""
        return tuple((self.y(each), _percent(each)) for each in ticks(self.y_high))

    def line(self, points: Sequence[tuple[float, float]]) -> str:
        """Returns values as the points of a polyline."""
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)


@dataclass(frozen=True)
class Label:
    """Where a point's label is written, from its middle, and whether a line must lead to it."""

    x: float
    y: float
    led: bool


def nice_high(value: float) -> float:
    """Returns a round number not below a share, at most 1, for an axis to end at."""
    for high in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8):
        if value <= high:
            return high
    return 1.0


def ticks(high: float) -> tuple[float, ...]:
    """Returns round values from 0 to `high`, four to six of them."""
    step = next(each for each in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if high / each <= 5.001)
    return tuple(round(at * step, 6) for at in range(math.floor(high / step + 1e-9) + 1))


def place_labels(
    points: Sequence[tuple[float, float]], names: Sequence[str], *, radius: float = 6.0
) -> tuple[Label, ...]:
    """Returns where each point's label is written: near it, and on no other point or label.

    Args:
        points: In a picture's units.
        names: What is written, a few letters each.
        radius: Of the points.
    """
    taken: list[Box] = [(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    placed = []
    for (x, y), name in zip(points, names, strict=True):
        width, height = LETTER[0] * len(name), LETTER[1]
        label, box = _free(x, y, (width, height), taken, radius)
        taken.append(box)
        placed.append(label)
    return tuple(placed)


def _free(
    x: float, y: float, size: tuple[float, float], taken: Sequence[Box], radius: float
) -> tuple[Label, Box]:
    least: tuple[float, Label, Box] | None = None
    for ring, middle in _around(x, y, size, radius):
        box = _box(*middle, size)
        hidden = sum(_overlap(box, each) for each in taken) + _outside(box)
        label = Label(round(middle[0], 2), round(middle[1], 2), ring > 0)
        if least is None or hidden < least[0]:
            least = hidden, label, box
        if not hidden:
            break
    assert least is not None
    return least[1], least[2]


def _around(
    x: float, y: float, size: tuple[float, float], radius: float
) -> Iterator[tuple[int, tuple[float, float]]]:
    """Yields places around a point, the nearest ring first, upper right first."""
    for ring in range(6):
        for turn in range(16):
            angle = math.radians(-45 + 22.5 * turn)
            reach = radius + 3 + 9 * ring
            across = (reach + size[0] / 2) * math.cos(angle)
            yield ring, (x + across, y + (reach + size[1] / 2) * math.sin(angle))


def _box(x: float, y: float, size: tuple[float, float]) -> Box:
    return x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def _outside(box: Box) -> float:
    edges = (LEFT + 2 - box[0], box[2] - WIDTH + 2, TOP - box[1], box[3] - HEIGHT + BOTTOM + 2)
    return 100 * sum(max(0.0, each) for each in edges)


def _percent(value: float) -> str:
    return f"{100 * value:g}"
