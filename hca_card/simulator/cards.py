"""HCA and citizen cards, built of files, applications, certificates and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from hca_card.model import Institution, Personnel
from hca_card.simulator import pkcs15, templates
from hca_card.simulator.ca import SimulatedIdentity, SimulatorCa
from hca_card.simulator.ec import EcKey
from hca_card.simulator.file_commands import FileCommands
from hca_card.simulator.files import (
    DF_PKCS15,
    MF_ID,
    Application,
    DedicatedFile,
    ElementaryFile,
    application,
)
from hca_card.simulator.iso_card import IsoCard
from hca_card.simulator.key_commands import (
    ALGORITHM_ECDSA,
    ALGORITHM_RSA_PSS,
    ENCRYPTION_KEY,
    SIGNATURE_KEY,
    CardKey,
)
from hca_card.simulator.persons import (
    Validity,
    card_info_record,
    current_validity,
    institution_record,
    past_validity,
    personnel_record,
)
from hca_card.simulator.security import (
    PIN_LENGTHS,
    PIN_REFERENCE,
    PUK_LENGTHS,
    PUK_REFERENCE,
    Secret,
)
from hca_card.simulator.templates import ISSUING, ROOT, SIBLING, Template, Use

PIN: Final = b"123456"
PUK: Final = b"12345678"
PIN_TRIES: Final = 3
PUK_TRIES: Final = 10

HCA_ATR: Final = bytes.fromhex("3BF9180000 8131FE45 50565F4A3244303831 B6")
CITIZEN_ATR: Final = bytes.fromhex("3BFA180000 8131FE45 48434153494D43545A4E F7")
PKCS15_ATR: Final = bytes.fromhex("3BFA180000 8131FE45 48434153494D504B3135 EB")

HCA_AID: Final = bytes.fromhex("F048434141 47454E5401")
# OpenSC has no driver for a plain ISO/IEC 7816-15 card. To be judged by it, the cards speak the wire
# language of IsoApplet: its AID, and its version 0.6 with no optional feature as the answer.
_ISO_APPLET_AID: Final = bytes.fromhex("F276A288BCFBA69D34F31001")
_ISO_APPLET_VERSION: Final = bytes.fromhex("000600")

_CKM_RSA_PKCS_PSS, _CKM_ECDSA = 0x000D, 0x1041
_EF_PUBLIC_KEY: Final = 0x4200


@dataclass(frozen=True, slots=True)
class Wire:
    """The bytes of a card type; the defaults are those of the reference profile.

    Attributes:
        atr: answer to reset.
        aid: of the HCA application.
        identity_tag: in the FCI, before the text that says what the card is.
        certificate: file identifier and short identifier of certificate 0; the others follow.
        basic: the same of the basic data.
        info: the same of the card information.
        references: of PIN and PUK.
        keys: references of the signature and of the encryption key.
    """

    atr: bytes = HCA_ATR
    aid: bytes = HCA_AID
    identity_tag: int = 0x53
    certificate: tuple[int, int] = (0x4300, 0x0A)
    basic: tuple[int, int] = (0x4503, 0x03)
    info: tuple[int, int] = (0x4504, 0x04)
    references: tuple[int, int] = (PIN_REFERENCE, PUK_REFERENCE)
    keys: tuple[int, int] = (SIGNATURE_KEY, ENCRYPTION_KEY)


@dataclass(frozen=True, slots=True)
class HcaBlueprint:
    """What an HCA card is.

    Attributes:
        number: card number, 12 digits.
        holder: who or what it was issued to.
        version: "1" or "2".
        secondary: an institution's 附卡.
        expired: card and certificates ended before today.
        days_left: how many more they last; None as most do.
        activated: opened for use (已開卡).
        terminated: no longer in use.
        pin_tries: how many the PIN has left.
        rewrite: changes an EF before it is put on the card.
        wire: the bytes of its type.
    """

    number: str
    holder: Personnel | Institution
    version: str = "2"
    secondary: bool = False
    expired: bool = False
    days_left: int | None = None
    activated: bool = True
    terminated: bool = False
    pin_tries: int = PIN_TRIES
    rewrite: Callable[[ElementaryFile], ElementaryFile] = lambda file: file
    wire: Wire = Wire()

    def build(self, ca: SimulatorCa) -> IsoCard:
        """Return the card, with certificates from `ca`."""
        validity = past_validity(today()) if self.expired else current_validity(today())
        if self.days_left is not None:
            validity = replace(validity, last=today() + timedelta(days=self.days_left))
        authorities = (ISSUING, SIBLING, ROOT) if self.version == "2" else (ISSUING,)
        wire = self.wire
        stock = Stock.issue(ca, self._templates(validity), authorities, wire)
        records = (
            ElementaryFile(wire.basic[0], self._basic_data(), wire.basic[1]),
            ElementaryFile(wire.info[0], self._card_info(validity), wire.info[1]),
        )
        entries = pkcs15.data_object("Basic data", "HCA", wire.basic[0])
        entries += pkcs15.data_object("Card information", "HCA", wire.info[0])
        files = (*stock.files(), *records, *stock.directory("HCA card", "HCA", self.number, entries))
        df = DedicatedFile(DF_PKCS15, tuple(map(self.rewrite, files)))
        kind = "1" if isinstance(self.holder, Personnel) else "0"
        rank = "2" if self.secondary else "1"
        identity = f"{self.version}{kind}{rank}{self.number}".encode("ascii")
        mf, applications = _tree(df, application(wire.aid, "HCA card", df, identity, tag=wire.identity_tag))
        return IsoCard(
            wire.atr,
            FileCommands(mf, applications, terminated=self.terminated),
            stock.keys(),
            pin=Secret(PIN, PIN_LENGTHS, PIN_TRIES, self.pin_tries),
            puk=Secret(PUK, PUK_LENGTHS, PUK_TRIES),
            references=wire.references,
            usable=self.activated and not self.terminated,
        )

    def _templates(self, validity: Validity) -> tuple[Template, ...]:
        if isinstance(self.holder, Personnel):
            return templates.personnel(self.number, validity, name=self.holder.name, version=self.version)
        return templates.institution(self.number, validity, secondary=self.secondary, version=self.version)

    def _basic_data(self) -> bytes:
        if isinstance(self.holder, Personnel):
            return personnel_record(self.holder, self.version)
        return institution_record(self.holder)

    def _card_info(self, validity: Validity) -> bytes:
        return card_info_record(validity, activated=self.activated, terminated=self.terminated)


@dataclass(frozen=True, slots=True)
class CitizenBlueprint:
    """A card in the manner of the citizen certificate (自然人憑證), known by its PKCS#15 directory alone.

    Attributes:
        number: card number, 16 digits.
    """

    number: str

    def build(self, ca: SimulatorCa) -> IsoCard:
        """Return the card, with certificates from `ca`."""
        issued = templates.citizen(self.number, current_validity(today()))
        return _directory_card(CITIZEN_ATR, ca, issued, "Citizen", self.number)


@dataclass(frozen=True, slots=True)
class Pkcs15Blueprint:
    """A card that nothing is known of but its PKCS#15 directory, of a person with other keys than RSA 2048.

    Attributes:
        number: card number, 12 digits.
        bits: length of its keys, as in `Template`.
        pss: its key for signatures makes RSA-PSS alone.
        agreeing: it knows ECDH.
    """

    number: str
    bits: int
    pss: bool = False
    agreeing: bool = False

    def build(self, ca: SimulatorCa) -> IsoCard:
        """Return the card, with certificates from `ca`."""
        certificates = templates.personnel(self.number, current_validity(today()))
        issued = templates.of_key(certificates, self.bits, pss=self.pss, agreeing=self.agreeing)
        return _directory_card(PKCS15_ATR, ca, issued, "Personal", self.number)


def _directory_card(
    atr: bytes, ca: SimulatorCa, issued: tuple[Template, ...], label: str, number: str
) -> IsoCard:
    stock = Stock.issue(ca, issued, (ISSUING,))
    files = (*stock.files(), *stock.directory(f"{label} card", label, number))
    return IsoCard(
        atr,
        FileCommands(*_tree(DedicatedFile(DF_PKCS15, files))),
        stock.keys(),
        pin=Secret(PIN, PIN_LENGTHS, PIN_TRIES),
        puk=Secret(PUK, PUK_LENGTHS, PUK_TRIES),
    )


def today() -> date:
    """Return the day on which cards are made."""
    return datetime.now(UTC).date()


def _tree(df: DedicatedFile, *more: Application) -> tuple[DedicatedFile, tuple[Application, ...]]:
    """Return the MF over `df` with EF.DIR, and the applications: PKCS#15, `more`, and OpenSC's."""
    listed = (application(pkcs15.AID, "PKCS#15", df), *more)
    ef_dir = b"".join(pkcs15.application_template(each.aid, each.label) for each in listed)
    mf = DedicatedFile(MF_ID, (ElementaryFile(pkcs15.EF_DIR, ef_dir, pkcs15.SFI_DIR), df))
    return mf, (*listed, Application(_ISO_APPLET_AID, "IsoApplet", mf, _ISO_APPLET_VERSION))


