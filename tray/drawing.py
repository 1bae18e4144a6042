"""The icon as pixels.

Coordinates are in a square of 64 by 64, x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from tray.icon_states import Picture
from tray.shapes import Distance, box, disc, stroke

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


def _reader(body: Colour) -> Iterator[tuple[Distance, Colour]]:
    yield box(5, 33, 59, 61, 7), _WHITE
    yield box(7, 35, 57, 59, 5), body
    yield box(14, 39, 50, 44, 2), _LIGHT


def _card(colour: Colour) -> Iterator[tuple[Distance, Colour]]:
    yield box(13, 2, 51, 44, 5), _WHITE
    yield box(15, 4, 49, 42, 4), colour
    yield box(24, 11, 40, 25, 3), _GOLD


def _layers(picture: Picture, problem: bool, signing: bool) -> Iterator[tuple[Distance, Colour]]:
    """Shapes from the lowest to the uppermost."""
    match picture:
        case Picture.NO_READER:
            yield from _reader(_GREY)
            yield stroke([(10, 14), (54, 58)], 11), _WHITE
            yield stroke([(10, 14), (54, 58)], 7), _DARK
        case Picture.READER:
            yield from _reader(_DARK)
        case Picture.CARD:
            yield from _card(_GREEN)
            yield from _reader(_DARK)
        case Picture.BUSY:
            yield from _card(_BLUE)
            yield from _reader(_DARK)
            for x in (18, 32, 46):
                yield disc(x, 52, 4.5), _GOLD
    if signing:
        yield disc(18, 18, 18), _WHITE
        yield disc(18, 18, 16), _GOLD
        yield stroke([(12, 24), (24, 12)], 7), _DARK
        yield disc(10.5, 25.5, 2.2), _DARK
    if problem:
        yield disc(46, 18, 18), _WHITE
        yield disc(46, 18, 16), _RED
        yield stroke([(46, 9), (46, 18.5)], 5.5), _WHITE
        yield disc(46, 26.5, 3.4), _WHITE


@cache
def pixels(picture: Picture, problem: bool, size: int, signing: bool = False) -> bytes:
    """Return the icon as rows of red, green, blue and alpha, one byte each, not premultiplied.

    Args:
        picture: what it shows.
        problem: whether it carries the badge of a problem.
        size: pixels of each side.
        signing: whether it carries the badge of a signing session.
    """
    layers, scale = tuple(_layers(picture, problem, signing)), _SIDE / size
    drawn = bytearray()
    for row in range(size):
        for column in range(size):
            drawn += _pixel(layers, (column + 0.5) * scale, (row + 0.5) * scale, scale)
    return bytes(drawn)


def _pixel(layers: tuple[tuple[Distance, Colour], ...], x: float, y: float, scale: float) -> bytes:
    """Lay the layers over each other (the "over" of Porter and Duff) at one point."""
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
    """Return the same pixels with alpha first, in network byte order, as StatusNotifierItem wants them."""
    turned = bytearray(len(rgba))
    for place, source in enumerate((3, 0, 1, 2)):
        turned[place::4] = rgba[source::4]
    return bytes(turned)
