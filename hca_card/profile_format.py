"""The format of card profiles: each attribute of these dataclasses is a key of the file.

An attribute with a default may be left out, and any other key is an error; `hca_card.profile` reads the files
and says what is wrong with one. docs/card-profiles.md is the guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hca_card.model import CardInfo, CertificateUse, Institution, KeyUse, Personnel
from hca_card.pin_block import PinFormat

Range = tuple[int, int]
"""`[first, end)`: of bytes, or of record numbers."""

NOWHERE: Final[Range] = (0, 0)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes on the card: exactly one of `sfi`, `path` and `object`.

    Attributes:
        sfi: short file identifier, 1 to 30: one command reads the file.
        path: file identifiers of two bytes each, from the master file or one alone in the application.
        object: P1 P2 of GET DATA, as `0x1100`.
        object_data: the command data of that GET DATA; left out where it has none.
        object_ins: instruction byte of that GET DATA, `0xCA` or `0xCB`.
        records: the file has records, and these are wanted, `[1, 3]` the first two; `[1, 255]` reads on until
            the card has no more. Left out, the file is transparent.
        skip: bytes left out at the beginning.
        length: bytes wanted after these; 0 takes all there are.
        aid: application that has to be selected for it, if it is not the profile's own.
    """

    sfi: int = 0
    path: bytes = b""
    object: int | None = None
    object_data: bytes = b""
    object_ins: int = 0xCA
    records: Range = NOWHERE
    skip: int = 0
    length: int = 0
    aid: bytes = b""


class Compression(StrEnum):
    """How a content is compressed: RFC 1950, RFC 1952 and RFC 1951."""

    NONE = "none"
    ZLIB = "zlib"
    GZIP = "gzip"
    DEFLATE = "deflate"


@dataclass(frozen=True, slots=True)
class FilePlace(Piece):
    """Where something is: as a piece, or in several.

    Attributes:
        parts: the pieces that it is put together of, in their order, instead of `sfi`, `path` and `object`.
        within: tags of BER-TLV objects, each in the one before, whose value it is, as `[0x7F21]`.
        compression: how it is compressed, once it is put together and unwrapped.
    """

    parts: tuple[Piece, ...] = ()
    within: tuple[int, ...] = ()
    compression: Compression = Compression.NONE

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What is to be read for it."""
        return self.parts or (self,)

    @property
    def plain(self) -> bool:
        """Whether it is all of a transparent file in the profile's own application, as it stands there."""
        only = FilePlace(sfi=self.sfi) if self.sfi else FilePlace(path=self.path)
        return self == only


@dataclass(frozen=True, slots=True)
class ProfileIdentity:
    """Where the card says what it is, in ASCII: exactly one of `fci_tag`, `sfi` and `file`.

    Attributes:
        length: bytes of the whole text.
        version: range of the version, `1` or `2`.
        type: range of the card type.
        serial: range of the card number.
        personnel: text of `type` on a personnel card.
        institution: text of `type` on an institution card.
        rank: range of primary or secondary; left out where the card does not say.
        secondary: text of `rank` on an institution's secondary card.
        fci_tag: tag inside template 6F of the answer to SELECT.
        sfi: short file identifier of a file that says it.
        file: another place that says it.
    """

    length: int
    version: Range
    type: Range
    serial: Range
    personnel: str
    institution: str
    rank: Range = NOWHERE
    secondary: str = ""
    fci_tag: int = 0
    sfi: int = 0
    file: FilePlace | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """The two records of an HCA card.

    Attributes:
        basic: basic data (基本資料) of the holder.
        info: card information: dates and flags.
    """

    basic: FilePlace
    info: FilePlace


class Text(StrEnum):
    """How a record's text is written."""

    BIG5 = "big5"
    UTF_8 = "utf-8"
    UTF_16 = "utf-16-be"


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """A record of fixed width.

    Attributes:
        length: bytes in all.
        fields: range of each field, named as in `hca_card.model`.
        text: how its text is written.
    """

    length: int
    fields: MappingProxyType[str, Range]
    text: Text = Text.BIG5


