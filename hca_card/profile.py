"""Card profiles: the bytes of one card type as data, read from TOML with strict keys.

`profiles/reference.toml` is the commented example, `profiles/profile.schema.json` the format as JSON Schema,
`profile_format.py` what each key means, docs/card-profiles.md the guide.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from hca_card import profile_checks
from hca_card.profile_format import Profile, ProfileIdentity, Range, RecordLayout


class ProfileError(Exception):
    """A card profile cannot be used; the message names the file, the key and what is wrong with it."""

    error_id: ClassVar[str] = "config.invalid"


def load(file: Path) -> Profile:
    """Return the profile in a TOML file.

    Raises:
        ProfileError: it cannot be read, has unknown or missing keys, or values that cannot be.
    """
    try:
        return parse(file.read_text(encoding="utf-8-sig"))  # Windows' editors may begin it with a mark
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{file}: is not UTF-8, save it in that encoding: {error}") from None
    except ProfileError as error:
        raise ProfileError(f"{file}: {error}") from None


def parse(text: str) -> Profile:
    """Return the profile in TOML text. Raise `ProfileError` as `load` does."""
    try:
        table = tomllib.loads(text)
    except ValueError as error:  # of numbers with too many digits, too
        raise ProfileError(f"is not TOML: {error}") from None
    except RecursionError:
        raise ProfileError("is nested too deeply") from None
    profile: Profile = _dataclass(Profile, table, "the profile")
    for trouble in profile_checks.troubles(profile):
        raise ProfileError(trouble)
    return profile


@cache
def reference() -> Profile:
    """Return the profile of the simulated HCA cards, which ships with the program."""
    return load(Path(__file__).with_name("profiles") / "reference.toml")


def reference_identity() -> ProfileIdentity:
    """Return where the simulated HCA cards say what they are."""
    found = reference().identity
    if found is None:
        raise ProfileError("the reference profile has no identity")
    return found


def record_layout(profile: Profile, name: str) -> RecordLayout:
    """Return the layout of a record: the profile's own, else the reference's, that of the documents."""
    return profile.records.get(name) or reference().records[name]


def required(key: Field[Any]) -> bool:
    """Return whether a key of a profile may not be left out."""
    return key.default is MISSING and key.default_factory is MISSING


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's members; working them out takes longer than reading a profile."""
    return get_type_hints(kind)


def _dataclass(kind: Any, table: object, where: str) -> Any:
    if not isinstance(table, dict):
        raise ProfileError(f"{where} must be a table")
    hints = _hints(kind)
    known = {field.name: field for field in fields(kind)}
    for key in table:
        if key not in known:
            raise ProfileError(f"{where} has the unknown key {key!r}; known are {', '.join(known)}")
    for key, field in known.items():
        if key not in table and required(field):
            raise ProfileError(f"{where} lacks the key {key!r}")
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()})


def _value(kind: Any, value: object, where: str) -> Any:
    arguments = [argument for argument in get_args(kind) if argument is not type(None)]
    origin = get_origin(kind)
    if kind == Range:
        return _range(value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ProfileError(f"{where} must be a list")
        return tuple(_value(arguments[0], item, f"{where}[{place}]") for place, item in enumerate(value))
    if origin is MappingProxyType:
        if not isinstance(value, dict):
            raise ProfileError(f"{where} must be a table")
        return MappingProxyType(
            {key: _value(arguments[1], item, f"{where}: {key}") for key, item in value.items()}
        )
    if arguments:  # X | None
        return _value(arguments[0], value, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, where)
    return _word(kind, value, where)


def _word(kind: Any, value: object, where: str) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise ProfileError(f"{where} must be true or false")
    if kind is int:
        # bool is an int in Python, and no number in TOML.
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF:
            return value
        raise ProfileError(f"{where} must be a number from 0 to 65535")
    if not isinstance(value, str):
        raise ProfileError(f"{where} must be text")
    if kind is bytes:
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise ProfileError(f"{where} must be hexadecimal bytes") from None
    try:
        return kind(value)
    except ValueError:
        raise ProfileError(f"{where} must be one of {', '.join(kind)}") from None


def _range(value: object, where: str) -> Range:
    match value:
        case [int(first), int(end)] if 0 <= first < end <= 0xFFFF:
            return first, end
    raise ProfileError(f"{where} must be a range [first, end]")
