"""What the two ends of the pipe say to each other: a length of four bytes, then one message.

PINs travel as octets in memory that both ends wipe; nothing here is ever written anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, get_args

import msgspec

FRAME_MAX: Final = 4 * 1024 * 1024
LENGTH_SIZE: Final = 4
TEXT_MAX: Final = 64
"""The longest text of CK_SLOT_INFO and CK_TOKEN_INFO."""


class _ModulePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Slot(_ModulePart, frozen=True, kw_only=True):
    """A slot with an initialised token in it.

    Attributes:
        id: the module's number for it, good for as long as its process lives.
        description: of the slot; modules for readers say the reader's name, cut to 64 bytes.
        hardware: whether the module says that it is a device.
        label: of the token.
        serial: of the token.
    """

    id: int
    description: str
    hardware: bool
    label: str
    serial: str

    def __post_init__(self) -> None:
        _require_plain(self.description, self.label, self.serial)


class Certificate(_ModulePart, frozen=True):
    """An X.509 certificate; `id` joins it to its key."""

    id: bytes
    der: bytes


class Key(_ModulePart, frozen=True):
    """A private key, RSA or EC.

    Attributes:
        handle: good until the session ends.
        id: CKA_ID, that of its certificate.
        modulus: big-endian, without leading zeros; empty where the module does not tell.
        elliptic: an EC key.
    """

    handle: int
    id: bytes
    modulus: bytes
    elliptic: bool = False


class SlotList(_ModulePart, frozen=True, tag="slot-list"):
    """The slots with a token."""

    slots: tuple[Slot, ...]


class Token(_ModulePart, frozen=True, tag="token", kw_only=True):
    """CK_TOKEN_INFO, as far as it matters; `flags` as there."""

    label: str
    serial: str
    flags: int
    min_length: int
    max_length: int

    def __post_init__(self) -> None:
        _require_plain(self.label, self.serial)


class TokenCertificates(_ModulePart, frozen=True, tag="certificate-list"):
    """The certificates, in the module's order."""

    certificates: tuple[Certificate, ...]


class KeyList(_ModulePart, frozen=True, tag="key-list"):
    """The private keys, in the module's order."""

    keys: tuple[Key, ...]


class Octets(_ModulePart, frozen=True, tag="octets"):
    """A signature or a plain text."""

    octets: bytes

    def __repr__(self) -> str:
        return "Octets(…)"


class Done(_ModulePart, frozen=True, tag="done"):
    """It is done."""


class Ready(_ModulePart, frozen=True, tag="ready"):
    """The module is loaded; the first thing that is said."""


class Unusable(_ModulePart, frozen=True, tag="unusable"):
    """It cannot be loaded, said instead of `Ready`."""

    detail: str


class CallRefused(_ModulePart, frozen=True, tag="refused"):
    """The module refused: its return value, and which function gave it."""

    value: int
    detail: str


Answer = SlotList | Token | TokenCertificates | KeyList | Octets | Done | Ready | Unusable | CallRefused

AnswerT = TypeVar("AnswerT", bound=Answer)


class ModuleQuestion(_ModulePart, Generic[AnswerT], frozen=True):
    """What is asked of the module, and the type of its answer."""


class _AtSlot(ModuleQuestion[AnswerT], frozen=True):
    slot: int


class _KeyWork(_AtSlot[Octets], frozen=True):
    key: int
    data: bytes


class _WithPin(_AtSlot[Done], frozen=True):
    pin: bytearray | None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Slots(ModuleQuestion[SlotList], frozen=True, tag="slots"):
    """Which slots have a token?"""


class Open(_AtSlot[Token], frozen=True, tag="open"):
    """Begin with the token in a slot: one read-only session."""


class LookAtToken(_AtSlot[Token], frozen=True, tag="look"):
    """How does the token stand?"""


class Certificates(_AtSlot[TokenCertificates], frozen=True, tag="certificates"):
    """All certificates."""


class Keys(_AtSlot[KeyList], frozen=True, tag="keys"):
    """All private keys that can be seen."""


