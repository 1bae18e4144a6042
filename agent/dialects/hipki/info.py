"""`pkcs11info`: every reader as a slot, and every card in one as a token with its certificates."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from typing import Final

from msgspec import UNSET

from agent.dialects.hipki.messages import HipkiCertificate, HipkiKey, HipkiSlot, HipkiToken
from agent.errors import ErrorId, error_id
from agent.operations import Caller, Operations, ReaderCondition, ReaderView
from agent.vocabulary import KIND_WORDS
from hca_card.certificate import (
    CertificateDescription,
    describe,
    name_attributes,
    parse,
    written_name,
)
from hca_card.errors import CardDataError
from hca_card.model import CardCertificate, CardKind, CertificateUse
from signing.certificate import curve_bits, signature_key
from signing.errors import CertificateError

UNKNOWN: Final = "unknown token"
"""What stands for a card that cannot be used: of a kind nobody knows, one without keys, or one that fails."""

_MANUFACTURER: Final = "HCA Card Agent"
_MODELS: Final = {CardKind.CITIZEN: "PKCS#15", CardKind.PKCS15: "PKCS#15"}
_USAGES: Final = {
    CertificateUse.SIGNATURE: "digitalSignature",
    CertificateUse.ENCRYPTION: "keyEncipherment|dataEncipherment",
}
_AUTHORITIES: Final = {
    CertificateUse.CA: "CA Cert",
    CertificateUse.INTERMEDIATE: "CA Cert",
    CertificateUse.ROOT: "ROOT CA Cert",
}
_AUTHORITIES_USAGE: Final = "keyCertSign|cRLSign"
_WITH_CARD: Final = frozenset((ReaderCondition.CARD, ReaderCondition.BUSY))


async def slots(
    operations: Operations, caller: Caller, *, certificates: bool, reader: str | None
) -> tuple[HipkiSlot, ...]:
    """Return all readers, or the one named; a card that cannot be read hides no other.

    Args:
        operations: do the work.
        caller: who asks.
        certificates: whether certificates and keys are wanted.
        reader: its name.

    Raises:
        AgentError: if the caller may not read, or the readers cannot be listed.
    """
    views = await operations.readers(caller)
    numbered = [(number, view) for number, view in enumerate(views) if reader in (None, view.name)]
    tokens = [_token(operations, caller, view, certificates) for _, view in numbered]
    return tuple(
        HipkiSlot(slot_description=view.name, slot_id=number, manufacturer_id=_MANUFACTURER, token=token)
        for (number, view), token in zip(numbered, await asyncio.gather(*tokens), strict=True)
    )


def first_card(slots: tuple[HipkiSlot, ...]) -> str:
    """Return the number of the first card that can be used, empty without one."""
    return next((each.token.serial_number for each in slots if isinstance(each.token, HipkiToken)), "")


async def _token(
    operations: Operations, caller: Caller, view: ReaderView, certificates: bool
) -> HipkiToken | str | None:
    if view.condition not in _WITH_CARD:
        return UNKNOWN if view.condition is ReaderCondition.MUTE else None
    try:
        card = await operations.choose(caller, reader=view.name)
        if card.kind is CardKind.NHI:
            return UNKNOWN
        certificates_of_card = await operations.certificates(caller, view.name)
    except Exception as error:
        if error_id(error) == ErrorId.INTERNAL:
            raise
        return UNKNOWN
    read = [(each, facts) for each in certificates_of_card if (facts := _facts(each)) is not None]
    own = [(each, facts) for each, facts in read if each.use in _USAGES]
    # A root that issued the holder's certificate has two numbers.
    authorities = {each.der: (each, facts) for each, facts in read if each.use in _AUTHORITIES}
    simulated = any(facts.simulated for _, facts in read)
    return HipkiToken(
        label=("模擬卡 " if simulated else "") + KIND_WORDS[card.kind][0],
        model=_MODELS.get(card.kind, "HCA"),
        manufacturer_id=_MANUFACTURER,
        serial_number=card.serial,
        certs=tuple(_certificate(*each) for each in (*own, *authorities.values())) if certificates else UNSET,
        keys=tuple(_key(each) for each, _ in own) if certificates else UNSET,
    )


def _facts(certificate: CardCertificate) -> CertificateDescription | None:
    """Describe a certificate; None for one that cannot be read or whose key cannot be used."""
    try:
        signature_key(certificate.der)
        return describe(certificate.der)
    except (CardDataError, CertificateError):
        return None


def _certificate(certificate: CardCertificate, facts: CertificateDescription) -> HipkiCertificate:
    parsed = parse(certificate.der)
    return HipkiCertificate(
        label=_AUTHORITIES.get(certificate.use, f"cert{certificate.index}"),
        id=_id(certificate),
        usage=_USAGES.get(certificate.use, _AUTHORITIES_USAGE),
        certb64=certificate.der,
        sn=facts.serial_hex,
        subject_dn=written_name(name_attributes(parsed.subject), ","),
        issuer_dn=written_name(name_attributes(parsed.issuer), ","),
        subject_cn=facts.common_name or "",
        subject_id=facts.id_last_four or facts.business_number or "",
        email=parsed.email or "",
        not_before=_moment(facts.not_before),
        not_after=_moment(facts.not_after),
        not_before_t=int(facts.not_before.timestamp()),
        not_after_t=int(facts.not_after.timestamp()),
        thumbprint=hashlib.sha1(certificate.der, usedforsecurity=False).hexdigest().upper(),
    )


def _key(certificate: CardCertificate) -> HipkiKey:
    kind = "EC" if curve_bits(signature_key(certificate.der)) else "RSA"
    return HipkiKey(
        label=f"pub{certificate.index}", id=_id(certificate), keyb64=_public(certificate), type=kind
    )


def _id(certificate: CardCertificate) -> bytes:
    return hashlib.sha1(_public(certificate), usedforsecurity=False).digest()


def _public(certificate: CardCertificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return signature_key(certificate.der).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
