"""PC/SC library: triple DES with keys that pages make. Old, and still what their vendor's sample does."""

from __future__ import annotations

import secrets
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign import card
from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.functions import FunctionCall
from agent.dialects.servisign.keys import encoded
from agent.dialects.servisign.open_objects import SecretKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
    from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

BLOCK: Final = 8
SESSION_KEY_LENGTHS: Final = range(1, 65)


class _CipherMechanism(IntEnum):
    """PKCS#11 v2.40 §2.10; neither pads."""

    DES3_ECB = 0x132
    DES3_CBC = 0x133


def generate_key(call: FunctionCall) -> str:
    """ATL_GenerateSessionKey: that many random bytes.

    Raises:
        LibraryError: 9025, fewer than 1 or more than 64.
    """
    length = call.numbers["length"]
    if length not in SESSION_KEY_LENGTHS:
        raise LibraryError(LibraryCode.KEY_SIZE)
    return encoded(secrets.token_bytes(length))


def encrypt(call: FunctionCall) -> str:
    """ATL_SymEncryptionAlg.

    Raises:
        LibraryError: 9015, no whole number of blocks.
    """
    data, context = call.data("b64Data"), _cipher(call).encryptor()
    if len(data) % BLOCK:
        raise LibraryError(LibraryCode.DATA_LENGTH)
    return _through(context, data)


def decrypt(call: FunctionCall) -> str:
    """ATL_SymDecryptionAlg.

    Raises:
        LibraryError: 9020, no whole number of blocks.
    """
    cipher, context = call.data("b64Cipher"), _cipher(call).decryptor()
    if len(cipher) % BLOCK:
        raise LibraryError(LibraryCode.ENCRYPTED_DATA_LENGTH)
    return _through(context, cipher)


def _through(context: CipherContext, data: bytes) -> str:
    return encoded(context.update(data) + context.finalize())


def _cipher(call: FunctionCall) -> Cipher[CBC | ECB]:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

    card.named_session(call)
    key = call.session.objects.get(call.numbers["ulSsKeyObject"], SecretKey)
    if key.session != call.numbers["ulSessionHandle"]:
        raise LibraryError(LibraryCode.KEY_HANDLE)
    mode: CBC | ECB
    match call.numbers["ulAlgorithm"]:
        case _CipherMechanism.DES3_ECB:
            mode = ECB()  # noqa: S305  (what the page asked for, with the page's own key and data)
        case _CipherMechanism.DES3_CBC:
            mode = CBC(_vector(call.text("hexIv")))
        case _:
            raise LibraryError(LibraryCode.MECHANISM)
    return Cipher(TripleDES(key.octets), mode)


def _vector(text: str) -> bytes:
    try:
        vector = bytes.fromhex(text)
    except ValueError:
        vector = b""
    if len(vector) != BLOCK:
        raise LibraryError(LibraryCode.MECHANISM_PARAMETER)
    return vector
