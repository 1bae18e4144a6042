"""What a recorded card has given, by the place where a profile would look for it, and what that is."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hca_card import tlv
from hca_card.certificate import describe
from hca_card.errors import CardDataError
from hca_card.iso7816 import FILE_LIMIT, MASTER_FILE
from hca_card.traces.recorded_card import RecordedCard, RecordedFile

_RECORDS_ALL: Final = 255
_SFI_MOST: Final = 30
_PATH_MOST: Final = 16
_SKIP_MOST: Final = 16
_AHEAD_MOST: Final = 64
_PARTS_MOST: Final = 4
_DEPTH_MOST: Final = 3
_COMPRESSED: Final = {b"\x78": ("zlib", zlib.MAX_WBITS), b"\x1f\x8b": ("gzip", 16 + zlib.MAX_WBITS)}


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that the card gave, and where.

    Attributes:
        application: the AID that was selected.
        place: keys of a profile's place, and their TOML.
        data: what was there.
    """

    application: bytes
    place: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a profile: one piece or several, and what is to be done with them.

    Attributes:
        pieces: in their order.
        then: keys of the whole: `within`, `compression`.
        data: what is found there.
    """

    pieces: tuple[Content, ...]
    then: Mapping[str, str]
    data: bytes

    @property
    def application(self) -> bytes:
        """The AID of its first piece."""
        return self.pieces[0].application

    def toml(self, aid: bytes) -> str:
        """As a profile with that AID writes it."""
        pieces = [self._piece(piece, aid) for piece in self.pieces]
        if len(pieces) == 1:
            return _table({**pieces[0], **self.then})
        return _table({"parts": f"[{', '.join(map(_table, pieces))}]", **self.then})

    @staticmethod
    def _piece(piece: Content, aid: bytes) -> dict[str, str]:
        other = piece.application not in (b"", aid)
        return {**piece.place, **({"aid": quoted(piece.application)} if other else {})}


def contents(card: RecordedCard) -> list[Content]:
    """Return all that was read, in the order of its first reading."""
    return [*_files(card), *_data_objects(card)]


def places(found: Sequence[Content]) -> Iterator[Place]:
    """Return every content as it stands, and what can be made of it: unwrapped, decompressed."""
    for content in found:
        yield Place((content,), {}, content.data)
        yield from _opened((content,), content.data)


def within(found: Sequence[Content], length: int) -> Iterator[Place]:
    """Return every `length` bytes that stand in a content of more bytes, near its beginning."""
    for content in found:
        for skip in range(min(_AHEAD_MOST, len(content.data) - length) + 1):
            if len(content.data) > length:
                data = content.data[skip : skip + length]
                cut = {**content.place, **({"skip": str(skip)} if skip else {}), "length": str(length)}
                yield Place((Content(content.application, cut, data),), {}, data)


def certificates(found: Sequence[Content]) -> list[Place]:
    """Return where certificates are."""
    certain: list[Place] = []
    used: set[int] = set()
    for at, content in enumerate(found):
        if at in used:
            continue
        for count in range(1, _PARTS_MOST + 1):
            some = tuple(found[at : at + count])
            if len(some) < count or some[-1].application != content.application:
                break
            place = _certificate(some)
            if place is not None:
                certain.append(place)
                used.update(range(at, at + count))
                break
            if not _goes_on(b"".join(one.data for one in some)):
                break
    return certain


def quoted(octets: bytes) -> str:
    """Return bytes as a profile writes them."""
    return f'"{octets.hex(" ").upper()}"'


def _table(members: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{key} = {value}' for key, value in members.items())} }}"


def _files(card: RecordedCard) -> Iterator[Content]:
    for file in card.files:
        where = _where(file)
        application = b"" if file.path[:2] == MASTER_FILE else file.application
        if where and file.content:
            yield Content(application, where, file.content)
        if where and file.records:
            numbers = sorted(file.records)
            if numbers == list(range(1, len(numbers) + 1)):
                records = {**where, "records": f"[1, {_RECORDS_ALL}]"}
                yield Content(application, records, b"".join(file.records[one] for one in numbers))
            if len(numbers) > 1 or numbers != [1]:
                for one in numbers:
                    yield Content(application, {**where, "records": f"[{one}, {one + 1}]"}, file.records[one])


def _where(file: RecordedFile) -> dict[str, str]:
    if not file.path:
        return {"sfi": str(file.sfi)} if 0 < file.sfi <= _SFI_MOST else {}
    path = file.path
    if len(path) > 2 and path[:2] != MASTER_FILE:
        path = b"\x3f\xff" + path
    return {"path": quoted(path)} if len(path) <= _PATH_MOST and len(path) % 2 == 0 else {}


def _data_objects(card: RecordedCard) -> Iterator[Content]:
    for key, answer in card.data_objects.items():
        where = {"object": f"0x{key.tag:04X}"}
        if key.data:
            where["object_data"] = quoted(key.data)
        if key.ins != 0xCA:
            where["object_ins"] = f"0x{key.ins:02X}"
        yield Content(key.application, where, answer)


def _certificate(pieces: tuple[Content, ...]) -> Place | None:
    data = b"".join(piece.data for piece in pieces)
    candidates = [Place(pieces, {}, data), *_opened(pieces, data)]
    if len(pieces) == 1:
        candidates += [
            Place(
                (Content(pieces[0].application, {**pieces[0].place, "skip": str(skip)}, data[skip:]),),
                {},
                data[skip:],
            )
            for skip in range(1, min(_SKIP_MOST, len(data)))
            if data[skip : skip + 2] == b"\x30\x82"
        ]
    for place in candidates:
        with suppress(CardDataError):
            if place.data[:1] == b"\x30":
                der = place.data[: tlv.announced_length(place.data)]
                describe(der)
                return Place(place.pieces, place.then, der)
    return None


def _opened(pieces: tuple[Content, ...], data: bytes) -> Iterator[Place]:
    for tags, value in _within(data, ()):
        within = {"within": f"[{', '.join(f'0x{tag:02X}' for tag in tags)}]"} if tags else {}
        if tags:
            yield Place(pieces, within, value)
        for magic, (name, window) in _COMPRESSED.items():
            if value.startswith(magic):
                with suppress(zlib.error):
                    plain = zlib.decompressobj(window).decompress(value, FILE_LIMIT)
                    yield Place(pieces, {**within, "compression": f'"{name}"'}, plain)


def _within(data: bytes, tags: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Return what stands in BER-TLV objects, and `data` itself; a certificate's own parts are none."""
    yield tags, data
    if len(tags) == _DEPTH_MOST or data[:1] in (b"", b"\x30"):
        return
    with suppress(CardDataError):
        seen: set[int] = set()
        for item in tlv.objects(data):
            if item.tag not in seen:  # a profile names the first of a tag
                seen.add(item.tag)
                yield from _within(item.value, (*tags, item.tag))


def _goes_on(data: bytes) -> bool:
    """Return whether what begins so announces more than there is, or cannot say."""
    if any(data.startswith(magic) for magic in _COMPRESSED):
        return True
    with suppress(CardDataError):
        return bool(data) and data[0] not in tlv.PADDING and tlv.announced_length(data) > len(data)
    return False
