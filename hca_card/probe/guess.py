"""From what a probe has found to the parts of a card profile: what the card says, and what is guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Final

from hca_card import profile, tlv
from hca_card.certificate import CertificateDescription, describe
from hca_card.certificate_numbers import numbered
from hca_card.errors import CardDataError
from hca_card.inflate import inflate
from hca_card.iso7816 import FILE_LIMIT
from hca_card.model import KeyUse, roc_date
from hca_card.pkcs15_directory import PinObject
from hca_card.pkcs15_roles import algorithm_for, holder_pin, key_for
from hca_card.probe.found import Findings, FoundApplication, FoundFile
from hca_card.probe.names import KNOWN
from hca_card.profile_format import ProfileIdentity, ProfileKey, RecordLayout

BASIC_RECORDS: Final = ("personnel-2", "personnel-1", "institution")
_IDENTITY_MOST: Final = 64
_SERIAL_LEAST: Final = 6
_WRAPPED_MOST: Final = 4
_COMPRESSED: Final = {"zlib": (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), "gzip": (b"\x1f\x8b",)}


@dataclass(frozen=True, slots=True)
class GuessedFile:
    """Where something is, and what it holds.

    Attributes:
        where: the place, as a profile writes it, without its braces.
        content: what is there.
    """

    where: str
    content: bytes

    @property
    def toml(self) -> str:
        """As a profile writes it."""
        return f"{{ {self.where} }}"


@dataclass(frozen=True, slots=True)
class Guess:
    """The parts of a profile; None where the card did not say and nothing sensible can be guessed.

    `identity_file` is the place of an identity that is neither in the FCI nor named by a short identifier.
    """

    application: FoundApplication | None
    identity: ProfileIdentity | None
    identity_file: str
    basic: GuessedFile | None
    info: GuessedFile | None
    certificates: Mapping[int, GuessedFile]
    pin: PinObject | None
    puk: PinObject | None
    keys: tuple[ProfileKey, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts that somebody must fill in."""
        # Kind and number stand in the certificate, too, where the records say which card it is.
        known = self.identity or (self.basic and self.info and self.certificates.get(1))
        parts = {
            "identity": known,
            "files: basic": self.basic,
            "files: info": self.info,
            "certificates": self.certificates.get(1),
            "pin": self.pin,
            "keys": self.keys or None,
        }
        return tuple(name for name, part in parts.items() if part is None)


NOTHING: Final = Guess(None, None, "", None, None, {}, None, None, ())


def guess(found: Findings) -> Guess:
    """Return the parts of a profile for the application that looks most like one of an HCA card."""
    anywhere = _certificates(found, None)
    own = _description(anywhere.get(1)) or _description(anywhere.get(2))
    serials = _serials(found, own)
    best: Guess | None = None
    for application in sorted(found.applications, key=lambda one: one.aid in KNOWN):
        basic, info = _records(found, application)
        identity, identity_file = _identity(application, serials, own)
        pins = found.directory.pins if found.directory else ()
        attempt = Guess(
            application=application,
            identity=identity,
            identity_file=identity_file,
            basic=basic,
            info=info,
            certificates=_certificates(found, application),
            pin=_pin(found, pins),
            puk=next((one for one in pins if one.unblocking and not one.officer and not one.protected), None),
            keys=_keys(found),
        )
        if best is None or len(attempt.missing) < len(best.missing):
            best = attempt
    return best or NOTHING


def _description(place: GuessedFile | None) -> CertificateDescription | None:
    try:
        return None if place is None else describe(place.content)
    except CardDataError:
        return None


def _serials(found: Findings, own: CertificateDescription | None) -> list[str]:
    """Return what may be the card's number, as digits."""
    serials = [found.directory.token.serial] if found.directory else []
    if own is not None:
        serials += card_numbers(own)
    return [serial for serial in serials if serial.isalnum()]


def card_numbers(own: CertificateDescription) -> list[str]:
    """Return what a holder's certificate says that may be the card's number."""
    return [own.card_number or "", (own.serial_number or "").lstrip("0")]


