"""The format of card profiles as JSON Schema (2020-12), made from the dataclasses that are the format.

`python -m hca_card.profile_schema` writes `profiles/profile.schema.json`, for editors that check TOML with
JSON Schema. What a schema cannot say (ranges inside their record, no number twice) only the program checks.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin, get_type_hints

from hca_card.profile import required
from hca_card.profile_format import (
    RECORDS,
    Profile,
    ProfileIdentity,
    Range,
    RecordLayout,
    record_fields,
)

PATH: Final = Path(__file__).with_name("profiles") / "profile.schema.json"

_NUMBER: Final = {"type": "integer", "minimum": 0, "maximum": 0xFFFF}
_RANGE: Final = {
    "type": "array",
    "items": _NUMBER,
    "minItems": 2,
    "maxItems": 2,
    "description": "[first, end) in bytes",
}
_BYTES: Final = {"type": "string", "pattern": r"^\s*([0-9A-Fa-f]{2}\s*)*$"}
_EITHER: Final = {ProfileIdentity: ("fci_tag", "sfi", "file")}


def schema() -> bytes:
    """Return the schema as the published file has it."""
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "HCA Card Agent card profile",
        **_dataclass(Profile),
    }
    return (json.dumps(whole, ensure_ascii=False, indent=2) + "\n").encode()


def _dataclass(kind: type[Any]) -> dict[str, Any]:
    described, hints = _attributes(kind), get_type_hints(kind)
    properties = {}
    for field in fields(kind):
        properties[field.name] = {"description": described[field.name], **_value(hints[field.name])}
    table: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in fields(kind) if required(field)],
        "properties": properties,
    }
    if kind is Profile:
        properties["records"] |= _records()
    if kind in _EITHER:
        table["oneOf"] = [{"required": [name]} for name in _EITHER[kind]]
    return table


def _value(kind: Any) -> dict[str, Any]:
    arguments = [argument for argument in get_args(kind) if argument is not type(None)]
    if kind == Range:
        return dict(_RANGE)
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if get_origin(kind) is MappingProxyType:
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    if arguments:  # X | None
        return _value(arguments[0])
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [str(word) for word in kind]}
    words: dict[Any, dict[str, Any]] = {
        bool: {"type": "boolean"},
        int: _NUMBER,
        bytes: _BYTES,
        str: {"type": "string"},
    }
    return dict(words[kind])


def _records() -> dict[str, Any]:
    """Return the four records with the fields that each must have."""
    layouts = {}
    for name, record in RECORDS.items():
        names = list(record_fields(name))
        layout = _dataclass(RecordLayout)
        layout["properties"]["fields"] |= {
            "additionalProperties": False,
            "required": names,
            "properties": {field: dict(_RANGE) for field in names},
        }
        layouts[name] = {"description": (inspect.getdoc(record) or "").partition("\n")[0], **layout}
    return {"additionalProperties": False, "properties": layouts}


def _attributes(kind: type[Any]) -> dict[str, str]:
    """Return what the docstring says of each attribute."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        _, _, text = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")
        entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
        found |= {name: re.sub(r"\s+", " ", words) for name, words in entries}
    return found


if __name__ == "__main__":
    PATH.write_bytes(schema())
