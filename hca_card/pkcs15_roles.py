"""Which of the keys and certificates that a card's PKCS#15 directory lists are HCA's numbers 0 to 4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from hca_card import iso7816
from hca_card.certificate_numbers import CERTIFICATE_INDEX, USES, numbered
from hca_card.errors import CardDataError, ObjectMissingError, UnsupportedError
from hca_card.model import CardCertificate, KeyUse
from hca_card.pkcs15_directory import (
    ECDSA,
    RSA_PKCS,
    RSA_PSS,
    CertificateObject,
    ObjectPath,
    PinObject,
    PrivateKey,
    TokenDescription,
)
from pcsc.status import StatusError


def key_for(keys: Sequence[PrivateKey], use: KeyUse) -> PrivateKey | None:
    """Return the private key for that use, None where there is none; RSA comes before a curve."""
    signing = next((key for key in keys if key.signs), None)
    if use is KeyUse.SIGNATURE:
        return signing
    deciphering = sorted((key for key in keys if key.deciphers), key=lambda key: key.elliptic)
    # A card may mark its signature key for both; another key comes first.
    others = [key for key in deciphering if key is not signing]
    return next(iter(others or deciphering), None)


def algorithm_for(key: PrivateKey, token: TokenDescription, *, pss: bool = False) -> int | None:
    """Return the algorithm reference that the card lists for this key, else for any of its kind.

    Args:
        key: the key.
        token: what the card says of itself.
        pss: for RSA-PSS instead of PKCS#1 v1.5.
    """
    mechanism = ECDSA if key.elliptic else RSA_PSS if pss else RSA_PKCS
    kind = [each for each in token.algorithms if each.mechanism == mechanism]
    own = [each for number in key.algorithms for each in kind if each.number == number]
    return next((each.reference for each in own or kind), None)


def holder_pin(pins: Iterable[PinObject], keys: Sequence[PrivateKey]) -> PinObject | None:
    """Return the PIN of the signature key, else the first that is the holder's, None if there is none."""
    holders = [pin for pin in pins if not pin.unblocking and not pin.officer]
    key = key_for(keys, KeyUse.SIGNATURE)
    named = [pin for pin in holders if key is not None and key.auth_id and pin.auth_id == key.auth_id]
    return next(iter(named or holders), None)


class ListedCertificates:
    """The certificates of a directory by HCA's number; each is read once, when first needed.

    Args:
        entries: what the directory lists.
        keys: the private keys, whose identifiers tell the holder's own certificates without reading others.
        read: reads the certificate at a place on the card.
    """

    def __init__(
        self,
        entries: Sequence[CertificateObject],
        keys: Sequence[PrivateKey],
        read: Callable[[ObjectPath], bytes],
    ) -> None:
        self._entries = entries
        self._read_place = read
        self._contents: dict[CertificateObject, bytes] = {}
        self._joined = {
            use: [at for at, entry in enumerate(entries) if entry.id == key.id and not entry.authority]
            for use in KeyUse
            if (key := key_for(keys, use)) is not None
        }

    def numbers(self) -> tuple[int, ...]:
        """Return the numbers that are there; reads all certificates, and skips what cannot be read."""
        return tuple(sorted(self._numbered))

    def get(self, number: int) -> CardCertificate:
        """Return the certificate of that number; the holder's own are found without reading another.

        Raises:
            ObjectMissingError: there is none, or its place is empty.
            CardDataError: it is no certificate.
            UnsupportedError: the directory only says where in the network it is.
        """
        if number not in USES:
            raise ObjectMissingError(f"this card has no certificate {number}")
        trouble: Exception | None = None
        for use, positions in self._joined.items():
            if CERTIFICATE_INDEX[use] == number and len(positions) == 1:
                try:
                    return CardCertificate(number, USES[number], self._read(self._entries[positions[0]]))
                except (CardDataError, ObjectMissingError, UnsupportedError) as error:
                    trouble = error
        if number not in self._numbered:
            raise trouble or ObjectMissingError(f"this card has no certificate {number}")
        return CardCertificate(number, USES[number], self._read(self._entries[self._numbered[number]]))

    def place(self, number: int) -> ObjectPath | None:
        """Return where the holder's own certificate is; None where others must be read to know."""
        for use, positions in self._joined.items():
            if CERTIFICATE_INDEX[use] == number and len(positions) == 1:
                return self._entries[positions[0]].place
        return None

    @cached_property
    def _numbered(self) -> dict[int, int]:
        return numbered([self._read_or_nothing(entry) for entry in self._entries], self._joined)

    def _read_or_nothing(self, entry: CertificateObject) -> bytes:
        try:
            return self._read(entry)
        except (CardDataError, ObjectMissingError, UnsupportedError, StatusError):
            return b""

    def _read(self, entry: CertificateObject) -> bytes:
        if entry not in self._contents:
            self._contents[entry] = entry.der or self._read_from_card(entry)
        return iso7816.require_certificate(self._contents[entry])

    def _read_from_card(self, entry: CertificateObject) -> bytes:
        if entry.place is None:
            raise UnsupportedError("the card's directory only says where in the network this certificate is")
        with iso7816.missing_object():
            return self._read_place(entry.place)
