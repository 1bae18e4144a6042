"""Shapes as signed distances to their edge, negative inside, so that pixels near it can be mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import hypot

Distance = Callable[[float, float], float]


def box(left: float, top: float, right: float, bottom: float, radius: float) -> Distance:
    """Return a rectangle with round corners."""
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    half_x, half_y = (right - left) / 2 - radius, (bottom - top) / 2 - radius

    def distance(x: float, y: float) -> float:
        off_x, off_y = abs(x - middle_x) - half_x, abs(y - middle_y) - half_y
        return hypot(max(off_x, 0.0), max(off_y, 0.0)) + min(max(off_x, off_y), 0.0) - radius

    return distance


def disc(middle_x: float, middle_y: float, radius: float) -> Distance:
    """Return a filled circle."""
    return lambda x, y: hypot(x - middle_x, y - middle_y) - radius


def stroke(points: Sequence[tuple[float, float]], width: float) -> Distance:
    """Return a line through points, with round ends."""

    def distance(x: float, y: float) -> float:
        return min(_to_segment(x, y, a, b) for a, b in pairwise(points)) - width / 2

    return distance


def _to_segment(x: float, y: float, a: tuple[float, float], b: tuple[float, float]) -> float:
    along_x, along_y = b[0] - a[0], b[1] - a[1]
    share = ((x - a[0]) * along_x + (y - a[1]) * along_y) / (along_x**2 + along_y**2)
    share = min(1.0, max(0.0, share))
    return hypot(x - a[0] - share * along_x, y - a[1] - share * along_y)
