"""Card profiles: the bytes of one card type as data, read from TOML with strict keys.

`profiles/reference.toml` is the commented example, `profiles/profile.schema.json` the format as JSON Schema,
docs/card-profiles.md the guide. The dataclasses below are the format: each attribute is a key of the file, an
attribute with a default may be left out, and any other key is an error.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, get_args, get_origin, get_type_hints

from hca_card.model import CardInfo, CertificateUse, Institution, KeyUse, Personnel
from hca_card.pin_block import PinFormat


class ProfileError(Exception):
    """A card profile cannot be used; the message names the file, the key and what is wrong with it."""

    error_id: ClassVar[str] = "config.invalid"


Range = tuple[int, int]
"""`[first, end)` in bytes."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Where a transparent file is: exactly one of the two.

    Attributes:
        sfi: short file identifier, 1 to 30: one command reads the file.
        path: file identifiers of two bytes each, from the master file or one alone in the application.
    """

    sfi: int = 0
    path: bytes = b""


@dataclass(frozen=True, slots=True)
class ProfileIdentity:
    """Where the card says what it is, in ASCII: exactly one of `fci_tag` and `sfi`.

    Attributes:
        length: bytes of the whole text.
        version: range of the version, `1` or `2`.
        type: range of the card type.
        serial: range of the card number.
        personnel: text of `type` on a personnel card.
        institution: text of `type` on an institution card.
        rank: range of primary or secondary; left out where the card does not say.
        secondary: text of `rank` on an institution's secondary card.
        fci_tag: tag inside template 6F of the answer to SELECT.
        sfi: short file identifier of a file that says it.
    """

    length: int
    version: Range
    type: Range
    serial: Range
    personnel: str
    institution: str
    rank: Range = (0, 0)
    secondary: str = ""
    fci_tag: int = 0
    sfi: int = 0


@dataclass(frozen=True, slots=True)
class Files:
    """The two records.

    Attributes:
        basic: basic data (基本資料) of the holder.
        info: card information: dates and flags.
    """

    basic: FilePlace
    info: FilePlace


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """A record of fixed width.

    Attributes:
        length: bytes in all.
        fields: range of each field, named as in `hca_card.model`.
    """

    length: int
    fields: MappingProxyType[str, Range]


@dataclass(frozen=True, slots=True)
class ProfileCertificate:
    """One certificate on the card.

    Attributes:
        index: HCA's number, 0 to 4.
        use: ca, signature, encryption, intermediate or root.
        file: where it is.
        missing_on: cards that have none, as `personnel-1` or `institution-2` (type and version).
    """

    index: int
    use: CertificateUse
    file: FilePlace
    missing_on: tuple[str, ...] = ()


class StatusBy(StrEnum):
    """How the card tells the tries left without spending one."""

    EMPTY_VERIFY = "empty-verify"
    NEVER = "never"


class DropBy(StrEnum):
    """How a verified PIN is dropped; where one way fails the next is taken, and a reset is the last."""

    VERIFY_FF = "verify-ff"
    SELECT = "select"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class ProfilePin:
    """The holder's PIN.

    Attributes:
        reference: P2 of VERIFY.
        format: lengths, encoding and padding.
        tries: the full number of tries; 0 where it is not known.
        status: whether an empty VERIFY tells the tries left.
        drop: how to drop the verified state.
    """

    reference: int
    format: PinFormat
    tries: int = 0
    status: StatusBy = StatusBy.EMPTY_VERIFY
    drop: DropBy = DropBy.VERIFY_FF


@dataclass(frozen=True, slots=True)
class ProfilePuk:
    """The resetting code (PUK); RESET RETRY COUNTER names the PIN's reference, so it needs none of its own.

    Attributes:
        format: lengths, encoding and padding.
    """

    format: PinFormat


@dataclass(frozen=True, slots=True)
class ProfileKey:
    """One RSA key pair.

    Attributes:
        use: signature or encryption.
        reference: key reference, tag 84 of MANAGE SECURITY ENVIRONMENT.
        algorithm: algorithm reference, tag 80; 0 sends none.
        missing_on: cards that have no such key, as in `certificates`.
    """

    use: KeyUse
    reference: int
    algorithm: int = 0
    missing_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """One card type.

    Attributes:
        name: shown in traces.
        aid: application identifier, 5 to 16 bytes.
        identity: what kind of card it is, and its number.
        files: where the records are.
        records: layouts `personnel-1`, `personnel-2`, `institution` and `info`.
        certificates: what certificates there are.
        pin: the holder's PIN.
        keys: the key pairs.
        puk: the resetting code; left out where the card takes none.
        atrs: ATRs seen; they only decide what is tried first.
        draft: something in the file is still a guess that could cost a try; it is checked and never used.
    """

    name: str
    aid: bytes
    identity: ProfileIdentity
    files: Files
    records: MappingProxyType[str, RecordLayout]
    certificates: tuple[ProfileCertificate, ...]
    pin: ProfilePin
    keys: tuple[ProfileKey, ...]
    puk: ProfilePuk | None = None
    atrs: tuple[bytes, ...] = ()
    draft: bool = False


RECORDS: Final[dict[str, type]] = {
    "personnel-1": Personnel,
    "personnel-2": Personnel,
    "institution": Institution,
    "info": CardInfo,
}


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
    _check(profile)
    return profile


@cache
def reference() -> Profile:
    """Return the profile of the simulated HCA cards, which ships with the program."""
    return load(Path(__file__).with_name("profiles") / "reference.toml")


def _dataclass(kind: type[Any], table: object, where: str) -> Any:
    if not isinstance(table, dict):
        raise ProfileError(f"{where} must be a table")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    for key in table:
        if key not in known:
            raise ProfileError(f"{where} has the unknown key {key!r}; known are {', '.join(known)}")
    for key, field in known.items():
        if key not in table and field.default is MISSING:
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
    raise ProfileError(f"{where} must be a range [first, end] in bytes")


def _check(profile: Profile) -> None:
    """Raise `ProfileError` for what types alone cannot say."""
    if not 5 <= len(profile.aid) <= 16:
        raise ProfileError("aid must have 5 to 16 bytes")
    _check_identity(profile.identity)
    _check_records(profile.records)
    for entry in profile.certificates:
        _check_place(entry.file, f"certificate {entry.index}")
    _check_place(profile.files.basic, "files: basic")
    _check_place(profile.files.info, "files: info")
    references = [profile.pin.reference, *(key.reference for key in profile.keys)]
    references += [key.algorithm for key in profile.keys]
    if max(references) > 0xFF:
        raise ProfileError("a reference must be one byte")
    for form in (profile.pin.format, *([] if profile.puk is None else [profile.puk.format])):
        if not 1 <= form.min_length <= form.max_length <= 64 or form.stored_length > 64 or form.pad > 0xFF:
            raise ProfileError(
                "a PIN format must have 1 <= min_length <= max_length <= 64 and a pad of one byte"
            )
    for what, names in (
        ("certificates", [entry.index for entry in profile.certificates]),
        ("keys", [key.use for key in profile.keys]),
    ):
        if len(set(names)) < len(names):
            raise ProfileError(f"{what} names one of them twice")


def _check_identity(identity: ProfileIdentity) -> None:
    if bool(identity.fci_tag) == bool(identity.sfi):
        raise ProfileError("identity needs exactly one of fci_tag and sfi")
    if identity.sfi > 30:
        raise ProfileError("identity: sfi must be 1 to 30")
    ends = [part[1] for part in (identity.version, identity.type, identity.serial, identity.rank)]
    if max(ends) > identity.length:
        raise ProfileError("identity has a range beyond its length")


def _check_records(records: MappingProxyType[str, RecordLayout]) -> None:
    for name, kind in RECORDS.items():
        if name not in records:
            raise ProfileError(f"records lacks {name!r}")
        expected = {field.name for field in fields(kind)} - {"category_text"}
        given = set(records[name].fields)
        if given != expected:
            raise ProfileError(f"records: {name} must have the fields {', '.join(sorted(expected))}")
        if max(end for _, end in records[name].fields.values()) > records[name].length:
            raise ProfileError(f"records: {name} has a range beyond its length")
    for name in records:
        if name not in RECORDS:
            raise ProfileError(f"records has the unknown record {name!r}")


def _check_place(place: FilePlace, where: str) -> None:
    if bool(place.sfi) == bool(place.path) or place.sfi > 30 or len(place.path) % 2:
        raise ProfileError(f"{where} needs exactly one of sfi (1 to 30) and path (pairs of bytes)")
