"""The commands of ISO/IEC 7816-4 and 7816-8 that card applications use, as functions on a channel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from hca_card import tlv
from hca_card.errors import CardDataError, ObjectMissingError
from hca_card.model import Channel
from pcsc.apdu import LE_EXTENDED_MAX, LE_SHORT_MAX, Command, Response
from pcsc.status import StatusError, StatusWord

FILE_LIMIT: Final = 0x8000
"""The most bytes read of one file: what the 15-bit offset of READ BINARY reaches (7816-4 §11.3.3)."""

MAX_READS: Final = 256
"""The most READ BINARY commands for one file; a card that gives a byte at a time is refused, not humoured."""

MASTER_FILE: Final = b"\x3f\x00"

FOUND: Final = (StatusWord.FILE_DEACTIVATED, StatusWord.FCI_NOT_FORMATTED, StatusWord.FILE_TERMINATED)
"""Warnings with which SELECT still has selected (7816-4 §11.2.2)."""

_TELLING: Final = 64

_MISSING: Final = (StatusWord.FILE_NOT_FOUND, StatusWord.RECORD_NOT_FOUND, StatusWord.REFERENCE_NOT_FOUND)


def select_aid(channel: Channel, aid: bytes) -> Response:
    """SELECT an application by its AID and ask for the FCI (7816-4 §11.2.2, P1 = 04)."""
    return channel.send(_command(0xA4, 0x04, 0x00, aid, LE_SHORT_MAX))


def select_file(channel: Channel, path: bytes) -> bytes:
    """SELECT a file by identifier (two bytes) or by path from the master file (`3F00 5015 4401`).

    Args:
        channel: the transaction.
        path: file identifiers of two bytes each; `3FFF` first means from the current DF.

    Returns:
        The file control information.

    Raises:
        StatusError: the card has no such file, or cannot be asked so.
        CardDataError: `path` is no path; it comes from the card's own directory.
    """
    if not path or len(path) % 2 or len(path) > 16:
        raise CardDataError("the card's directory holds a path that is none")
    if path[:2] == b"\x3f\xff" and len(path) > 2:
        return _select(channel, 0x09, path[2:]).require(*FOUND)
    if len(path) == 2:
        response = _select(channel, 0x00, path)
        if response.sw in (StatusWord.WRONG_P1P2, StatusWord.FUNCTION_NOT_SUPPORTED):
            response = _select(channel, 0x02, path)
        return response.require(*FOUND)
    response = _select(channel, 0x08, path[2:] if path[:2] == MASTER_FILE else path)
    if response.sw not in (StatusWord.WRONG_P1P2, StatusWord.FUNCTION_NOT_SUPPORTED):
        return response.require(*FOUND)
    for start in range(0, len(path), 2):
        response = _select(channel, 0x00, path[start : start + 2])
        response.require(*FOUND)
    return response.data


def file_size(fci: bytes) -> int | None:
    """Return the size of the file in bytes, from tag 80 of its FCP (7816-4 table 11); None if not said.

    Raises:
        CardDataError: the FCI's lengths lie.
    """
    for template in (0x62, 0x6F):
        size = tlv.find(fci, template, 0x80)
        if size:
            return int.from_bytes(size, "big")
    return None


def read_file(
    channel: Channel,
    path: bytes,
    *,
    index: int = 0,
    length: int | None = None,
    der: bool = False,
    most: int = LE_EXTENDED_MAX,
) -> bytes:
    """SELECT a transparent file and read it, or `length` bytes of it from `index` on.

    The errors are those of `select_file` and `read_binary`; `der` counts where no length is given.
    """
    fci = select_file(channel, path)
    if length is None and not der and not index:
        length = file_size(fci)
    return read_binary(channel, offset=index, size=length, der=der and length is None, most=most)


def read_binary(
    channel: Channel,
    *,
    sfi: int | None = None,
    offset: int = 0,
    size: int | None = None,
    der: bool = False,
    most: int = LE_EXTENDED_MAX,
) -> bytes:
    """READ BINARY a whole transparent file with as few commands as the card allows (7816-4 §11.3.3).

    One command is enough where the channel has extended length or the card chains its answer with 61xx.
    Otherwise reading goes on until the known size, 6282, 6B00 or an answer shorter than a short one can be.

    Args:
        channel: the transaction.
        sfi: short file identifier, 1 to 30; None reads the file selected last.
        offset: where to begin, in bytes; only without `sfi`.
        size: exact number of bytes wanted; None reads to the end.
        der: the file begins with one DER object, and that object is what is wanted; a file that was made but
            never written (00 or FF first) gives nothing.
        most: the most bytes that one command asks for.

    Raises:
        StatusError: the first command was refused.
        CardDataError: the file is shorter or longer than it says, or larger than `FILE_LIMIT`.
    """
    end = size
    content = bytearray()
    short = min(most, LE_SHORT_MAX)
    for _ in range(MAX_READS):
        if end is not None and not len(content) < end <= FILE_LIMIT:
            break
        wanted = most if end is None else min(most, end - len(content))
        command = _read_command(None if content else sfi, offset + len(content), wanted)
        response = channel.send(command)
        if content and response.sw == StatusWord.OFFSET:
            break
        chunk = response.require(StatusWord.END_OF_FILE)
        content += chunk
        if len(content) > FILE_LIMIT:
            raise CardDataError(f"a file is larger than {FILE_LIMIT} bytes")
        if der and end is None and content:
            end = 0 if content[0] in tlv.PADDING else tlv.announced_length(bytes(content))
        if not chunk or response.sw == StatusWord.END_OF_FILE:
            break
        if end is None and len(chunk) < short:
            break
        if len(chunk) <= LE_SHORT_MAX:
            most = short
    else:
        raise CardDataError("a file takes too many commands to read")
    if end is None:
        return bytes(content)
    if size is not None and len(content) > size:
        raise CardDataError(f"the card gave {len(content)} bytes of a file where {size} were asked for")
    if len(content) < end:
        raise CardDataError(f"a file claims {end} bytes and has {len(content)}")
    return bytes(content[:end])


def read_records(channel: Channel, *, sfi: int = 0, first: int = 1, end: int = 0xFF) -> bytes:
    """READ RECORD one after another, and return them joined (7816-4 §11.4.3, P2 = sfi and 4).

    Args:
        channel: the transaction.
        sfi: short file identifier; 0 reads the file selected last.
        first: number of the first record.
        end: number after the last; where the card has fewer, its last record ends it.

    Raises:
        StatusError: the first record was refused.
        CardDataError: they are longer than `FILE_LIMIT`.
    """
    content = bytearray()
    for number in range(first, end):
        response = channel.send(_command(0xB2, number, sfi << 3 | 0x04, le=LE_SHORT_MAX))
        if number > first and response.sw in _MISSING:
            break
        content += response.require()
        if len(content) > FILE_LIMIT:
            raise CardDataError(f"a file is larger than {FILE_LIMIT} bytes")
    return bytes(content)


def get_data(channel: Channel, name: int, data: bytes = b"", *, ins: int = 0xCA) -> bytes:
    """GET DATA of one object, with whatever command data its card wants (7816-4 §11.5.3).

    Raises:
        StatusError: the card has none, or refuses.
        CardDataError: it is longer than `FILE_LIMIT`.
    """
    content = channel.send(_command(ins, name >> 8, name & 0xFF, data, LE_SHORT_MAX)).require()
    if len(content) > FILE_LIMIT:
        raise CardDataError(f"a data object is larger than {FILE_LIMIT} bytes")
    return content


def begins_as(
    channel: Channel,
    content: bytes,
    *,
    sfi: int | None = None,
    offset: int = 0,
    most: int = LE_SHORT_MAX,
) -> bool:
    """READ BINARY once; return whether a file, or the place in it, still begins as it did: as `content`.

    The first bytes of a certificate tell it from every other: its whole length, and the serial number that
    its issuer gives to no other (RFC 5280 §4.1.2.2), are among the first forty. One short command reaches its
    dates too; a card that gives less at a time must give those forty.

    Args:
        channel: the transaction.
        content: what the file held when it was read.
        sfi: as in `read_binary`.
        offset: as in `read_binary`.
        most: the most bytes that the card gives at a time.
    """
    head = content[: min(most, LE_SHORT_MAX)]
    answer = channel.send(_read_command(sfi, offset, len(head)))
    enough = len(answer.data) >= min(len(head), _TELLING)
    return answer.ok and enough and head.startswith(answer.data)


def verification_status(channel: Channel, reference: int) -> int:
    """VERIFY without data: the status word says how the PIN stands, and no try is spent (7816-4 §11.5.6)."""
    return channel.send(_command(0x20, 0x00, reference)).sw


def verify(channel: Channel, reference: int, block: bytes) -> int:
    """VERIFY once with the PIN as the card wants it encoded; the status word."""
    return channel.send(Command(0x00, 0x20, 0x00, reference, block, secret=True)).sw


def drop_verification(channel: Channel, reference: int) -> int:
    """VERIFY with P1 = FF sets the verification state to not verified (7816-4 §11.5.6); the status word."""
    return channel.send(_command(0x20, 0xFF, reference)).sw


def change_reference_data(channel: Channel, reference: int, old: bytes, new: bytes) -> int:
    """CHANGE REFERENCE DATA from `old` to `new` (7816-4 §11.5.7, P1 = 00); the status word."""
    return channel.send(Command(0x00, 0x24, 0x00, reference, old + new, secret=True)).sw


def reset_retry_counter(channel: Channel, reference: int, puk: bytes, new: bytes) -> int:
    """RESET RETRY COUNTER with resetting code and new PIN (7816-4 §11.5.10, P1 = 00); the status word."""
    return channel.send(Command(0x00, 0x2C, 0x00, reference, puk + new, secret=True)).sw


def key_references(key: int, algorithm: int | None) -> bytes:
    """Return the data of MANAGE SECURITY ENVIRONMENT: algorithm reference (tag 80) if any, key (tag 84)."""
    data = b"" if algorithm is None else bytes((0x80, 0x01, algorithm))
    return data + bytes((0x84, 0x01, key))


def manage_security_environment(channel: Channel, p1: int, p2: int, data: bytes) -> None:
    """MANAGE SECURITY ENVIRONMENT (7816-4 §11.5.11).

    Args:
        channel: the transaction.
        p1: 41 sets for computation and decipherment, F3 restores.
        p2: B6 for signatures, B8 for confidentiality, A4 for authentication; the number to restore.
        data: control references.

    Raises:
        StatusError: the card refused.
    """
    channel.send(_command(0x22, p1, p2, data)).require()


def hash_given(channel: Channel, digest: bytes) -> None:
    """PSO: HASH with a digest made outside (7816-8 §11.6, tag 90). Raise `StatusError` if refused."""
    channel.send(Command(0x00, 0x2A, 0x90, 0xA0, bytes((0x90, len(digest))) + digest)).require()


def signature(channel: Channel, ins: int, p1: int, p2: int, data: bytes) -> bytes:
    """Return what PSO: COMPUTE DIGITAL SIGNATURE or INTERNAL AUTHENTICATE makes of `data`.

    Raises:
        StatusError: the card refused.
        CardDataError: the answer is shorter than a signature of P-256, or longer than one of RSA 4096.
    """
    made = channel.send(Command(0x00, ins, p1, p2, data, le=LE_SHORT_MAX)).require()
    if not 64 <= len(made) <= 512:
        raise CardDataError(f"the card answered {len(made)} bytes for a signature")
    return made


def decipher(
    channel: Channel, cipher: bytes, *, p1: int = 0x80, p2: int = 0x86, indicator: bytes = b"\x00"
) -> bytes:
    """PSO: DECIPHER one block; 00 first says that its padding is the card's to remove (7816-8 §11.12).

    Raises:
        StatusError: the card refused.
        CardDataError: the answer is longer than what was deciphered.
    """
    plain = channel.send(Command(0x00, 0x2A, p1, p2, indicator + cipher, le=LE_SHORT_MAX)).require()
    if len(plain) > len(cipher):
        raise CardDataError("the card deciphered more bytes than it was given")
    return plain


def agree(channel: Channel, point: bytes) -> bytes:
    """PSO: DECIPHER with another's public key (7816-8 §11.12, template A6): what the card agrees upon.

    Raises:
        StatusError: the card refused.
    """
    public = tlv.Tlv(0x7F49, tlv.Tlv(0x86, point).encode()).encode()
    return channel.send(
        Command(0x00, 0x2A, 0x80, 0x86, tlv.Tlv(0xA6, public).encode(), le=LE_SHORT_MAX)
    ).require()


@contextmanager
def missing_object() -> Iterator[None]:
    """Run the body; raise `ObjectMissingError` if the card says that a file, record or key is not there."""
    try:
        yield
    except StatusError as error:
        if error.sw in _MISSING:
            raise ObjectMissingError from error
        raise


def require_certificate(der: bytes) -> bytes:
    """Return `der`, if it begins as a certificate does.

    Raises:
        ObjectMissingError: it is empty.
        CardDataError: it is something else.
    """
    if not der:
        raise ObjectMissingError("the place of a certificate is empty")
    if der[0] != 0x30:
        raise CardDataError("the place of a certificate holds something else")
    return der


# Nearly all of a visit's commands are those of the visit before.
@lru_cache(maxsize=128)
def _command(ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = None) -> Command:
    """Return a command that holds no secret and nothing of a document."""
    return Command(0x00, ins, p1, p2, data, le)


def _select(channel: Channel, p1: int, data: bytes) -> Response:
    return channel.send(_command(0xA4, p1, 0x00, data, LE_SHORT_MAX))


def _read_command(sfi: int | None, offset: int, le: int) -> Command:
    if sfi is not None:
        return _command(0xB0, 0x80 | sfi, 0x00, le=le)
    if not 0 <= offset <= 0x7FFF:
        raise CardDataError(f"a file cannot be read from offset {offset}")
    return _command(0xB0, offset >> 8, offset & 0xFF, le=le)