def _usage(slot: _Slot, key: CardKey) -> tuple[int, ...]:
    """Return what a private key is for: on a curve, that for encryption agrees on keys."""
    agrees = isinstance(key, EcKey) and slot.index == _SLOTS[Use.ENCRYPTION].index
    return pkcs15.DERIVE_USAGE if agrees else slot.private_usage


def _algorithms(*, curve: bool, pss: bool) -> bytes:
    """Return what TokenInfo lists besides PKCS#1 v1.5, which it lists anyway."""
    ecdsa = pkcs15.algorithm(1, _CKM_ECDSA, ALGORITHM_ECDSA) if curve else b""
    return ecdsa + (pkcs15.algorithm(2, _CKM_RSA_PKCS_PSS, ALGORITHM_RSA_PSS) if pss else b"")


@dataclass(frozen=True, slots=True)
class _Slot:
    """HCA's numbers of certificates and key pairs, and how the directory shows them."""

    index: int
    name: str
    reference: int = 0
    private_usage: tuple[int, ...] = ()
    public_usage: tuple[int, ...] = ()


_SLOTS: Final = {
    Use.SIGNATURE: _Slot(1, "signature", 0, pkcs15.SIGN_USAGE, pkcs15.VERIFY_USAGE),
    Use.ENCRYPTION: _Slot(2, "encryption", 0, pkcs15.DECIPHER_USAGE, pkcs15.ENCIPHER_USAGE),
}
_AUTHORITY_SLOTS: Final = {ISSUING: _Slot(0, "CA"), SIBLING: _Slot(3, "GCA"), ROOT: _Slot(4, "GRCA")}


