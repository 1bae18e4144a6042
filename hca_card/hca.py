"""HCA cards (醫事人員卡, 醫事機構卡, 附卡) through a card profile: no byte of a card type is written here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from hca_card.model import (
    Card,
    CardCertificate,
    CardInfo,
    CardKind,
    Channel,
    Holder,
    Institution,
    Keypad,
    KeyUse,
    Metadata,
    Personnel,
    PinStatus,
)
from hca_card.pin import Pin
from hca_card.pin_block import PinFormat
from hca_card.pin_use import PinUse
from hca_card.profile import FilePlace, Profile, ProfileIdentity, ProfileKey
from pcsc.apdu import Response
from pcsc.status import StatusError, StatusWord

SIGNATURE_TEMPLATE: Final = 0xB6
CONFIDENTIALITY_TEMPLATE: Final = 0xB8

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


class HcaCard(Card):
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
        self._pin = PinUse(
            channel,
            reference=profile.pin.reference,
            form=profile.pin.format,
            reselect=self._reselect,
            why_refused=self._why_refused,
            tries=profile.pin.tries,
            status_by=profile.pin.status,
            drop_by=profile.pin.drop,
        )

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
        """The basic data record.

        Raises:
            CardDataError: it does not have the length of its layout.
        """
        if self.kind is CardKind.PERSONNEL:
            facts = self._record(f"personnel-{self.version}", self._profile.files.basic)
            return Personnel(**facts, category_text=CATEGORIES.get(facts["category"], ""))
        return Institution(**self._record("institution", self._profile.files.basic))

    def info(self) -> CardInfo:
        """The card information record.

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
                return CardCertificate(index, entry.use, self._certificate(entry.file, index))
        raise ObjectMissingError(f"this card has no certificate {index}")

    def pin_status(self) -> PinStatus:  # noqa: D102
        self._require_in_use()
        return self._pin.status()

    def verify(self, pin: Pin) -> None:  # noqa: D102
        self._require_in_use()
        self._pin.verify(pin)

    def takes_keypad(self) -> bool:  # noqa: D102
        return self._pin.takes_keypad

    def verify_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._require_in_use()
        self._pin.verify_on_keypad(keypad)

    def change_pin(self, old: Pin, new: Pin) -> None:  # noqa: D102
        self._require_in_use()
        self._pin.change(old, new)

    def change_pin_on_keypad(self, keypad: Keypad) -> None:  # noqa: D102
        self._require_in_use()
        self._pin.change_on_keypad(keypad)

    def puk_status(self) -> PinStatus:  # noqa: D102
        form = self._puk_format
        return PinStatus(None, form.min_length, form.max_length)

    def unblock_pin(self, puk: Pin, new: Pin) -> None:  # noqa: D102
        self._require_in_use()
        self._pin.unblock(puk, self._puk_format, new)

    def has_key(self, use: KeyUse) -> bool:  # noqa: D102
        return self._find_key(use) is not None

    def sign(self, use: KeyUse, digest_info: bytes) -> bytes:  # noqa: D102
        key = self._key(use)
        with self._worded():
            iso7816.set_security_environment(
                self._channel, SIGNATURE_TEMPLATE, key.reference, key.algorithm or None
            )
            return iso7816.compute_digital_signature(self._channel, digest_info)

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:  # noqa: D102
        key = self._key(use)
        with self._worded():
            iso7816.set_security_environment(
                self._channel, CONFIDENTIALITY_TEMPLATE, key.reference, key.algorithm or None
            )
            return iso7816.decipher(self._channel, cipher)

    @property
    def _puk_format(self) -> PinFormat:
        if self._profile.puk is None:
            raise UnsupportedError("this card takes no PUK")
        return self._profile.puk.format

    @property
    def _variant(self) -> str:
        kind = "personnel" if self.kind is CardKind.PERSONNEL else "institution"
        return f"{kind}-{self.version}"

    def _find_key(self, use: KeyUse) -> ProfileKey | None:
        for key in self._profile.keys:
            if key.use is use and self._variant not in key.missing_on:
                return key
        return None

    def _key(self, use: KeyUse) -> ProfileKey:
        """The key, once everything is known that would make the card refuse it."""
        self._require_in_use()
        key = self._find_key(use)
        if key is None:
            raise ObjectMissingError(f"this card has no {use} key")
        self._pin.require_verified()
        return key

    def _certificate(self, place: FilePlace, index: int) -> bytes:
        try:
            der = self._read(place, der=True)
        except StatusError as error:
            if iso7816.missing(error):
                raise ObjectMissingError(f"this card has no certificate {index}") from error
            raise
        if not der:
            raise ObjectMissingError(f"the place of certificate {index} is empty")
        if der[0] != 0x30:
            raise CardDataError(f"certificate {index} is no certificate")
        return der

    def _record(self, layout_name: str, place: FilePlace) -> dict[str, str]:
        layout = self._profile.records[layout_name]
        raw = self._read(place, size=layout.length)
        return {name: big5.decode(raw[first:end]) for name, (first, end) in layout.fields.items()}

    def _read(self, place: FilePlace, *, size: int | None = None, der: bool = False) -> bytes:
        if place.sfi:
            return iso7816.read_binary(self._channel, sfi=place.sfi, size=size, der=der)
        iso7816.select_file(self._channel, place.path)
        return iso7816.read_binary(self._channel, size=size, der=der)

    def _reselect(self) -> None:
        iso7816.select_aid(self._channel, self._profile.aid).require(*iso7816.FOUND)

    def _require_in_use(self) -> None:
        if self._ended:
            raise TerminatedError

    @contextmanager
    def _worded(self) -> Iterator[None]:
        """Turn 6984 and 6985 into the card's own reason, read only now that it is needed."""
        try:
            yield
        except StatusError as error:
            if error.sw in (StatusWord.DATA_UNUSABLE, StatusWord.CONDITIONS):
                self._why_refused()
            raise

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
