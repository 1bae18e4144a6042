"""What pages of the HiPKI dialect send and are answered: `tbsPackage` in, one JSON object out.

Names are those of the protocol (docs/hipki.md). Members that are not known are let through: old pages send
many.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from agent.errors import AgentError, ErrorId
from hca_card.decoding import UNREADABLE
from hca_card.pin import Pin
from signing.cms.envelope import Envelope, read_envelope

FIELD: Final = b"tbsPackage="

# Escapes that leave JSON's strings once they are decoded: quotation mark, backslash, control characters.
_MARKS: Final = re.compile(rb"%(22|5[Cc]|[01][0-9A-Fa-f])")
_READER_NAME_MAX: Final = 256
_BLOCK_MAX: Final = 1024
_NONCE_MAX: Final = 1024


class PagePackage(msgspec.Struct, frozen=True, rename="camel"):
    """`tbsPackage`. Never in a repr: one member is a PIN.

    Attributes:
        func: what the page wants.
        tbs: what is to be signed.
        tbs_encoding: `NONE`, the text itself as UTF-8, or `base64`.
        hash_algorithm: `SHA1`, `SHA256`, `SHA384`, `SHA512`.
        signature_type: `PKCS1`, `PKCS7`, `RAW`.
        pin: see `typed`.
        with_card_sn: whether PKCS7 is to hold the card's number.
        nonce: what PKCS7 is to hold as nonce, as UTF-8.
        slot_description: the reader; left out or empty, whichever has the card.
        cipher: what is to be decrypted, base64.
        cipher_type: `PKCS1`, one RSA block, or `PKCS7`, CMS EnvelopedData.
        plain_encoding: how the answer's `plain` is written: `NONE`, the text itself, or `base64`.
    """

    func: str = ""
    tbs: str = ""
    tbs_encoding: str = "NONE"
    hash_algorithm: str = "SHA256"
    signature_type: str = "PKCS1"
    pin: Pin | None = None
    with_card_sn: str | bool = msgspec.field(default="false", name="withCardSN")
    nonce: str = ""
    slot_description: str = ""
    cipher: str = ""
    cipher_type: str = "PKCS1"
    plain_encoding: str = "NONE"

    def __repr__(self) -> str:
        return f"PagePackage(func={self.func!r}, …)"

    @property
    def typed(self) -> Pin | None:
        """The PIN that was typed in the page; None where it is left out or empty: the person is asked."""
        return self.pin if self.pin else None

    @property
    def reader(self) -> str | None:
        """The reader named, if any.

        Raises:
            AgentError: request.parameters.
        """
        if len(self.slot_description) > _READER_NAME_MAX:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        return self.slot_description or None

    @property
    def wants_card_number(self) -> bool:
        """Whether `with_card_sn` says so."""
        return str(self.with_card_sn).lower() == "true"

    @property
    def document(self) -> bytes:
        """What is to be signed.

        Raises:
            AgentError: request.parameters if there is nothing, or it is not encoded as it says.
        """
        match self.tbs_encoding.lower():
            case "none" | "":
                document = encoded(self.tbs)
            case "base64":
                document = decoded(self.tbs)
            case _:
                raise AgentError(ErrorId.REQUEST_PARAMETERS)
        if not document:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        return document

    @property
    def nonce_octets(self) -> bytes:
        """The nonce, empty for none.

        Raises:
            AgentError: request.parameters if it is too long.
        """
        octets = encoded(self.nonce)
        if len(octets) > _NONCE_MAX:
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        return octets

    @property
    def encrypted(self) -> bytes | Envelope:
        """What is to be decrypted.

        Raises:
            AgentError: request.parameters if there is nothing, or it is of no type that is known.
            signing.errors.CipherInvalidError: it is not of the type that it says.
        """
        octets = decoded(self.cipher)
        if not octets or self.plain_encoding.lower() not in ("none", "", "base64"):
            raise AgentError(ErrorId.REQUEST_PARAMETERS)
        match self.cipher_type.upper():
            case "PKCS1" | "" if len(octets) <= _BLOCK_MAX:
                return octets
            case "PKCS7":
                return read_envelope(io.BytesIO(octets))
            case _:
                raise AgentError(ErrorId.REQUEST_PARAMETERS)

    def written(self, plain: bytes) -> str:
        """Return what was decrypted, as `plain_encoding` says.

        Raises:
            AgentError: request.parameters if it is no text.
        """
        if self.plain_encoding.lower() == "base64":
            return base64.b64encode(plain).decode("ascii")
        try:
            return plain.decode("utf-8")
        except UnicodeDecodeError:
            raise AgentError(ErrorId.REQUEST_PARAMETERS) from None

    def wipe(self) -> None:
        """Forget the PIN."""
        if self.pin is not None:
            self.pin.wipe()


class HipkiAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every answer has; the numbers are those of `agent.errors.numbers.hipki`.

    Attributes:
        func: what it answers: `pkcs11info`, `sign`, `decrypt`.
        message: what happened and what to do next, in both languages; empty where all is well.
        message2: always empty, and `scap` always null: pages compare with them.
    """

    func: str
    ret_code: int = msgspec.field(name="ret_code")
    last_error: int = msgspec.field(name="last_error")
    message: str
    message2: str = ""
    scap: None = msgspec.field(default=None, name="SCAP")
    server_version: str


class SignAnswer(HipkiAnswer, frozen=True, kw_only=True):
    """A signature.

    Attributes:
        signature: base64: PKCS#1 v1.5, big-endian; or CMS SignedData with the document in it.
        certb64: the certificate that checks it, DER.
        card_sn: the number of the card.
    """

    signature: bytes
    certb64: bytes
    card_sn: str = msgspec.field(name="cardSN")


