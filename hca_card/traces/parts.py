"""The parts of a card profile in what a recorded card gave: application, identity, records, certificates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from hca_card import profile, tlv
from hca_card.certificate import CertificateDescription, describe
from hca_card.certificate_numbers import numbered
from hca_card.errors import CardDataError
from hca_card.model import KeyUse
from hca_card.pkcs15 import Directory, Pkcs15Card
from hca_card.pkcs15_directory import PinObject, PrivateKey
from hca_card.pkcs15_roles import holder_pin, key_for
from hca_card.probe.guess import BASIC_RECORDS, card_numbers, identity_in, is_basic, is_info
from hca_card.profile_format import ProfileIdentity
from hca_card.traces.contents import Content, Place, certificates, contents, places, within
from hca_card.traces.recorded_card import RecordedCard
from hca_card.traces.understanding import Understood
from pcsc.status import StatusError

_IDENTITY_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Parts:
    """What a profile is made of; None where the trace does not show it.

    Attributes:
        aid: the application.
        identity: where the card says what it is, in TOML besides its ranges.
        certificates: by HCA's number.
        basic: the basic data.
        info: the card information.
        directory: the card's PKCS#15 directory, as far as it was read.
    """

    aid: bytes
    identity: tuple[ProfileIdentity, str] | None
    certificates: dict[int, Place]
    basic: Place | None
    info: Place | None
    directory: Directory | None

    @property
    def pin(self) -> PinObject | None:
        """The holder's PIN as the directory describes it; never one that is sent encrypted."""
        if self.directory is None:
            return None
        plain = [one for one in self.directory.pins if not one.protected]
        return holder_pin(plain, self.directory.private_keys)

    def key(self, use: KeyUse) -> PrivateKey | None:
        """Return a key as the directory describes it."""
        found = key_for(self.directory.private_keys, use) if self.directory else None
        return found if found is not None and found.reference is not None else None


def parts_of(card: RecordedCard, understood: Understood) -> Parts:
    """Return what a recorded card shows of the parts of a profile."""
    found = contents(card)
    at = certificates(found)
    by_number = {number: at[place] for number, place in numbered([one.data for one in at]).items()}
    own = next((describe(by_number[number].data) for number in (1, 2) if number in by_number), None)
    aid = _application(card, understood, by_number)
    basic, info = _records(found)
    identity = _identity(card, aid, found, own)
    return Parts(aid, identity, by_number, basic, info, _directory(card))


def _directory(card: RecordedCard) -> Directory | None:
    try:
        opened = Pkcs15Card.open(card)
        return None if opened is None else opened.directory()
    except (CardDataError, StatusError):
        return None


def _records(found: Sequence[Content]) -> tuple[Place | None, Place | None]:
    """Return where basic data and card information are: as they stand, else as a part of something."""
    layouts = profile.reference().records
    length = layouts["info"].length
    info = next(
        (
            place
            for place in chain(places(found), within(found, length))
            if is_info(place.data, layouts["info"])
        ),
        None,
    )
    for name in BASIC_RECORDS:
        layout = layouts[name]
        # Nearly anything of its length could be an institution's: only as it stands.
        parts = () if name == "institution" else within(found, layout.length)
        for place in chain(places(found), parts):
            if is_basic(place.data, name, layout):
                return place, info
    return None, info


def _application(card: RecordedCard, understood: Understood, found: dict[int, Place]) -> bytes:
    """Return the application that the holder's certificate is in, else that of PIN and key."""
    candidates = [found[number].application for number in (1, 2) if number in found]
    candidates += [one.application for one in understood.keys]
    candidates += [] if understood.verified is None else [understood.verified.application]
    candidates += list(card.applications)[-1:]
    return next((aid for aid in candidates if aid in card.applications and 5 <= len(aid) <= 16), b"")


def _identity(
    card: RecordedCard, aid: bytes, found: Sequence[Content], own: CertificateDescription | None
) -> tuple[ProfileIdentity, str] | None:
    if own is None:
        return None
    for where, text in _texts(card, aid, found):
        identity = identity_in(text, card_numbers(own), own)
        if identity is not None:
            return identity, where
    return None


def _texts(card: RecordedCard, aid: bytes, found: Sequence[Content]) -> Iterator[tuple[str, str]]:
    """ASCII texts that may say what the card is, and where they are, in TOML."""
    try:
        fci = card.applications[aid].fci if aid in card.applications else b""
        for item in tlv.objects(fci):
            for child in item.children if item.tag == 0x6F else ():
                if not child.constructed and child.value.isascii():
                    yield f"fci_tag = 0x{child.tag:02X}", child.value.decode("ascii")
    except CardDataError:
        pass
    for place in places(found):
        if len(place.data) <= _IDENTITY_MOST and place.data.isascii():
            yield f"file = {place.toml(aid)}", place.data.decode("ascii")