def _identity(
    application: FoundApplication, serials: list[str], own: CertificateDescription | None
) -> tuple[ProfileIdentity | None, str]:
    for tag, sfi, where, text in _texts(application):
        identity = identity_in(text, serials, own, tag=tag, sfi=sfi)
        if identity is not None:
            return identity, where
    return None, ""


def _texts(application: FoundApplication) -> Iterator[tuple[int, int, str, str]]:
    """ASCII texts that may say what the card is: tag in the FCI, short identifier or place, and the text."""
    try:
        whole = [item for item in tlv.objects(application.fci) if item.tag == 0x6F]
        for item in whole[0].children if whole else ():
            if not item.constructed and item.value.isascii():
                yield item.tag, 0, "", item.value.decode("ascii")
    except CardDataError:
        pass
    for file in application.files:
        if file.content and len(file.content) <= _IDENTITY_MOST and file.content.isascii():
            where = _records_of(file) if file.records else ""
            yield 0, 0 if where else file.sfi, where, file.content.decode("ascii")
    for (asked, data), content in application.objects.items():
        if len(content) <= _IDENTITY_MOST and content.isascii():
            yield 0, 0, _object(asked, data), content.decode("ascii")


def identity_in(
    text: str, serials: Sequence[str], own: CertificateDescription | None, *, tag: int = 0, sfi: int = 0
) -> ProfileIdentity | None:
    """Return how `text` says what the card is, if it does: version, type and rank, and one of `serials`."""
    for serial in serials:
        # Before the number: version, type and rank, one character each.
        if len(serial) >= _SERIAL_LEAST and text.find(serial) == 3 and text[0] in "12" and text[:3].isalnum():
            return _identity_of(text, 3 + len(serial), own, tag=tag, sfi=sfi)
    return None


def _identity_of(
    text: str, end: int, own: CertificateDescription | None, *, tag: int, sfi: int
) -> ProfileIdentity:
    usual = profile.reference_identity()
    personnel, institution = usual.personnel, usual.institution
    secondary = usual.secondary
    if own is not None and own.subject_type in ("personnel", "institution"):
        other = usual.personnel if text[1] != usual.personnel else usual.institution
        mine = own.subject_type == "personnel"
        personnel, institution = (text[1], other) if mine else (other, text[1])
        if own.card_rank == "secondary":
            secondary = text[2]
    return ProfileIdentity(
        length=len(text),
        version=(0, 1),
        type=(1, 2),
        rank=(2, 3),
        serial=(3, end),
        personnel=personnel,
        institution=institution,
        secondary=secondary,
        fci_tag=tag,
        sfi=sfi,
    )


def _places(found: Findings, application: FoundApplication | None) -> list[GuessedFile]:
    """Every content, where the application has it itself, then where the directory and the others have it."""
    places = [place for one in found.applications for place in _own(one) if one is application]
    known = {b"", *(place.content for place in places)}
    places += [
        GuessedFile(f'path = "{path.hex(" ").upper()}"', file.content)
        for path, file in found.objects.items()
        if application is None or (file.path and file.content not in known)
    ]
    known |= {place.content for place in places}
    places += [
        GuessedFile(f'{place.where}, aid = "{one.aid.hex(" ").upper()}"', place.content)
        for one in found.applications
        for place in _own(one)
        if one is not application and place.content not in known
    ]
    return places


def _own(application: FoundApplication) -> Iterator[GuessedFile]:
    """Yield what an application's short identifiers and its objects lead to."""
    for file in application.files:
        if file.content:
            yield GuessedFile(_records_of(file) if file.records else f"sfi = {file.sfi}", file.content)
    for (asked, data), content in application.objects.items():
        yield GuessedFile(_object(asked, data), content)


def _records_of(file: FoundFile) -> str:
    return f"sfi = {file.sfi}, records = [1, 255]"


def _object(asked: int, data: bytes) -> str:
    with_data = f', object_data = "{data.hex(" ").upper()}"' if data else ""
    return f"object = 0x{asked:04X}{with_data}"


