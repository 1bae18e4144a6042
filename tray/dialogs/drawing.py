"""Pictures of small smooth shapes: Tk draws no round corner and no smooth edge by itself."""

from __future__ import annotations

import tkinter
from collections.abc import Sequence
from math import inf
from typing import Final

from tray.shapes import Distance

Layer = tuple[Distance, str]

_FAR: Final = 10_000.0

_Rgb = tuple[float, float, float]


def picture(
    root: tkinter.Misc, width: int, height: int, ground: str, layers: Sequence[Layer], *, alike: bool = True
) -> tkinter.PhotoImage:
    """Return layers of shapes, the first one lowest, on a plain ground.

    Args:
        root: the window it is for.
        width: pixels.
        height: pixels.
        ground: colour "#rrggbb" of what it will stand on.
        layers: shapes and their colours.
        alike: left and right, top and bottom mirror each other, so that a quarter is computed.
    """
    behind = _rgb(ground)
    colours = [(distance, _rgb(colour)) for distance, colour in layers]
    wide, high = ((width + 1) // 2, (height + 1) // 2) if alike else (width, height)
    rows = []
    for y in range(high):
        row: list[str] = []
        while len(row) < wide:
            colour, run = _pixel(len(row) + 0.5, y + 0.5, behind, colours)
            row += [colour] * min(run, wide - len(row))
        rows.append("{" + " ".join(row + row[width - wide - 1 :: -1] if alike else row) + "}")
    if alike:
        rows += rows[height - high - 1 :: -1]
    image = tkinter.PhotoImage(master=root, width=width, height=height)
    image.put(" ".join(rows))
    return image


def _pixel(x: float, y: float, colour: _Rgb, colours: Sequence[tuple[Distance, _Rgb]]) -> tuple[str, int]:
    """Return the colour of a pixel, and how many from it on to the right have the same: no edge is nearer."""
    nearest = inf
    for distance, over in colours:
        away = distance(x, y)
        nearest = min(nearest, abs(away))
        share = 0.5 - away
        if share >= 1.0:
            colour = over
        elif share > 0.0:
            colour = (
                colour[0] + (over[0] - colour[0]) * share,
                colour[1] + (over[1] - colour[1]) * share,
                colour[2] + (over[2] - colour[2]) * share,
            )
    text = f"#{round(colour[0]):02x}{round(colour[1]):02x}{round(colour[2]):02x}"
    return text, 1 + int(min(max(nearest - 0.5, 0.0), _FAR))


def _rgb(colour: str) -> _Rgb:
    return float(int(colour[1:3], 16)), float(int(colour[3:5], 16)), float(int(colour[5:7], 16))
