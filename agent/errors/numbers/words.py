"""The numbers by which old pages know an error, in words, from `words.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number in words.

    Attributes:
        zh: what it means, Traditional Chinese.
        en: the same in English.
        next_zh: what to do next.
        next_en: the same in English.
    """

    number: int
    zh: str
    en: str
    next_zh: str
    next_en: str


@cache
def number_words(dialect: Literal["servisign", "nhi_component"]) -> Mapping[int, NumberRow]:
    """Return the row of every number that a page of `dialect` can meet."""
    written = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
    rows = {}
    for number, members in written[dialect].items():
        step = written["next"][members.pop("next")]
        rows[int(number)] = NumberRow(int(number), next_zh=step["zh"], next_en=step["en"], **members)
    return MappingProxyType(rows)