def _records(found: Findings, application: FoundApplication) -> tuple[GuessedFile | None, GuessedFile | None]:
    records = profile.reference().records
    basic = info = None
    for place in _places(found, application):
        if info is None:
            info = _info_in(place, records["info"])
            if info is not None:
                continue
        if basic is None and any(is_basic(place.content, name, records[name]) for name in BASIC_RECORDS):
            basic = place
    return basic, info


def _info_in(place: GuessedFile, layout: RecordLayout) -> GuessedFile | None:
    """Return where in a content the card information stands, None where it does not."""
    if is_info(place.content, layout):
        return place
    for at in range(min(len(place.content), _IDENTITY_MOST)):
        part = place.content[at : at + layout.length]
        if is_info(part, layout):
            return GuessedFile(f"{place.where}, skip = {at}, length = {layout.length}", part)
    return None


def _field(content: bytes, layout: RecordLayout, name: str) -> bytes:
    first, end = layout.fields[name]
    return content[first:end].strip(b" \x00")


def is_basic(content: bytes, name: str, layout: RecordLayout) -> bool:
    """Return whether a content is the basic data of that layout."""
    if len(content) != layout.length:
        return False
    if name == "institution":
        return _field(content, layout, "code").isalnum()
    birth = _field(content, layout, "birth").decode("ascii", "replace")
    return _field(content, layout, "sex") in (b"M", b"F") and roc_date(birth) is not None


def is_info(content: bytes, layout: RecordLayout) -> bool:
    """Return whether a content is the card information."""
    if len(content) != layout.length or not content.isascii():
        return False
    dates = (_field(content, layout, name).decode() for name in ("issued", "valid_from", "valid_to"))
    flags = (_field(content, layout, name) for name in ("generates_keys", "activated", "terminated"))
    return all(roc_date(date) for date in dates) and all(flag in (b"0", b"1") for flag in flags)


def _certificates(found: Findings, application: FoundApplication | None) -> dict[int, GuessedFile]:
    """Return the places of the certificates by HCA's numbers."""
    places = []
    for place in chain.from_iterable(map(_opened, _places(found, application))):
        if place.content[:1] == b"\x30":
            with suppress(CardDataError):
                der = place.content[: tlv.announced_length(place.content)]
                places.append(GuessedFile(place.where, der))
    return {number: places[at] for number, at in numbered([place.content for place in places]).items()}


def _opened(place: GuessedFile) -> Iterator[GuessedFile]:
    """Yield a content, what it is wrapped around, and what it was before it was compressed."""
    yield place
    content, tags = place.content, list[str]()
    with suppress(CardDataError):
        while content[:1] != b"\x30" and len(tags) < _WRAPPED_MOST:
            item, _ = tlv.read(content)
            content = item.value
            tags.append(f"0x{item.tag:02X}")
            yield GuessedFile(f"{place.where}, within = [{', '.join(tags)}]", content)
    for form, begins in _COMPRESSED.items():
        if place.content[:2] in begins:
            with suppress(CardDataError):
                plain = inflate(place.content, form, FILE_LIMIT)
                yield GuessedFile(f'{place.where}, compression = "{form}"', plain)


def _pin(found: Findings, pins: tuple[PinObject, ...]) -> PinObject | None:
    """Return the holder's PIN; never one that is sent encrypted."""
    keys = found.directory.private_keys if found.directory else ()
    return holder_pin((pin for pin in pins if not pin.protected), keys)


def _keys(found: Findings) -> tuple[ProfileKey, ...]:
    if found.directory is None:
        return ()
    keys = []
    for use in KeyUse:
        key = key_for(found.directory.private_keys, use)
        if key is None or key.reference is None:
            continue
        keys.append(
            ProfileKey(
                use=use, reference=key.reference, algorithm=algorithm_for(key, found.directory.token) or 0
            )
        )
    # Without a signature key there is nothing that a portal wants of the card.
    return tuple(keys) if any(key.use is KeyUse.SIGNATURE for key in keys) else ()
