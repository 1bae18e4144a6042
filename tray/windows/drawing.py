"""Small smooth shapes, computed: Tk draws no round corner and no smooth edge by itself.

Shapes are signed distances in pixels (negative inside); a pixel takes colour by how far the edge is.
"""

from __future__ import annotations

import math
import tkinter
from collections.abc import Callable, Sequence
from itertools import pairwise

Distance = Callable[[float, float], float]
Layer = tuple[Distance, str]

_Rgb = tuple[float, float, float]


def box(left: float, top: float, right: float, bottom: float, radius: float) -> Distance:
    """A rectangle with round corners."""
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    half_x, half_y = (right - left) / 2 - radius, (bottom - top) / 2 - radius

    def distance(x: float, y: float) -> float:
        off_x, off_y = abs(x - middle_x) - half_x, abs(y - middle_y) - half_y
        outside = math.hypot(max(off_x, 0.0), max(off_y, 0.0))
        return outside + min(max(off_x, off_y), 0.0) - radius

    return distance


def stroke(points: Sequence[tuple[float, float]], width: float) -> Distance:
    """A line through points, with round ends."""

    def distance(x: float, y: float) -> float:
        return min(_to_segment(x, y, a, b) for a, b in pairwise(points)) - width / 2

    return distance


def _to_segment(x: float, y: float, a: tuple[float, float], b: tuple[float, float]) -> float:
    along_x, along_y = b[0] - a[0], b[1] - a[1]
    share = ((x - a[0]) * along_x + (y - a[1]) * along_y) / (along_x**2 + along_y**2)
    share = min(1.0, max(0.0, share))
    return math.hypot(x - a[0] - share * along_x, y - a[1] - share * along_y)


def picture(
    root: tkinter.Misc, width: int, height: int, ground: str, layers: Sequence[Layer], *, alike: bool = True
) -> tkinter.PhotoImage:
    """Layers of shapes, the first one lowest, on a plain ground.

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
        row = [_pixel(x + 0.5, y + 0.5, behind, colours) for x in range(wide)]
        rows.append("{" + " ".join(row + row[width - wide - 1 :: -1] if alike else row) + "}")
    if alike:
        rows += rows[height - high - 1 :: -1]
    image = tkinter.PhotoImage(master=root, width=width, height=height)
    image.put(" ".join(rows))
    return image


def _pixel(x: float, y: float, colour: _Rgb, colours: Sequence[tuple[Distance, _Rgb]]) -> str:
    for distance, over in colours:
        share = 0.5 - distance(x, y)
        if share >= 1.0:
            colour = over
        elif share > 0.0:
            colour = (
                colour[0] + (over[0] - colour[0]) * share,
                colour[1] + (over[1] - colour[1]) * share,
                colour[2] + (over[2] - colour[2]) * share,
            )
    return f"#{round(colour[0]):02x}{round(colour[1]):02x}{round(colour[2]):02x}"


def _rgb(colour: str) -> _Rgb:
    return float(int(colour[1:3], 16)), float(int(colour[3:5], 16)), float(int(colour[5:7], 16))