@dataclass(frozen=True, slots=True)
class ProfileCertificate:
    """One certificate on the card.

    Attributes:
        index: HCA's number, 0 to 4.
        use: ca, signature, encryption, intermediate or root.
        file: where it is.
        missing_on: cards that have none, as `personnel-1` or `institution-2` (type and version).
    """

    index: int
    use: CertificateUse
    file: FilePlace
    missing_on: tuple[str, ...] = ()


class StatusBy(StrEnum):
    """How the card tells the tries left without spending one."""

    EMPTY_VERIFY = "empty-verify"
    NEVER = "never"


class DropBy(StrEnum):
    """How a verified PIN is dropped; where one way fails the next is taken, and a reset is the last."""

    VERIFY_FF = "verify-ff"
    SELECT = "select"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class ProfilePin:
    """The holder's PIN.

    Attributes:
        reference: P2 of VERIFY.
        format: lengths, encoding and padding.
        tries: the full number of tries; 0 where it is not known.
        status: whether an empty VERIFY tells the tries left.
        drop: how to drop the verified state.
        aid: application that has PIN and keys, if it is not the profile's own.
    """

    reference: int
    format: PinFormat
    tries: int = 0
    status: StatusBy = StatusBy.EMPTY_VERIFY
    drop: DropBy = DropBy.VERIFY_FF
    aid: bytes = b""


@dataclass(frozen=True, slots=True)
class ProfilePuk:
    """The resetting code (PUK); RESET RETRY COUNTER names the PIN's reference, so it needs none of its own.

    Attributes:
        format: lengths, encoding and padding.
    """

    format: PinFormat


class KeyKind(StrEnum):
    """RSA, or a key on an elliptic curve."""

    RSA = "rsa"
    EC = "ec"


class ChosenBy(StrEnum):
    """How a key is chosen: MANAGE SECURITY ENVIRONMENT SET or RESTORE, or not at all."""

    SET = "set"
    RESTORE = "restore"
    NOTHING = "nothing"


class Operation(StrEnum):
    """What signs: PSO: COMPUTE DIGITAL SIGNATURE, the same after PSO: HASH, or INTERNAL AUTHENTICATE."""

    PSO = "pso"
    HASH_PSO = "hash-pso"
    INTERNAL_AUTHENTICATE = "internal-authenticate"


class Form(StrEnum):
    """What an RSA key is given to sign, and what it answers when it deciphers.

    `digest-info`: DER, padded by the card; of what is deciphered, the plain text. `digest`: the bare digest.
    `block`: as long as the modulus, with the padding (RFC 8017 §9.2, §7.2), which is this program's to do.
    """

    DIGEST_INFO = "digest-info"
    DIGEST = "digest"
    BLOCK = "block"


