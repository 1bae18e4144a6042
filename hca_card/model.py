"""What this program says about a card, whatever kind it is; and what every card application can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

import msgspec

from hca_card.errors import ObjectMissingError, UnsupportedError
from hca_card.pin import Pin
from pcsc.apdu import Command, Response


class Channel(Protocol):
    """What a card application needs of a connection: `pcsc.connection.Transaction`, or a script in tests."""

    def send(self, command: Command) -> Response:
        """Exchange one logical command; 61xx, 6Cxx, chaining and extended length are already dealt with.

        Raises:
            pcsc.errors.PcscError: the link or the card failed. A status word is not an error here.
        """
        ...

    def before_end(self, action: Callable[[], None]) -> None:
        """Run `action` when the transaction ends, however it ends; if it raises, the card is reset."""
        ...


class Keypad(Protocol):
    """A reader's own keypad: `pcsc.pinpad.PinPad`, or a stand-in in tests."""

    def verify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        """Have the person type the PIN, and send `command` (VERIFY without data) with it.

        Raises:
            pcsc.errors.PcscError: the reader failed.
        """
        ...

    @property
    def can_modify(self) -> bool:
        """Whether a PIN can be changed there."""
        ...

    def modify(self, command: Command, *, min_length: int, max_length: int) -> Response:
        """Have the person type the PIN and twice a new one; send `command` (CHANGE without data) with both.

        Raises:
            pcsc.errors.PcscError: the reader failed, or cannot do this.
        """
        ...


class CardKind(StrEnum):
    """The cards the portals know."""

    PERSONNEL = "hpc"
    INSTITUTION = "hop"
    INSTITUTION_SECONDARY = "hop-secondary"
    NHI = "nhi"
    CITIZEN = "citizen"
    PKCS15 = "pkcs15"


class KeyUse(StrEnum):
    """The two key pairs of an HCA card."""

    SIGNATURE = "signature"
    ENCRYPTION = "encryption"


class CertificateUse(StrEnum):
    """What a certificate on a card is for; `index` of `CardCertificate` is HCA's number 0 to 4."""

    CA = "ca"
    SIGNATURE = "signature"
    ENCRYPTION = "encryption"
    INTERMEDIATE = "intermediate"
    ROOT = "root"


@dataclass(frozen=True, slots=True)
class CardCertificate:
    """One certificate as the card holds it; `der` is hostile input until something has parsed it."""

    index: int
    use: CertificateUse
    der: bytes


class PinStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a PIN stands, read without spending a try.

    Attributes:
        tries_left: None where the card does not say.
        min_length: fewest characters the card takes.
        max_length: most characters the card takes.
    """

    tries_left: int | None
    min_length: int
    max_length: int

    @property
    def locked(self) -> bool:
        """Whether no try is left."""
        return self.tries_left == 0

    @property
    def last_try(self) -> bool:
        """Whether the next wrong PIN locks the card."""
        return self.tries_left == 1


@dataclass(frozen=True, slots=True)
class Personnel:
    """The holder of a personnel card. `category` is the raw character, `category_text` its likely meaning."""

    name: str
    english_name: str
    sex: str
    birth: str
    id_number: str
    category: str
    category_text: str


@dataclass(frozen=True, slots=True)
class Institution:
    """The holder of an institution card, eight fields in the card's order."""

    code: str
    name: str
    card_sequence: str
    kind: str
    type: str
    address: str
    telephone: str
    owner: str


@dataclass(frozen=True, slots=True)
class Insured:
    """The holder of an NHI card."""

    name: str
    id_number: str
    birth: str
    sex: str


@dataclass(frozen=True, slots=True)
class Citizen:
    """The holder of a card that says of its holder only what its certificate says."""

    name: str


Holder = Personnel | Institution | Insured | Citizen


@dataclass(frozen=True, slots=True)
class CardInfo:
    """The 22 bytes of HCA card information and its two flags; dates are 7-digit ROC text as on the card."""

    generates_keys: bool
    issued: str
    valid_from: str
    valid_to: str
    activated: bool
    terminated: bool


@dataclass(frozen=True, slots=True)
class Metadata:
    """All that can be read from a card without a PIN, certificates apart.

    Attributes:
        version: "1" or "2" for HCA cards, else "".
        serial: the card's own number, for an NHI card its card number.
        holder: None where the card does not say.
        info: HCA cards only.
        issued: ROC date, NHI cards.
    """

    kind: CardKind
    version: str
    serial: str
    holder: Holder | None
    info: CardInfo | None = None
    issued: str = ""


