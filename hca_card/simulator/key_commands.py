"""MANAGE SECURITY ENVIRONMENT (ISO/IEC 7816-4 §11.5.11) and PERFORM SECURITY OPERATION (ISO/IEC 7816-8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

from hca_card.simulator.dispatcher import Handler, RefusalError
from hca_card.simulator.ec import EcKey
from hca_card.simulator.rsa import RsaKey
from pcsc.apdu import Command, Response
from pcsc.status import StatusWord

SIGNATURE_KEY = 0x01
ENCRYPTION_KEY = 0x02

INS_PSO = 0x2A
ALGORITHM_RSA_PKCS1, ALGORITHM_RSA_PSS, ALGORITHM_ECDSA = 0x11, 0x12, 0x21
"""Algorithm references, those of IsoApplet, which knows no PSS."""

CardKey = RsaKey | EcKey


class _Template(IntEnum):
    """Control reference templates (ISO/IEC 7816-4 §10.3, table 54)."""

    SIGNATURE = 0xB6
    CONFIDENTIALITY = 0xB8


class KeyCommands:
    """The private keys of a card and which of them the next operation uses.

    Args:
        keys: key reference to key.
        require_pin: raises a refusal unless the PIN has been verified.
    """

    def __init__(self, keys: Mapping[int, CardKey], require_pin: Callable[[], None]) -> None:
        self._keys = keys
        self._require_pin = require_pin
        self._environment: dict[int, CardKey] = {}
        self._pss = False

    def reset(self) -> None:
        """As after power-up: no key is chosen."""
        self._environment.clear()

    def handlers(self) -> Mapping[int, Handler]:
        """Return the commands by INS."""
        return {0x22: self._manage_security_environment, INS_PSO: self._perform_security_operation}

    def _manage_security_environment(self, command: Command) -> Response:
        """SET for computation and decipherment (P1 = 41): algorithm in tag 80, private key in tag 84."""
        if command.p1 != 0x41 or command.p2 not in list(_Template):
            raise RefusalError(StatusWord.WRONG_P1P2)
        references = _data_objects(command.data)
        key = self._keys.get(int.from_bytes(references.get(0x84, b""), "big"))
        known = (ALGORITHM_ECDSA,) if isinstance(key, EcKey) else (ALGORITHM_RSA_PKCS1, ALGORITHM_RSA_PSS)
        algorithm = int.from_bytes(references.get(0x80, bytes(known[:1])), "big")
        if algorithm not in known:
            raise RefusalError(StatusWord.FUNCTION_NOT_SUPPORTED)
        if key is None:
            raise RefusalError(StatusWord.REFERENCE_NOT_FOUND)
        self._environment[command.p2] = key
        self._pss = algorithm == ALGORITHM_RSA_PSS
        return Response(b"", StatusWord.SUCCESS)

    def _perform_security_operation(self, command: Command) -> Response:
        match command.p1, command.p2:
            case 0x9E, 0x9A:
                key = self._key(_Template.SIGNATURE)
                sign = key.sign_pss if self._pss and isinstance(key, RsaKey) else key.sign
                return _operate(sign, command.data, StatusWord.WRONG_LENGTH)
            case 0x80, 0x86:
                key = self._key(_Template.CONFIDENTIALITY)
                if isinstance(key, EcKey):
                    return _operate(key.decipher, command.data, StatusWord.WRONG_DATA)
                if command.data[:1] != b"\x00":
                    # The padding indicator: no further indication (ISO/IEC 7816-4 table 52).
                    raise RefusalError(StatusWord.WRONG_DATA)
                return _operate(key.decipher, command.data[1:], StatusWord.WRONG_DATA)
            case _:
                raise RefusalError(StatusWord.WRONG_P1P2)

    def _key(self, template: _Template) -> CardKey:
        key = self._environment.get(template)
        if key is None:
            raise RefusalError(StatusWord.CONDITIONS)
        self._require_pin()
        return key


def _operate(operation: Callable[[bytes], bytes], data: bytes, refusal: StatusWord) -> Response:
    try:
        return Response(operation(data), StatusWord.SUCCESS)
    except ValueError:
        raise RefusalError(refusal) from None


def _data_objects(data: bytes) -> dict[int, bytes]:
    """Return the objects of one-byte tag and one-byte length in a control reference template."""
    found: dict[int, bytes] = {}
    while data:
        if len(data) < 2 or data[1] > 0x7F or len(data) < 2 + data[1]:
            raise RefusalError(StatusWord.WRONG_DATA)
        found[data[0]] = data[2 : 2 + data[1]]
        data = data[2 + data[1] :]
    return found
