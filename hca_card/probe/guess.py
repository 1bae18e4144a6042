"""From what a probe has found to the parts of a card profile: what the card says, and what is guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hca_card import profile, tlv
from hca_card.certificate import CertificateDescription, describe
from hca_card.certificate_numbers import numbered
from hca_card.errors import CardDataError
from hca_card.model import KeyUse, roc_date
from hca_card.pkcs15_directory import PinObject
from hca_card.pkcs15_roles import algorithm_for, holder_pin, key_for
from hca_card.probe.found import Findings, FoundApplication
from hca_card.probe.names import KNOWN
from hca_card.profile_format import ProfileIdentity, ProfileKey, RecordLayout

BASIC_RECORDS: Final = ("personnel-2", "personnel-1", "institution")
_IDENTITY_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class GuessedFile:
    """Where a file is, and what it holds.

    Attributes:
        sfi: short file identifier; 0 where only the path is known.
        path: its path.
        content: of it.
    """

    sfi: int
    path: bytes
    content: bytes

    @property
    def toml(self) -> str:
        """As a profile writes it."""
        return f"{{ sfi = {self.sfi} }}" if self.sfi else f'{{ path = "{self.path.hex(" ").upper()}" }}'


@dataclass(frozen=True, slots=True)
class Guess:
    """The parts of a profile; None where the card did not say and nothing sensible can be guessed."""

    application: FoundApplication | None
    identity: ProfileIdentity | None
    basic: GuessedFile | None
    info: GuessedFile | None
    certificates: Mapping[int, GuessedFile]
    pin: PinObject | None
    puk: PinObject | None
    keys: tuple[ProfileKey, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts that somebody must fill in."""
        parts = {
            "identity": self.identity,
            "files: basic": self.basic,
            "files: info": self.info,
            "certificates": self.certificates.get(1),
            "pin": self.pin,
            "keys": self.keys or None,
        }
        return tuple(name for name, part in parts.items() if part is None)


def guess(found: Findings) -> Guess:
    """Return the parts of a profile for the application that looks most like one of an HCA card."""
    anywhere = _certificates(found, None)
    own = _description(anywhere.get(1)) or _description(anywhere.get(2))
    serials = _serials(found, own)
    best: Guess | None = None
    for application in sorted(found.applications, key=lambda one: one.aid in KNOWN):
        basic, info = _records(found, application)
        identity = _identity(application, serials, own)
        pins = found.directory.pins if found.directory else ()
        attempt = Guess(
            application=application,
            identity=identity,
            basic=basic,
            info=info,
            certificates=_certificates(found, application),
            pin=_pin(found, pins),
            puk=next((one for one in pins if one.unblocking and not one.officer and not one.protected), None),
            keys=_keys(found),
        )
        if best is None or len(attempt.missing) < len(best.missing):
            best = attempt
    return best or Guess(None, None, None, None, {}, None, None, ())


def _description(place: GuessedFile | None) -> CertificateDescription | None:
    try:
        return None if place is None else describe(place.content)
    except CardDataError:
        return None


def _serials(found: Findings, own: CertificateDescription | None) -> list[str]:
    """Return what may be the card's number, as digits."""
    serials = [found.directory.token.serial] if found.directory else []
    if own is not None:
        serials += [own.card_number or "", (own.serial_number or "").lstrip("0")]
    return [serial for serial in serials if len(serial) >= 6 and serial.isalnum()]


def _identity(
    application: FoundApplication, serials: list[str], own: CertificateDescription | None
) -> ProfileIdentity | None:
    for tag, sfi, text in _texts(application):
        for serial in serials:
            at = text.find(serial)
            # Before the number: version, type and rank, one character each.
            if at == 3 and text[0] in "12" and text[:3].isalnum():
                return identity_of(text, at + len(serial), own, tag=tag, sfi=sfi)
    return None


def _texts(application: FoundApplication) -> Iterator[tuple[int, int, str]]:
    """ASCII texts that may say what the card is: tag in the FCI or short identifier, and the text."""
    try:
        whole = [item for item in tlv.objects(application.fci) if item.tag == 0x6F]
        for item in whole[0].children if whole else ():
            if not item.constructed and item.value.isascii():
                yield item.tag, 0, item.value.decode("ascii")
    except CardDataError:
        pass
    for file in application.files:
        if file.content and len(file.content) <= _IDENTITY_MOST and file.content.isascii():
            yield 0, file.sfi, file.content.decode("ascii")


def identity_of(
    text: str, end: int, own: CertificateDescription | None, *, tag: int, sfi: int
) -> ProfileIdentity:
    """Return how `text` says what the card is: version, type and rank, and the number that ends at `end`."""
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
    """Every file with content, by short identifier where the application has one for it."""
    applications = found.applications if application is None else [application]
    files = [file for one in applications for file in one.files if file.content and not file.records]
    by_sfi = [GuessedFile(file.sfi, b"", file.content) for file in files]
    known = {b"", *(place.content for place in by_sfi)}
    by_path = [
        GuessedFile(0, path, file.content)
        for path, file in found.objects.items()
        if application is None or (file.path and file.content not in known)
    ]
    return [*by_sfi, *by_path]


def _records(found: Findings, application: FoundApplication) -> tuple[GuessedFile | None, GuessedFile | None]:
    records = profile.reference().records
    basic = info = None
    for place in _places(found, application):
        if info is None and is_info(place.content, records["info"]):
            info = place
        elif basic is None and any(is_basic(place.content, name, records[name]) for name in BASIC_RECORDS):
            basic = place
    return basic, info


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
    for place in _places(found, application):
        if place.content[:1] == b"\x30":
            with suppress(CardDataError):
                der = place.content[: tlv.announced_length(place.content)]
                places.append(GuessedFile(place.sfi, place.path, der))
    return {number: places[at] for number, at in numbered([place.content for place in places]).items()}


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
