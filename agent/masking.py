"""Personal data as it may leave the person's own screen: logs, reports, audit."""

from __future__ import annotations

from typing import Final

_HIDDEN: Final = "*"
_HIDDEN_CHARACTER: Final = "○"


def mask_name(name: str) -> str:
    """`王小明` becomes `王○明`, `王明` becomes `王○`, `TEST CARD` becomes `T*** C***`."""
    name = name.strip()
    if not name:
        return ""
    if name.isascii():
        return " ".join(word[0] + _HIDDEN * (len(word) - 1) for word in name.split())
    if len(name) <= 2:
        return name[0] + _HIDDEN_CHARACTER * (len(name) - 1)
    return name[0] + _HIDDEN_CHARACTER * (len(name) - 2) + name[-1]


def mask_id(number: str) -> str:
    """`BA00312361` becomes `B*******61`; whatever is shorter than ten characters shows at most its first."""
    number = number.strip()
    shown = 2 if len(number) >= 10 else 0
    return number[:1] + _HIDDEN * (len(number) - 1 - shown) + number[len(number) - shown :] if number else ""


def mask_file(name: str) -> str:
    """`王小明出院病摘.pdf` becomes `王….pdf`: what it is called may say who it is about."""
    stem, dot, ending = name.rpartition(".")
    shown = dot + ending if stem and ending.isascii() and ending.isalnum() and len(ending) <= 5 else ""
    return f"{name[:1]}…{shown}" if name else ""


def mask_card(serial: str) -> str:
    """`000000335361` becomes `********5361`: enough to tell the cards of one person apart."""
    serial = serial.strip()
    shown = 4 if len(serial) >= 8 else 1 if len(serial) >= 2 else 0
    return _HIDDEN * (len(serial) - shown) + serial[len(serial) - shown :]
