"""HCA cards (醫事人員卡, 醫事機構卡, 附卡) through a card profile: no byte of a card type is written here."""

from __future__ import annotations

from functools import cached_property
from typing import Final, Self

from hca_card import big5, iso7816, tlv
from hca_card.certificate import card_kind, describe
from hca_card.certificate_numbers import CERTIFICATE_INDEX
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
    Citizen,
    Holder,
    Institution,
    KeyUse,
    Metadata,
    Personnel,
)
from hca_card.pin_block import PinFormat
from hca_card.pin_use import PinUse
from hca_card.profile import record_layout
from hca_card.profile_channel import ProfileChannel
from hca_card.profile_files import ProfileFiles
from hca_card.profile_format import (
    Commands,
    FilePlace,
    KeyKind,
    Profile,
    ProfileCertificate,
    ProfileIdentity,
    Text,
)
from pcsc.apdu import Response
from pcsc.status import StatusError, StatusWord

CHIPS: Final = (b"PV_J2D081", b"PV_J3E082")
"""Historical bytes of the chips that HCA cards have; they say nothing of what is on a chip."""

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

    def __init__(self, files: ProfileFiles, profile: Profile, answer: Response) -> None:
        """Use `open`; `answer` is that to SELECT."""
        self._files = files
        self._channel = files.keys
        self._profile = profile
        # SELECT named the card as terminated.
        self._ended = answer.sw == StatusWord.FILE_TERMINATED
        self._known: dict[int, CardCertificate] = {}
        if profile.identity is None:
            self.kind, self.version, self.serial = self._by_certificate()
        else:
            text = _identity_text(files, profile.identity, answer)
            self.kind, self.version, self.serial = _identify(profile.identity, text)

    @classmethod
    def open(cls, channel: Channel, profile: Profile) -> Self | None:
        """SELECT the profile's application; None where the card has none of that AID.

        Raises:
            CardDataError: the application is there, and what it says of itself cannot be.
        """
        if profile.commands != Commands():
            channel = ProfileChannel(channel, profile.commands)
        answer = iso7816.select_aid(channel, profile.aid)
        if not answer.ok and answer.sw not in iso7816.FOUND:
            return None
        return cls(ProfileFiles(channel, profile), profile, answer)

    def metadata(self) -> Metadata:  # noqa: D102
        holder = self.holder()
        info = None if self._profile.files is None else self.info()
        return Metadata(self.kind, self.version, self.serial, holder, info)

    def holder(self) -> Holder | None:
        """Return the basic data record, or where the profile knows none the name in the certificate.

        Raises:
            CardDataError: it does not have the length of its layout.
        """
        if self._profile.files is None:
            name = describe(self.certificate(CERTIFICATE_INDEX[KeyUse.SIGNATURE]).der).common_name
            return None if name is None else Citizen(name)
        basic = self._profile.files.basic
        if self.kind is CardKind.PERSONNEL:
            facts = self._record(f"personnel-{self.version or '2'}", basic)
            return Personnel(**facts, category_text=CATEGORIES.get(facts["category"], ""))
        return Institution(**self._record("institution", basic))

    def info(self) -> CardInfo:
        """Return the card information record.

        Raises:
            CardDataError: it does not have the length of its layout, or a flag is neither 0 nor 1.
            UnsupportedError: the profile does not say where it is.
        """
        if self._profile.files is None:
            raise UnsupportedError("the card's profile does not say where its card information is")
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
        if index in self._known:
            return self._known[index]
        entry = self._certificate_entry(index)
        if entry is None:
            raise ObjectMissingError(f"this card has no certificate {index}")
        return self._read_certificate(entry)

    def still_has(self, index: int, certificate: bytes) -> bool:  # noqa: D102
        entry = self._certificate_entry(index)
        told = None
        if entry is not None and index not in self._known:
            told = self._files.begins_as(entry.file, certificate)
        return super().still_has(index, certificate) if told is None else told

    def takes_keypad(self) -> bool:  # noqa: D102
        # A keypad sends its command by itself: as the standard has it, to what is selected.
        return not (self._profile.commands.pin_class or self._profile.pin.aid) and super().takes_keypad()

    @cached_property
    def _pin(self) -> PinUse:
        pin = self._profile.pin
        return PinUse(
            self._channel,
            reference=pin.reference,
            form=pin.format,
            reselect=self._files.select_keys,
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
                return KeyReference(
                    key.reference,
                    key.algorithm or None,
                    key.bits,
                    key.kind is KeyKind.EC,
                    key.pss or None,
                    key,
                )
        return None

    def _certificate_entry(self, index: int) -> ProfileCertificate | None:
        for entry in self._profile.certificates:
            if entry.index == index and self._variant not in entry.missing_on:
                return entry
        return None

    def _read_certificate(self, entry: ProfileCertificate) -> CardCertificate:
        with iso7816.missing_object():
            der = self._files.read(entry.file, der=True)
        return CardCertificate(entry.index, entry.use, iso7816.require_certificate(der))

    def _by_certificate(self) -> tuple[CardKind, str, str]:
        """Return kind, version and serial as far as the holder's certificate says them."""
        for entry in sorted(self._profile.certificates, key=lambda entry: entry.index):
            if entry.index in CERTIFICATE_INDEX.values():
                found = self._read_certificate(entry)
                self._known[entry.index] = found
                facts = describe(found.der)
                serial = facts.card_number or facts.serial_number or facts.serial_hex
                return card_kind(facts), "", serial
        raise CardDataError("the card's profile knows no certificate that would say what card it is")

    def _record(self, name: str, place: FilePlace) -> dict[str, str]:
        layout = record_layout(self._profile, name)
        raw = self._files.read(place, size=layout.length)
        return {field: _text(raw[first:end], layout.text) for field, (first, end) in layout.fields.items()}

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


def _identity_text(files: ProfileFiles, identity: ProfileIdentity, answer: Response) -> str:
    raw: bytes | None
    if identity.fci_tag:
        raw = tlv.find(answer.data, 0x6F, identity.fci_tag)
    else:
        raw = files.read(identity.file or FilePlace(sfi=identity.sfi), size=identity.length)
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


def _text(field: bytes, written: Text) -> str:
    if written is Text.BIG5:
        return big5.decode(field)
    return big5.printable(field.decode(written, "replace").strip("\0 \N{IDEOGRAPHIC SPACE}"))