class DecryptAnswer(HipkiAnswer, frozen=True, kw_only=True):
    """A plain text.

    Attributes:
        plain: as the page wants it written.
        plaintext: base64.
    """

    plain: str
    plaintext: bytes


class HipkiCertificate(msgspec.Struct, frozen=True, rename="camel"):
    """A certificate of the holder's, or of an authority above.

    Attributes:
        label: a name for it; `CA Cert` and `ROOT CA Cert` for authorities'.
        id: what it has in common with its key: SHA-1 of the public key.
        usage: `digitalSignature`, `keyEncipherment|dataEncipherment`, `keyCertSign|cRLSign`.
        certb64: DER.
        sn: its number, upper-case hexadecimal.
        subject_dn: the holder's whole name; "," alone between its parts, for pages split at that.
        issuer_dn: the authority's, likewise.
        subject_cn: the holder's name alone; empty without one, as are the next two.
        subject_id: what the certificate tells of the holder's number: the last digits of a person's, an
            organisation's whole.
        email: the holder's address.
        not_before: UTC, ISO 8601.
        not_after: likewise.
        not_before_t: the same in seconds since 1970.
        not_after_t: likewise.
        thumbprint: SHA-1 of the certificate, upper-case hexadecimal.
    """

    label: str
    id: bytes
    usage: str
    certb64: bytes
    sn: str
    subject_dn: str = msgspec.field(name="subjectDN")
    issuer_dn: str = msgspec.field(name="issuerDN")
    subject_cn: str = msgspec.field(name="subjectCN")
    subject_id: str = msgspec.field(name="subjectID")
    email: str
    not_before: str
    not_after: str
    not_before_t: int
    not_after_t: int
    thumbprint: str


class HipkiKey(msgspec.Struct, frozen=True):
    """A public key of the card: SubjectPublicKeyInfo, DER; `id` as its certificate's."""

    label: str
    id: bytes
    keyb64: bytes
    type: str


class HipkiToken(msgspec.Struct, frozen=True, rename="camel"):
    """A card.

    Attributes:
        certs: absent where the page did not ask for them; `keys` too.
    """

    label: str
    model: str
    manufacturer_id: str = msgspec.field(name="manufacturerID")
    serial_number: str
    certs: tuple[HipkiCertificate, ...] | msgspec.UnsetType = msgspec.UNSET
    keys: tuple[HipkiKey, ...] | msgspec.UnsetType = msgspec.UNSET


class HipkiSlot(msgspec.Struct, frozen=True, rename="camel"):
    """A reader.

    Attributes:
        slot_description: its name.
        slot_id: counted from 0.
        token: the card in it; null without one; a text where it cannot be used.
    """

    slot_description: str
    slot_id: int = msgspec.field(name="slotID")
    manufacturer_id: str = msgspec.field(name="manufacturerID")
    token: HipkiToken | str | None


class InfoAnswer(HipkiAnswer, frozen=True, kw_only=True):
    """All readers."""

    slots: tuple[HipkiSlot, ...]


class ImageAnswer(InfoAnswer, frozen=True, kw_only=True):
    """The same as an image, for pages that look at it first.

    Attributes:
        card_sn: the number of the first card; empty without one.
    """

    card_sn: str = msgspec.field(name="cardSN")


def read(body: bytes) -> PagePackage:
    """Return the `tbsPackage` of a form body; an empty one where there is none.

    Raises:
        AgentError: request.not_json, or request.parameters if a member is of the wrong type.
    """
    for pair in body.split(b"&"):
        if pair.startswith(FIELD):
            return _package(_form_decoded(pair[len(FIELD) :]))
    return PagePackage()


def _form_decoded(value: bytes) -> bytes:
    """Return the JSON in a form's value: decoded once, and what a page escaped in a text stays in that text.

    "+" is not a blank here: pages that escape nothing but it mean base64's plus.
    """
    decoded_once = unquote_to_bytes(value)
    inside = unquote_to_bytes(_MARKS.sub(rb"\\u00\1", value))
    if inside == decoded_once:
        return decoded_once
    # Whoever escapes the whole JSON escapes its marks too, and then only the first is JSON. A text that holds
    # a mark must neither break the JSON around it nor add a member to it.
    names = _names(inside)
    return decoded_once if names in (None, _names(decoded_once)) else inside


def _names(text: bytes) -> object:
    """Return the names of the members, a repeated one repeated; None for what is not JSON."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    except UNREADABLE:
        return None


def _package(text: bytes) -> PagePackage:
    try:
        return msgspec.json.decode(text, type=PagePackage, dec_hook=_pin)
    except msgspec.ValidationError:  # JSON, with a wrong member
        raise AgentError(ErrorId.REQUEST_PARAMETERS) from None
    except UNREADABLE:
        raise AgentError(ErrorId.REQUEST_NOT_JSON) from None


def _pin(_kind: type, value: Any) -> Pin:
    if not isinstance(value, str):
        raise ValueError("a PIN is a text")  # noqa: TRY004  (what msgspec takes from a hook)
    return Pin(value)


def encoded(text: str) -> bytes:
    """Encode as UTF-8.

    Raises:
        AgentError: request.parameters if there is half of a surrogate pair.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise AgentError(ErrorId.REQUEST_PARAMETERS) from None


def decoded(text: str) -> bytes:
    """Decode base64 in one line or several.

    Raises:
        AgentError: request.parameters if it is not base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise AgentError(ErrorId.REQUEST_PARAMETERS) from None
