"""The options of the installers, written as a configuration in TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def toml_text(document: Mapping[str, Mapping[str, Any]]) -> str:
    """Sections of texts, numbers, yes and no, and lists of those.

    Raises:
        TypeError: a value is something else.
    """
    lines: list[str] = []
    for section, values in document.items():
        lines += [f"[{section}]", *(f"{key} = {_value(value)}" for key, value in values.items()), ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # A basic string of TOML is one of JSON, but for one control character (TOML 1.0, "String").
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    raise TypeError(f"{type(value).__name__} has no words in TOML here")
