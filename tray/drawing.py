"""The icon, drawn by distance: each shape says how far a point is from its edge, so that edges are soft.

Coordinates are in a square of 64 by 64, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import hypot
from typing import Final

from tray.faces import Picture

Distance = Callable[[float, float], float]
"""Signed distance to a shape's edge, negative inside."""

Colour = tuple[int, int, int]

SIZES: Final = (16, 22, 24, 32, 48)
"""What panels ask for, in pixels; they scale the nearest. More would only make every message larger."""

_SIDE: Final = 64.0
_WHITE: Final[Colour] = (255, 255, 255)
_DARK: Final[Colour] = (55, 71, 79)
_GREY: Final[Colour] = (144, 158, 166)
_LIGHT: Final[Colour] = (207, 216, 220)
_GREEN: Final[Colour] = (0, 150, 120)
_BLUE: Final[Colour] = (25, 118, 210)
_GOLD: Final[Colour] = (255, 202, 69)
_RED: Final[Colour] = (211, 47, 47)


def _box(left: float, top: float, right: float, bottom: float, radius: float) -> Distance:
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    half_x, half_y = (right - left) / 2 - radius, (bottom - top) / 2 - radius

    def distance(x: float, y: float) -> float:
        dx, dy = abs(x - middle_x) - half_x, abs(y - middle_y) - half_y
        return hypot(max(dx, 0.0), max(dy, 0.0)) + min(max(dx, dy), 0.0) - radius

    return distance


def _disc(middle_x: float, middle_y: float, radius: float) -> Distance:
    return lambda x, y: hypot(x - middle_x, y - middle_y) - radius


def _stroke(from_x: float, from_y: float, to_x: float, to_y: float, width: float) -> Distance:
    along_x, along_y = to_x - from_x, to_y - from_y
    square = along_x * along_x + along_y * along_y

    def distance(x: float, y: float) -> float:
        at = max(0.0, min(1.0, ((x - from_x) * along_x + (y - from_y) * along_y) / square))
        return hypot(x - from_x - at * along_x, y - from_y - at * along_y) - width / 2

    return distance


def _reader(body: Colour) -> Iterator[tuple[Distance, Colour]]:
    yield _box(5, 33, 59, 61, 7), _WHITE
    yield _box(7, 35, 57, 59, 5), body
    yield _box(14, 39, 50, 44, 2), _LIGHT


def _card(colour: Colour) -> Iterator[tuple[Distance, Colour]]:
    yield _box(13, 2, 51, 44, 5), _WHITE
    yield _box(15, 4, 49, 42, 4), colour
    yield _box(24, 11, 40, 25, 3), _GOLD


def _layers(picture: Picture, problem: bool) -> Iterator[tuple[Distance, Colour]]:
    """Shapes from the lowest to the uppermost."""
    match picture:
        case Picture.NO_READER:
            yield from _reader(_GREY)
            yield _stroke(10, 14, 54, 58, 11), _WHITE
            yield _stroke(10, 14, 54, 58, 7), _DARK
        case Picture.READER:
            yield from _reader(_DARK)
        case Picture.CARD:
            yield from _card(_GREEN)
            yield from _reader(_DARK)
        case Picture.BUSY:
            yield from _card(_BLUE)
            yield from _reader(_DARK)
            for x in (18, 32, 46):
                yield _disc(x, 52, 4.5), _GOLD
    if problem:
        yield _disc(46, 18, 18), _WHITE
        yield _disc(46, 18, 16), _RED
        yield _stroke(46, 9, 46, 18.5, 5.5), _WHITE
        yield _disc(46, 26.5, 3.4), _WHITE


@cache
def pixels(picture: Picture, problem: bool, size: int) -> bytes:
    """The icon as rows of red, green, blue and alpha, one byte each, not premultiplied.

    Args:
        picture: what it shows.
        problem: whether it carries the badge.
        size: pixels of each side.
    """
    layers, scale = tuple(_layers(picture, problem)), _SIDE / size
    drawn = bytearray()
    for row in range(size):
        for column in range(size):
            drawn += _pixel(layers, (column + 0.5) * scale, (row + 0.5) * scale, scale)
    return bytes(drawn)


def _pixel(layers: tuple[tuple[Distance, Colour], ...], x: float, y: float, scale: float) -> bytes:
    """The layers over each other (the "over" of Porter and Duff) at one point."""
    red = green = blue = alpha = 0.0
    for distance, colour in layers:
        cover = max(0.0, min(1.0, 0.5 - distance(x, y) / scale))
        if cover:
            red, green, blue = (
                part * cover + below * (1 - cover)
                for part, below in zip(colour, (red, green, blue), strict=True)
            )
            alpha = cover + alpha * (1 - cover)
    if not alpha:
        return bytes(4)
    return bytes((round(red / alpha), round(green / alpha), round(blue / alpha), round(alpha * 255)))


def argb(rgba: bytes) -> bytes:
    """The same pixels with alpha first, in network byte order, as StatusNotifierItem wants them."""
    turned = bytearray(len(rgba))
    for place, source in enumerate((3, 0, 1, 2)):
        turned[place::4] = rgba[source::4]
    return bytes(turned)
