"""HCA cards (醫事人員卡, 醫事機構卡, 附卡) through a card profile: no byte of a card type is written here."""

from __future__ import annotations

from functools import cached_property
from typing import Final, Self

from hca_card import big5, iso7816, tlv
from hca_card.errors import (
    CardDataError,
    CardError,
    NotActivatedError,
    ObjectMissingError,
    TerminatedError,
    UnsupportedError,
)
from hca_card.iso7816_card import Iso7816Card, KeyReference
from hca_card.model import (
    CardCertificate,
    CardInfo,
    CardKind,
    Channel,
    Holder,
    Institution,
    KeyUse,
    Metadata,
    Personnel,
)
from hca_card.pin_block import PinFormat
from hca_card.pin_use import PinUse
from hca_card.profile import FilePlace, Profile, ProfileIdentity
from pcsc.apdu import Response
from pcsc.status import StatusError, StatusWord

CATEGORIES: Final = {
    "1": "語言治療師",
    "2": "牙體技術師",
    "3": "聽力師",
    "4": "牙體技術生",
    "5": "驗光師",
    "6": "驗光生",
    "A": "西醫師",
    "B": "中醫師",
    "C": "牙醫師",
    "D": "藥師",
    "E": "藥劑生",
    "F": "護理師",
    "G": "護士",
    "H": "助產士",
    "I": "助產師",
    "J": "醫事檢驗師",
    "K": "醫事檢驗生",
    "L": "鑲牙生",
    "M": "中藥員",
    "N": "齒模員",
    "O": "非醫事人員",
    "P": "接骨員",
    "Q": "物理治療師",
    "R": "職能治療師",
    "S": "醫事放射師",
    "T": "醫事放射士",
    "U": "物理治療生",
    "V": "呼吸治療師",
    "W": "職能治療生",
    "X": "諮商心理師",
    "Y": "臨床心理師",
    "Z": "營養師",
}
"""What the category character very probably means: the Ministry of Health and Welfare's public list."""


