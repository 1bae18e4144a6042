"""Which of the keys and certificates that a card's PKCS#15 directory lists are HCA's numbers 0 to 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hca_card.model import CertificateUse, KeyUse
from hca_card.pkcs15_directory import CertificateObject, PrivateKey

AUTHORITIES: Final = (
    (0, CertificateUse.CA),
    (3, CertificateUse.INTERMEDIATE),
    (4, CertificateUse.ROOT),
)
"""The numbers that authority certificates get, in the directory's order."""

OWN: Final = ((1, KeyUse.SIGNATURE), (2, KeyUse.ENCRYPTION))


def key_for(keys: Sequence[PrivateKey], use: KeyUse) -> PrivateKey | None:
    """The private key for that use, None where there is none."""
    signing = next((key for key in keys if key.signs), None)
    if use is KeyUse.SIGNATURE:
        return signing
    deciphering = [key for key in keys if key.deciphers]
    # A card may mark its signature key for both; one that is not the signature key is meant first.
    others = [key for key in deciphering if key is not signing]
    return next(iter(others or deciphering), None)


def numbered(
    keys: Sequence[PrivateKey], certificates: Sequence[CertificateObject]
) -> dict[int, tuple[CertificateUse, CertificateObject]]:
    """The certificates by number: 1 and 2 by the identifier of their key, authorities in their order."""
    found: dict[int, tuple[CertificateUse, CertificateObject]] = {}
    for index, use in OWN:
        key = key_for(keys, use)
        for entry in certificates:
            if key is not None and entry.id == key.id and not entry.authority:
                found[index] = CertificateUse(use), entry
                break
    authorities = [entry for entry in certificates if entry.authority]
    for (index, role), entry in zip(AUTHORITIES, authorities, strict=False):
        found[index] = role, entry
    return found
