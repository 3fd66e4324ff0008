"""A probability as a bar with its thresholds marked."""

from __future__ import annotations

from rich.text import Text

LABEL_STYLES = {"safe": "green", "uncertain": "yellow", "unsafe": "red", "unavailable": "magenta"}


def probability_bar(
    p: float | None,
    thresholds: tuple[float, ...],
    *,
    width: int,
    style: str,
    ascii_only: bool = False,
) -> Text:
    """Returns a bar of `width` cells from 0 to 1; each threshold is a mark in it.

    Args:
        p: In [0, 1]; None draws an empty bar.
        thresholds: In [0, 1].
        width: Cells, >= 1.
        style: Of the filled part.
        ascii_only: For terminals that know no other characters.
    """
    full, empty, mark = ("#", ".", "|") if ascii_only else ("━", "─", "┃")
    filled = round((p or 0.0) * width)
    marks = {min(width - 1, int(at * width)) for at in thresholds}
    text = Text(no_wrap=True)
    for cell in range(width):
        if cell in marks:
            text.append(mark, style="bold")
        else:
            inside = cell < filled
            text.append(full if inside else empty, style=style if inside else "dim")
    return text
