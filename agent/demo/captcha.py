"""圖形驗證碼: digits in a picture, or a sum in words for whoever cannot see it; either is good once.

It shows what such a log-in asks of a person. It is no protection: a demo has nothing to protect.
"""

from __future__ import annotations

import secrets
from typing import Final

DIGITS: Final = 5
SECONDS: Final = 3 * 60.0
_NUMBERS: Final = "零一二三四五六七八九"
NUMBERS_EN: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_STEP, _HEIGHT = 26, 44
# Each digit in strokes, in a box of 10 by 16.
_STROKES: Final = (
    "M5 1C1 1 1 15 5 15S9 1 5 1",
    "M2 4L5 1V15M2 15H8",
    "M1 4C2 0 9 0 9 5C9 8 3 11 1 15H9",
    "M1 2H9L4 7C10 7 10 15 5 15C3 15 2 14 1 13",
    "M7 15V1L1 10H9",
    "M8 1H2L1.5 7C4 5 9 6 9 11C9 16 3 16 1 13",
    "M8 2C3 1 1 6 1 11C1 16 9 16 9 11C9 6 3 6 1 10",
    "M1 1H9L4 15",
    "M5 7C1 7 1 1 5 1S9 7 5 7S1 15 5 15S9 7 5 7",
    "M9 6C8 10 1 10 1 5C1 0 9 0 9 5C9 10 7 15 2 14",
)


def digits() -> str:
    """Return the digits that a picture will show."""
    return "".join(str(secrets.randbelow(10)) for _ in range(DIGITS))


def picture(answer: str) -> str:
    """Return the digits as an SVG of strokes, each turned and moved a little."""
    among = secrets.SystemRandom().uniform
    width = _STEP * len(answer) + 12
    shapes = [
        f'<path d="{_STROKES[int(digit)]}" transform="'
        f"translate({8 + index * _STEP + among(0, 5):.1f} {among(3, 10):.1f})"
        f' rotate({among(-16, 16):.1f} 5 8) scale({among(1.5, 1.75):.2f})"/>'
        for index, digit in enumerate(answer)
    ]
    noise = [
        f'<path d="M0 {among(4, _HEIGHT - 4):.0f}C{width / 3:.0f} {among(0, _HEIGHT):.0f}'
        f' {width / 1.5:.0f} {among(0, _HEIGHT):.0f} {width} {among(4, _HEIGHT - 4):.0f}"/>'
        for _ in range(3)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" fill="none"'
        ' stroke="#14324a" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round">'
        f'<rect width="{width}" height="{_HEIGHT}" fill="#eef4f6" stroke="none"/>'
        f'<g stroke="#8aa5b1" stroke-width="1">{"".join(noise)}</g>{"".join(shapes)}</svg>'
    )


def in_words() -> tuple[str, str, str]:
    """Return a sum for people who do not see pictures: Traditional Chinese, English, and its answer."""
    one, other = secrets.randbelow(9) + 1, secrets.randbelow(9) + 1
    zh = f"{_NUMBERS[one]}加{_NUMBERS[other]}等於多少？請用數字回答。"
    en = f"What is {NUMBERS_EN[one]} plus {NUMBERS_EN[other]}? Answer in digits."
    return zh, en, str(one + other)