class Login(_WithPin, frozen=True, tag="login"):
    """Log in once; without a PIN it is typed on the keypad."""


class Sign(_KeyWork, frozen=True, tag="sign"):
    """CKM_RSA_PKCS over a DigestInfo, with an EC key CKM_ECDSA over a digest."""


class SignPss(_KeyWork, frozen=True, tag="sign-pss"):
    """CKM_RSA_PKCS_PSS over a digest, whose length says the hash; the salt is as long."""


class Agree(_KeyWork, frozen=True, tag="agree"):
    """CKM_ECDH1_DERIVE with a point, uncompressed; the secret."""


class Decrypt(_KeyWork, frozen=True, tag="decrypt"):
    """CKM_RSA_PKCS of one block."""


class SetPin(_WithPin, frozen=True, tag="set-pin"):
    """Replace the PIN; without both they are typed on the keypad."""

    new: bytearray | None


class Unblock(_WithPin, frozen=True, tag="unblock"):
    """Set a new PIN as security officer."""

    pin: bytearray
    new: bytearray


class Close(_AtSlot[Done], frozen=True, tag="close"):
    """Log out and end the session."""


Request = (
    Slots | Open | LookAtToken | Certificates | Keys | Login | Sign | SignPss | Agree | Decrypt | SetPin
    | Unblock | Close
)  # fmt: skip

_ENCODER: Final = msgspec.msgpack.Encoder()
_REQUESTS: Final = msgspec.msgpack.Decoder(Request)
_ANSWERS: Final = msgspec.msgpack.Decoder(Answer)


def _require_plain(*texts: str) -> None:
    """Refuse what the process would never say by itself: the module in it may have taken it over."""
    if not all(len(text) <= TEXT_MAX and text.isprintable() for text in texts):
        raise ValueError("a text that no slot or token can have")


def frame(message: ModuleQuestion[Any] | Answer) -> bytearray:
    """One message as it is written; wipe it when it may hold a PIN."""
    buffer = bytearray()
    _ENCODER.encode_into(message, buffer, LENGTH_SIZE)
    buffer[:LENGTH_SIZE] = (len(buffer) - LENGTH_SIZE).to_bytes(LENGTH_SIZE, "big")
    return buffer


def answer_type(question: ModuleQuestion[AnswerT]) -> type[AnswerT]:
    """Return the type that the question's class names."""
    kind: type[AnswerT] = get_args(type(question).__orig_bases__[0])[0]  # type: ignore[attr-defined]
    return kind


def read_request(read_into: Callable[[memoryview], int]) -> Request | None:
    """Return the next request, or None at the end of the pipe.

    Args:
        read_into: reads some bytes into memory and says how many; 0 is the end.

    Raises:
        msgspec.MsgspecError, ValueError, RecursionError: it is not what the agent says.
    """
    request: Request | None = _read(read_into, _REQUESTS)
    return request


def read_answer(read_into: Callable[[memoryview], int]) -> Answer | None:
    """Return the next answer, or None at the end of the pipe, as `read_request` does."""
    answer: Answer | None = _read(read_into, _ANSWERS)
    return answer


def wipe(*secrets: bytearray | None) -> None:
    """Overwrite what may be a PIN or a plain text."""
    for secret in secrets:
        if secret is not None:
            secret[:] = bytes(len(secret))


def _read(read_into: Callable[[memoryview], int], decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    head = _exactly(read_into, LENGTH_SIZE)
    if head is None:
        return None
    length = int.from_bytes(head, "big")
    if length > FRAME_MAX:
        raise ValueError("a message is too long")
    content = _exactly(read_into, length)
    try:
        return None if content is None else decoder.decode(content)
    finally:
        wipe(content)


def _exactly(read_into: Callable[[memoryview], int], length: int) -> bytearray | None:
    buffer = bytearray(length)
    filled = 0
    with memoryview(buffer) as view:
        while filled < length:
            count = read_into(view[filled:])
            if not count:
                return None
            filled += count
    return buffer