class Digest(StrEnum):
    """Hash algorithms."""

    SHA_1 = "SHA-1"
    SHA_256 = "SHA-256"
    SHA_384 = "SHA-384"
    SHA_512 = "SHA-512"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHandling:
    """How a key is chosen and used; the defaults are those of ISO/IEC 7816-4 and 7816-8.

    Attributes:
        chosen_by: `set`, `restore`, or `nothing` where the card needs no choosing.
        environment: the data of MANAGE SECURITY ENVIRONMENT as it stands, instead of references.
        environment_p1: P1 of MANAGE SECURITY ENVIRONMENT; left out, 41 for `set` and F3 for `restore`.
        environment_p2: P2 of it; left out, the template B6 to sign, B8 to decipher, A4 to authenticate.
        operation: the command that signs.
        form: what an RSA key is given to sign, and what it answers to DECIPHER.
        p1: P1 of the command that signs or deciphers; left out, that of the standard.
        p2: P2 of it.
        hashes: the only hash algorithms that it signs with; left out, any.
        indicator: what stands before the block to be deciphered.
    """

    chosen_by: ChosenBy = ChosenBy.SET
    environment: bytes = b""
    environment_p1: int | None = None
    environment_p2: int | None = None
    operation: Operation = Operation.PSO
    form: Form = Form.DIGEST_INFO
    p1: int | None = None
    p2: int | None = None
    hashes: tuple[Digest, ...] = ()
    indicator: bytes = b"\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileKey(KeyHandling):
    """One key pair.

    Attributes:
        use: signature or encryption.
        reference: key reference, tag 84 of MANAGE SECURITY ENVIRONMENT; the number of the environment, where
            one is restored.
        algorithm: algorithm reference, tag 80; 0 sends none.
        missing_on: cards that have no such key, as in `certificates`.
        kind: `rsa` or `ec`; an EC key is given the bare digest.
        bits: length of the modulus or of the curve's numbers; 0 takes it from the certificate.
        pss: algorithm reference, tag 80, with which the card makes RSA-PSS of a bare digest; 0 where it
            cannot. With the form `block` this program pads, and the card needs none.
    """

    use: KeyUse
    reference: int | None = None
    algorithm: int = 0
    missing_on: tuple[str, ...] = ()
    kind: KeyKind = KeyKind.RSA
    bits: int = 0
    pss: int = 0


@dataclass(frozen=True, slots=True)
class Commands:
    """What is different in the commands themselves.

    Attributes:
        select_class: class byte of SELECT.
        read_class: class byte of READ BINARY and READ RECORD.
        data_class: class byte of GET DATA.
        pin_class: class byte of VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER.
        key_class: class byte of MANAGE SECURITY ENVIRONMENT, PERFORM SECURITY OPERATION and INTERNAL
            AUTHENTICATE.
        select_p2: P2 of SELECT; with 0x0C, which asks for no answer, it is sent without Le.
        read_most: the most bytes that one READ BINARY asks for; 0 as many as card and reader take.
        chain: command data longer than this is sent in chained commands of at most so many bytes each, and
            nothing in extended length; 0 leaves it to what card and reader take.
    """

    select_class: int = 0
    read_class: int = 0
    data_class: int = 0
    pin_class: int = 0
    key_class: int = 0
    select_p2: int = 0
    read_most: int = 0
    chain: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """One card type.

    Attributes:
        name: shown in traces.
        aid: application identifier, 5 to 16 bytes.
        certificates: what certificates there are.
        pin: the holder's PIN.
        keys: the key pairs.
        identity: what kind of card it is, and its number; left out, the certificate says it, and only cards
            with one of `atrs` are tried.
        files: where the records are; left out where the card has none, or it is not known where.
        records: layouts `personnel-1`, `personnel-2`, `institution` and `info`; one that is left out is that
            of the documents.
        puk: the resetting code; left out where the card takes none.
        commands: class bytes and lengths, where they are not those of the standard.
        atrs: ATRs seen; with `identity` they only decide what is tried first.
        draft: something in the file is still a guess that could cost a try; it is checked and never used.
    """

    name: str
    aid: bytes
    certificates: tuple[ProfileCertificate, ...]
    pin: ProfilePin
    keys: tuple[ProfileKey, ...]
    identity: ProfileIdentity | None = None
    files: Files | None = None
    records: MappingProxyType[str, RecordLayout] = field(default_factory=lambda: MappingProxyType({}))
    puk: ProfilePuk | None = None
    commands: Commands = Commands()
    atrs: tuple[bytes, ...] = ()
    draft: bool = False


RECORDS: Final[dict[str, type]] = {
    "personnel-1": Personnel,
    "personnel-2": Personnel,
    "institution": Institution,
    "info": CardInfo,
}


def record_fields(name: str) -> tuple[str, ...]:
    """Return the fields that a layout of that name must have."""
    return tuple(each.name for each in fields(RECORDS[name]) if each.name != "category_text")