class HcaCard(Iso7816Card):
    """An HCA card of one profile, selected."""

    def __init__(
        self, channel: Channel, profile: Profile, kind: CardKind, version: str, serial: str, *, ended: bool
    ) -> None:
        """Use `open`; `ended` says that SELECT named the card as terminated."""
        self.kind = kind
        self.serial = serial
        self.version = version
        self._channel = channel
        self._profile = profile
        self._ended = ended

    @classmethod
    def open(cls, channel: Channel, profile: Profile) -> Self | None:
        """SELECT the profile's application; None where the card has none of that AID.

        Raises:
            CardDataError: the application is there, and what it says of itself cannot be.
        """
        answer = iso7816.select_aid(channel, profile.aid)
        if not answer.ok and answer.sw not in iso7816.FOUND:
            return None
        identity = profile.identity
        text = _identity_text(channel, identity, answer)
        kind, version, serial = _identify(identity, text)
        return cls(channel, profile, kind, version, serial, ended=answer.sw == StatusWord.FILE_TERMINATED)

    def metadata(self) -> Metadata:  # noqa: D102
        return Metadata(self.kind, self.version, self.serial, self.holder(), self.info())

    def holder(self) -> Holder:
        """Return the basic data record.

        Raises:
            CardDataError: it does not have the length of its layout.
        """
        if self.kind is CardKind.PERSONNEL:
            facts = self._record(f"personnel-{self.version}", self._profile.files.basic)
            return Personnel(**facts, category_text=CATEGORIES.get(facts["category"], ""))
        return Institution(**self._record("institution", self._profile.files.basic))

    def info(self) -> CardInfo:
        """Return the card information record.

        Raises:
            CardDataError: it does not have the length of its layout, or a flag is neither 0 nor 1.
        """
        facts = self._record("info", self._profile.files.info)
        return CardInfo(
            generates_keys=_flag(facts["generates_keys"]),
            issued=facts["issued"],
            valid_from=facts["valid_from"],
            valid_to=facts["valid_to"],
            activated=_flag(facts["activated"]),
            terminated=_flag(facts["terminated"]),
        )

    def certificate_indexes(self) -> tuple[int, ...]:  # noqa: D102
        return tuple(
            sorted(
                entry.index for entry in self._profile.certificates if self._variant not in entry.missing_on
            )
        )

    def certificate(self, index: int) -> CardCertificate:  # noqa: D102
        for entry in self._profile.certificates:
            if entry.index == index and self._variant not in entry.missing_on:
                with iso7816.missing_object():
                    der = self._read(entry.file, der=True)
                return CardCertificate(index, entry.use, iso7816.require_certificate(der))
        raise ObjectMissingError(f"this card has no certificate {index}")

    @cached_property
    def _pin(self) -> PinUse:
        pin = self._profile.pin
        return PinUse(
            self._channel,
            reference=pin.reference,
            form=pin.format,
            reselect=self._reselect,
            why_refused=self._why_refused,
            tries=pin.tries,
            status_by=pin.status,
            drop_by=pin.drop,
        )

    def _puk_form(self) -> PinFormat:
        if self._profile.puk is None:
            raise UnsupportedError("this card takes no PUK")
        return self._profile.puk.format

    @property
    def _variant(self) -> str:
        kind = "personnel" if self.kind is CardKind.PERSONNEL else "institution"
        return f"{kind}-{self.version}"

    def _find_key(self, use: KeyUse) -> KeyReference | None:
        for key in self._profile.keys:
            if key.use is use and self._variant not in key.missing_on:
                return KeyReference(key.reference, key.algorithm or None)
        return None

    def _record(self, layout_name: str, place: FilePlace) -> dict[str, str]:
        layout = self._profile.records[layout_name]
        raw = self._read(place, size=layout.length)
        return {name: big5.decode(raw[first:end]) for name, (first, end) in layout.fields.items()}

    def _read(self, place: FilePlace, *, size: int | None = None, der: bool = False) -> bytes:
        if place.sfi:
            return iso7816.read_binary(self._channel, sfi=place.sfi, size=size, der=der)
        return iso7816.read_file(self._channel, place.path, length=size, der=der)

    def _reselect(self) -> None:
        iso7816.select_aid(self._channel, self._profile.aid).require(*iso7816.FOUND)

    def _require_in_use(self) -> None:
        if self._ended:
            raise TerminatedError

    def _why_refused(self) -> None:
        try:
            info = self.info()
        except (CardError, StatusError):
            return
        if info.terminated:
            raise TerminatedError
        if not info.activated:
            raise NotActivatedError


def _identity_text(channel: Channel, identity: ProfileIdentity, answer: Response) -> str:
    raw: bytes | None
    if identity.fci_tag:
        raw = tlv.find(answer.data, 0x6F, identity.fci_tag)
    else:
        raw = iso7816.read_binary(channel, sfi=identity.sfi, size=identity.length)
    if raw is None or len(raw) != identity.length or not raw.isascii():
        raise CardDataError("the card does not say what it is in the way of its profile")
    return raw.decode("ascii")


def _identify(identity: ProfileIdentity, text: str) -> tuple[CardKind, str, str]:
    version, kind, rank, serial = (
        text[slice(*part)].strip()
        for part in (identity.version, identity.type, identity.rank, identity.serial)
    )
    if version not in ("1", "2"):
        raise CardDataError("the card has a version that is neither 1 nor 2")
    if not serial.isalnum():
        raise CardDataError("the card has no card number")
    if kind == identity.personnel:
        return CardKind.PERSONNEL, version, serial
    if kind != identity.institution:
        raise CardDataError("the card is neither a personnel nor an institution card")
    secondary = bool(identity.secondary) and rank == identity.secondary
    return CardKind.INSTITUTION_SECONDARY if secondary else CardKind.INSTITUTION, version, serial


def _flag(character: str) -> bool:
    if character not in ("0", "1"):
        raise CardDataError("a flag of the card information is neither 0 nor 1")
    return character == "1"