class Card(ABC):
    """A card application selected on a channel, for the length of one transaction.

    Every method sends commands when called and remembers nothing between transactions. Methods that a kind
    of card cannot serve raise what `unsupported` returns.
    """

    kind: CardKind
    serial: str

    def unsupported(self) -> UnsupportedError:
        """Return what a method raises that this kind of card cannot serve."""
        return UnsupportedError()

    @abstractmethod
    def metadata(self) -> Metadata:
        """Holder, version, serial and card information.

        Raises:
            CardDataError: what the card holds cannot be read as what it must be.
        """

    def certificate_indexes(self) -> tuple[int, ...]:
        """Return the numbers that `certificate` takes."""
        return ()

    def certificate(self, index: int) -> CardCertificate:
        """One certificate: 0 the CA, 1 signature, 2 encryption, 3 and 4 the intermediate and root CA.

        Raises:
            ObjectMissingError: the card has none of that number.
        """
        raise self.unsupported()

    def still_has(self, index: int, certificate: bytes) -> bool:
        """Return whether that number is still this very certificate, DER, by as short a read as tells.

        Certificates and their keys are renewed on line while the card lies in its reader; nobody tells.
        """
        try:
            return self.certificate(index).der == certificate
        except ObjectMissingError:
            return False

    def certificates(self) -> tuple[CardCertificate, ...]:
        """Return all certificates in the order of their numbers; a place left empty is no error here."""
        found = []
        for index in self.certificate_indexes():
            with suppress(ObjectMissingError):
                found.append(self.certificate(index))
        return tuple(found)

    def pin_status(self) -> PinStatus:
        """Return tries left and lengths, without spending a try."""
        raise self.unsupported()

    def verify(self, pin: Pin) -> None:
        """Verify the PIN once, and promise to drop the verified state before the transaction ends.

        Raises:
            PinLengthError: not sent.
            PinWrongError: one try spent; `tries_left` says what is left.
            PinLockedError: no try left.
            NotActivatedError: the card is not open for use.
            TerminatedError: the card is terminated.
        """
        raise self.unsupported()

    def takes_keypad(self) -> bool:
        """Return whether `verify_on_keypad` can be used with this card."""
        return False

    def verify_on_keypad(self, keypad: Keypad) -> None:
        """As `verify`, with the PIN typed on the reader's keypad; the person is waited for.

        Raises:
            PinCancelledError: nobody typed one; not sent.
        """
        raise self.unsupported()

    def change_pin(self, old: Pin, new: Pin) -> None:
        """Replace the PIN. Raises as `verify` does; the length of both is checked before either is sent."""
        raise self.unsupported()

    def change_pin_on_keypad(self, keypad: Keypad) -> None:
        """As `change_pin`, with both typed on the reader's keypad; the person is waited for.

        Raises:
            PinCancelledError: nobody typed them, or not twice the same; not sent.
        """
        raise self.unsupported()

    def puk_status(self) -> PinStatus:
        """Lengths of the PUK, and its tries left where the card says them; no try is spent."""
        raise self.unsupported()

    def unblock_pin(self, puk: Pin, new: Pin) -> None:
        """Set a new PIN and the full number of tries with the PUK.

        Raises:
            PukWrongError: one try of the PUK spent.
            PukLockedError: no try of the PUK left.
        """
        raise self.unsupported()

    def has_key(self, use: KeyUse) -> bool:
        """Return whether the card has that key pair."""
        return False

    def sign(self, use: KeyUse, digest_info: bytes) -> bytes:
        """Return what the key makes of a digest.

        RSA is given a DER DigestInfo and makes a PKCS#1 v1.5 signature (RFC 8017 §8.2), big-endian, as long
        as the modulus. EC is given the bare digest and makes r ‖ s, each as long as the curve's order.

        `verify` must have succeeded in this transaction.

        Raises:
            ObjectMissingError: no such key.
        """
        raise self.unsupported()

    def sign_pss(self, use: KeyUse, digest: bytes) -> bytes:
        """Return RSA-PSS of a digest (RFC 8017 §8.1): MGF1 with the same hash, the salt as long as it.

        Args:
            use: which key; an RSA key.
            digest: bare; its length says by which hash it was made.

        Raises:
            ObjectMissingError: no such key.
            UnsupportedError: the card cannot.
        """
        raise self.unsupported()

    def agree(self, use: KeyUse, point: bytes) -> bytes:
        """Return the secret of ECDH with an EC key: an x-coordinate, as long as the curve's numbers.

        Args:
            use: which key.
            point: of the other side, uncompressed (SEC 1 §2.3.3), on the key's curve.

        Raises:
            ObjectMissingError: no such key.
            UnsupportedError: the card cannot.
        """
        raise self.unsupported()

    def decipher(self, use: KeyUse, cipher: bytes) -> bytes:
        """PKCS#1 v1.5 decryption (RFC 8017 §7.2) of one block; the plain text without padding."""
        raise self.unsupported()


def roc_date(text: str) -> date | None:
    """Return the date of 7-digit ROC text (`0650101` is 1976-01-01; a leading `-` is before ROC 1).

    Returns:
        None where the text is no date; cards hold blanks and zeros.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    if len(text) != 7 or not digits.isascii() or not digits.isdigit():
        return None
    year = int(digits[:-4])
    try:
        # There is no ROC year 0: "-010101" is the year before ROC 1, which is 1911.
        return date(1911 + year if sign > 0 else 1912 - year, int(digits[-4:-2]), int(digits[-2:]))
    except ValueError:
        return None
