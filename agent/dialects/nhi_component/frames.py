"""Commands and answers as text frames: `Name`, `Name?Parameter=value`, `Name:answer`, or a bare number."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Final

FRAME_BYTES_MAX: Final = 1024
"""The longest command is a signature's, of fewer than forty characters."""

VERSION: Final = "0001"


@dataclass(frozen=True, slots=True)
class CommandFrame:
    """One frame of a page.

    Attributes:
        name: what stands before the first question mark.
        parameter: what stands behind it, empty where there is none. Never in a repr: it can be a password.
    """

    name: str
    parameter: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> CommandFrame:
        """Return the command in a frame, whether or not anybody knows it."""
        name, _, parameter = text.partition("?")
        return cls(name, parameter)

    def value(self, name: str) -> str | None:
        """Return the value of the one parameter that the command takes; None where it is not there."""
        given, separator, value = self.parameter.partition("=")
        return value if separator and given == name else None


def answer(name: str, *fields: str) -> str:
    """Return `name:field,field`; a comma inside a field becomes its full-width form."""
    return f"{name}:{','.join(map(_field, fields))}"


def _field(text: str) -> str:
    """Return a field without what could move the fields behind it or hide from who reads it.

    Anybody can write a card.
    """
    return "".join(
        "，" if each == "," else each for each in text if unicodedata.category(each) not in ("Cc", "Cf", "Cs")
    )
