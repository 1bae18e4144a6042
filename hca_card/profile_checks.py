"""What a card profile says that cannot be, or that this program cannot do: a sentence for each.

Types and unknown keys are `hca_card.profile`'s. All of it is refused when the file is read, so that nothing
is guessed at once there is a card with a PIN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hca_card.model import KeyUse
from hca_card.pin_block import PinFormat
from hca_card.profile_format import (
    NOWHERE,
    RECORDS,
    ChosenBy,
    Commands,
    FilePlace,
    Form,
    KeyKind,
    Operation,
    Piece,
    Profile,
    ProfileIdentity,
    ProfileKey,
    RecordLayout,
    record_fields,
)

_BYTE: Final = 0xFF
_RECORD_MOST: Final = 254
_PARTS_MOST: Final = 16


def troubles(profile: Profile) -> Iterator[str]:
    """Yield what is wrong with a profile, beyond what types alone can say."""
    yield from _application(profile.aid, "aid")
    yield from _application(profile.pin.aid or profile.aid, "pin: aid")
    if profile.identity is not None:
        yield from _identity(profile.identity)
    elif not profile.atrs:
        yield "a profile without identity needs atrs: nothing else would say which cards it is for"
    yield from _records(profile.records)
    for entry in profile.certificates:
        yield from _place(entry.file, f"certificate {entry.index}")
    if profile.files is not None:
        yield from _place(profile.files.basic, "files: basic")
        yield from _place(profile.files.info, "files: info")
    if profile.pin.reference > _BYTE:
        yield "pin: reference must be one byte"
    for form in (profile.pin.format, *([] if profile.puk is None else [profile.puk.format])):
        yield from _pin_format(form)
    for key in profile.keys:
        yield from _key(key)
        yield from _bits(profile, key)
    yield from _commands(profile.commands)
    if profile.identity is not None and profile.identity.fci_tag and profile.commands.select_p2 == 0x0C:
        yield "identity: fci_tag stands in the answer to SELECT, which select_p2 = 0x0C asks not to give"
    names: tuple[tuple[str, Sequence[object]], ...] = (
        ("certificates", [entry.index for entry in profile.certificates]),
        ("keys", [key.use for key in profile.keys]),
    )
    for what, given in names:
        if len(set(given)) < len(given):
            yield f"{what} names one of them twice"


def _application(aid: bytes, where: str) -> Iterator[str]:
    if not 5 <= len(aid) <= 16:
        yield f"{where} must have 5 to 16 bytes"


def _identity(identity: ProfileIdentity) -> Iterator[str]:
    if sum((bool(identity.fci_tag), bool(identity.sfi), identity.file is not None)) != 1:
        yield "identity needs exactly one of fci_tag and sfi, or a file"
    if identity.sfi > 30:
        yield "identity: sfi must be 1 to 30"
    if identity.file is not None:
        yield from _place(identity.file, "identity: file")
    ends = [part[1] for part in (identity.version, identity.type, identity.serial, identity.rank)]
    if max(ends) > identity.length:
        yield "identity has a range beyond its length"


def _records(records: Mapping[str, RecordLayout]) -> Iterator[str]:
    for name, layout in records.items():
        if name not in RECORDS:
            yield f"records has the unknown record {name!r}; known are {', '.join(RECORDS)}"
        elif set(layout.fields) != set(record_fields(name)):
            yield f"records: {name} must have the fields {', '.join(sorted(record_fields(name)))}"
        elif max(end for _, end in layout.fields.values()) > layout.length:
            yield f"records: {name} has a range beyond its length"


def _place(place: FilePlace, where: str) -> Iterator[str]:
    if len(place.parts) > _PARTS_MOST:
        yield f"{where} has more than {_PARTS_MOST} parts"
    if place.parts and (place.sfi or place.path or place.object is not None):
        yield f"{where} needs parts alone, or one of sfi, path and object"
    for piece in place.pieces:
        yield from _piece(piece, where)


def _piece(piece: Piece, where: str) -> Iterator[str]:
    given = sum((bool(piece.sfi), bool(piece.path), piece.object is not None))
    if given != 1 or piece.sfi > 30 or len(piece.path) % 2 or len(piece.path) > 16:
        yield f"{where} needs exactly one of sfi (1 to 30), path (pairs of bytes, at most eight) and object"
    if piece.object_ins not in (0xCA, 0xCB) or len(piece.object_data) > _BYTE:
        yield f"{where}: GET DATA has the instruction CA or CB and at most 255 bytes of data"
    if piece.object is None and piece.object_data:
        yield f"{where}: object_data belongs to an object"
    if piece.records != NOWHERE and (piece.object is not None or not 1 <= piece.records[0] <= _RECORD_MOST):
        yield f"{where}: records are those of a file, and counted from 1 to {_RECORD_MOST}"
    if piece.records[1] > _RECORD_MOST + 1:
        yield f"{where}: records end with [..., {_RECORD_MOST + 1}] at most"
    if piece.aid:
        yield from _application(piece.aid, f"{where}: aid")


def _pin_format(form: PinFormat) -> Iterator[str]:
    if not 1 <= form.min_length <= form.max_length <= 64 or form.stored_length > 64 or form.pad > _BYTE:
        yield "a PIN format must have 1 <= min_length <= max_length <= 64 and a pad of one byte"
    if len(form.prefix) > 8:
        yield "a PIN format has a prefix of at most 8 bytes"


def _key(key: ProfileKey) -> Iterator[str]:
    where = f"key {key.use}"
    numbers = (key.reference, key.algorithm, key.environment_p1, key.environment_p2, key.p1, key.p2, key.pss)
    if max(number or 0 for number in numbers) > _BYTE:
        yield f"{where}: a reference must be one byte"
    match key.chosen_by:
        case ChosenBy.SET if (key.reference is None) == (not key.environment):
            yield f"{where} needs either reference or environment"
        case ChosenBy.RESTORE if key.reference is None or key.environment or key.algorithm or key.pss:
            yield f"{where}: restore takes the number of an environment as reference, and nothing else"
        case ChosenBy.NOTHING if key.reference is not None or key.environment or key.algorithm or key.pss:
            yield f"{where}: where nothing is chosen there is no reference, environment or algorithm"
    if key.environment and (key.algorithm or key.pss):
        yield f"{where}: environment is all of the data, the algorithm included"
    if len(key.environment) > 64 or len(key.indicator) > 8:
        yield f"{where}: environment has at most 64 bytes, and indicator 8"
    if key.kind is KeyKind.EC and (
        key.use is KeyUse.ENCRYPTION or key.form is not Form.DIGEST_INFO or key.pss
    ):
        yield f"{where}: an ec key signs bare digests, nothing else: it has no form, pss or decryption"
    if key.use is KeyUse.ENCRYPTION and (
        key.form is Form.DIGEST or key.operation is not Operation.PSO or key.pss
    ):
        yield f"{where}: deciphering is PSO: DECIPHER, and answers the plain text (digest-info) or the block"
    if key.form is Form.BLOCK and key.pss:
        yield f"{where}: of a block this program makes PSS itself, so that pss has nothing to say"
    if key.operation is Operation.HASH_PSO and key.kind is KeyKind.RSA and key.form is not Form.DIGEST:
        yield f"{where}: PSO: HASH is given a bare digest: form must be digest"


def _bits(profile: Profile, key: ProfileKey) -> Iterator[str]:
    """Yield what is wrong where a certificate would have to be looked into between PIN and signature."""
    if key.bits or key.use is not KeyUse.SIGNATURE or key.form is not Form.BLOCK:
        return
    here = profile.pin.aid or profile.aid
    pieces = [piece for each in profile.certificates if each.index == 1 for piece in each.file.pieces]
    if any((piece.aid or profile.aid) != here for piece in pieces):
        yield (
            f"key {key.use} needs bits: its certificate is in another application, and leaving that of the "
            "PIN drops it"
        )


def _commands(commands: Commands) -> Iterator[str]:
    classes = {
        "select_class": commands.select_class,
        "read_class": commands.read_class,
        "data_class": commands.data_class,
        "pin_class": commands.pin_class,
        "key_class": commands.key_class,
    }
    for name, value in classes.items():
        if value & 0x0C:
            yield (
                f"commands: {name} asks for secure messaging, whose keys are the maker's: "
                "use the maker's PKCS#11 module"
            )
        elif value and (not 0x80 <= value < _BYTE or value & 0x10):
            yield f"commands: {name} must be 00 or proprietary (80 and more), without the bit of chaining"
    if commands.select_p2 not in (0x00, 0x04, 0x0C):
        yield "commands: select_p2 must be 0x00, 0x04 or 0x0C"
    if commands.read_most > 256 or commands.chain > _BYTE:
        yield "commands: read_most is at most 256, and chain at most 255"