@dataclass(frozen=True, slots=True)
class Stock:
    """The certificates on a card, its holder's own first, and the private keys to those.

    `templates` are those of its holder.
    """

    own: Sequence[tuple[_Slot, SimulatedIdentity, CardKey]]
    authorities: Sequence[tuple[_Slot, SimulatedIdentity]]
    templates: Sequence[Template]
    wire: Wire

    @classmethod
    def issue(
        cls,
        ca: SimulatorCa,
        own: Sequence[Template],
        authorities: Sequence[Template],
        wire: Wire | None = None,
    ) -> Stock:
        """Have them made."""
        wire = wire or Wire()
        references = dict(zip((Use.SIGNATURE, Use.ENCRYPTION), wire.keys, strict=True))
        slots = {use: replace(slot, reference=references[use]) for use, slot in _SLOTS.items()}
        identities = ca.identities([*own, *authorities])
        mine, theirs = identities[: len(own)], identities[len(own) :]
        return cls(
            [
                (slots[each.use], identity, identity.card_key())
                for each, identity in zip(own, mine, strict=True)
            ],
            [(_AUTHORITY_SLOTS[each], identity) for each, identity in zip(authorities, theirs, strict=True)],
            own,
            wire,
        )

    def keys(self) -> dict[int, CardKey]:
        """Return the private keys by reference."""
        return {slot.reference: key for slot, _, key in self.own}

    def files(self) -> tuple[ElementaryFile, ...]:
        """Return the EFs with certificates and with public keys."""
        fid, sfi = self.wire.certificate
        certificates = [(slot, identity) for slot, identity, _ in self.own] + list(self.authorities)
        return (
            *(
                ElementaryFile(fid + slot.index, identity.certificate, sfi + slot.index)
                for slot, identity in certificates
            ),
            *(ElementaryFile(_EF_PUBLIC_KEY + slot.index, key.public()) for slot, _, key in self.own),
        )

    def directory(
        self, label: str, prefix: str, serial: str, data: bytes = b""
    ) -> tuple[ElementaryFile, ...]:
        """Return the EFs of the PKCS#15 directory over `files`, and over what `data` lists."""
        slots = [(slot, False) for slot, *_ in self.own] + [(slot, True) for slot, _ in self.authorities]
        first = self.wire.certificate[0]
        keys = [(slot, f"{prefix} {slot.name} key", key) for slot, _, key in self.own]
        curve = any(isinstance(key, EcKey) for *_, key in keys)
        return pkcs15.directory_files(
            label,
            serial,
            private_keys=b"".join(
                pkcs15.private_key(
                    slot.index, name, _usage(slot, key), slot.reference, bits=key.bits, curve=curve
                )
                for slot, name, key in keys
            ),
            public_keys=b"".join(
                pkcs15.public_key(
                    slot.index, name, slot.public_usage, _EF_PUBLIC_KEY + slot.index, key.bits, curve=curve
                )
                for slot, name, key in keys
            ),
            certificates=b"".join(
                pkcs15.certificate(
                    slot.index,
                    f"{prefix} {slot.name} certificate",
                    pkcs15.path(first + slot.index),
                    authority=authority,
                )
                for slot, authority in slots
            ),
            data=data,
            references=self.wire.references,
            algorithms=_algorithms(curve=curve, pss=any(each.pss for each in self.templates)),
        )
