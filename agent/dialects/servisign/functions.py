"""What a method is: its row in a table, the call its function is given, and how an answer becomes text."""

from __future__ import annotations

import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.framing import PageRequest, lenient_base64
from hca_card.pin import Pin

if TYPE_CHECKING:
    from agent.dialects.servisign.outside import Outside
    from agent.dialects.servisign.sessions import PageSession
    from agent.operations import Caller, Operations

WORDS_MAX: Final = 64 * 1024
CERTIFICATE_MAX: Final = 64 * 1024

FunctionAnswer = str | int | Sequence[str] | None
Implementation = Callable[["FunctionCall"], "FunctionAnswer | Awaitable[FunctionAnswer]"]


class ResultKind(Enum):
    """What a function hands back."""

    TEXT = auto()
    LIST = auto()
    HANDLE = auto()
    NUMBER = auto()
    STATUS = auto()


# A failed NUMBER is never empty or 0: pages compare loosely, and with `"" == 0` a failed "is it revoked?"
# would read as "no". A failed STATUS is its error code, because some pages look at nothing else.
_FAILURES: Final = {ResultKind.TEXT: "", ResultKind.LIST: "", ResultKind.HANDLE: "0", ResultKind.NUMBER: "-1"}


@dataclass(frozen=True, slots=True)
class LibraryFunction:
    """One function of a library.

    Attributes:
        index: the page's ServiSignFunctionIndex; nothing is decided by it.
        texts: JSON keys of the arguments that are text.
        numbers: of those that are numbers.
        secrets: of the PINs and PUKs.
        implementation: what answers.
    """

    name: str
    index: int
    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    secrets: tuple[str, ...]
    result: ResultKind
    implementation: Implementation

    def failure(self, code: int) -> str:
        """The text handed back when the function fails with `code`."""
        return _FAILURES.get(self.result, str(code))

    def success(self, answer: FunctionAnswer) -> str:
        """The text handed back for `answer`: every item of a list ends with a semicolon, the last one too."""
        if self.result is ResultKind.LIST and isinstance(answer, Sequence):
            return joined(answer)
        return "0" if answer is None else str(answer)

    def bind(self, request: PageRequest) -> Arguments:
        """The arguments of a call; PINs and PUKs are taken out of the request.

        Raises:
            FrameworkError: 61005, an argument cannot be read.
            LibraryError: 9040, a PIN has characters no PIN has; it is not sent anywhere.
        """
        secrets: dict[str, Pin | None] = {}
        try:
            for name in self.secrets:
                secrets[name] = _secret(request, name)
            return Arguments(
                texts={name: request.text(name) for name in self.texts},
                numbers={name: request.number(name) for name in self.numbers},
                secrets=secrets,
            )
        except BaseException:
            _wipe(secrets)
            raise


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, by name."""

    texts: dict[str, str] = field(default_factory=dict, repr=False)
    numbers: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, Pin | None] = field(default_factory=dict, repr=False)

    def wipe(self) -> None:
        """Overwrite the PINs and PUKs among them."""
        _wipe(self.secrets)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """What a function works with: who asks, with which arguments, in which session."""

    session: PageSession
    caller: Caller
    operations: Operations
    arguments: Arguments
    outside: Outside

    def text(self, name: str) -> str:
        """A text argument of some words.

        Raises:
            LibraryError: 5005, it is as long as no name, number or list of them is.
        """
        text = self.arguments.texts[name]
        if len(text) > WORDS_MAX:
            raise LibraryError(LibraryCode.PARAMETER)
        return text

    def number(self, name: str) -> int:
        """A number argument."""
        return self.arguments.numbers[name]

    def secret(self, name: str) -> Pin | None:
        """A PIN or PUK; it is wiped when the call ends."""
        return self.arguments.secrets[name]

    def data(self, name: str) -> bytes:
        """Bytes that a text argument holds in base64, wrapped or not.

        Raises:
            LibraryError: 5008.
        """
        try:
            return lenient_base64(self.arguments.texts[name].encode())
        except binascii.Error:
            raise LibraryError(LibraryCode.BASE64) from None

    def certificate(self, name: str) -> bytes:
        """A certificate, DER, that a text argument holds as this dialect hands it out.

        Raises:
            LibraryError: 5008; 5060, there is none, or none is so long.
        """
        der = self.data(name)
        if not 0 < len(der) <= CERTIFICATE_MAX:
            raise LibraryError(LibraryCode.BAD_CERTIFICATE)
        return der


def joined(items: Sequence[str]) -> str:
    """A list as text; a semicolon inside an item would shift all that follow, and becomes full-width."""
    return "".join(item.replace(";", "；") + ";" for item in items)


def error_code(call: FunctionCall) -> int:
    """ATL_GetErrorCode, GetErrorCode: the code of the session's last library call, which stays as it is."""
    return call.session.last_error


def refused_file(call: FunctionCall) -> FunctionAnswer:
    """Every function that would read or write a file which the page names.

    Raises:
        LibraryError: 5906, always.
    """
    raise LibraryError(LibraryCode.ACCESS_DENIED)


def table(*rows: tuple[str, str, ResultKind, Implementation]) -> dict[str, LibraryFunction]:
    """A library's methods by name, numbered in order.

    Args:
        rows: name, arguments (blanks between, each with its mark: `*` text, `#` number, `!` PIN or PUK),
            result, function.
    """
    return {row[0]: _function(index, *row) for index, row in enumerate(rows)}


def _function(
    index: int, name: str, words: str, result: ResultKind, implementation: Implementation
) -> LibraryFunction:
    marked: dict[str, list[str]] = {"*": [], "#": [], "!": []}
    for word in words.split():
        marked[word[0]].append(word[1:])
    texts, numbers, secrets = map(tuple, marked.values())
    return LibraryFunction(name, index, texts, numbers, secrets, result, implementation)


def _secret(request: PageRequest, name: str) -> Pin | None:
    try:
        return request.take_secret(name)
    except ValueError:
        raise LibraryError(LibraryCode.PIN_INVALID) from None


def _wipe(secrets: dict[str, Pin | None]) -> None:
    for pin in secrets.values():
        if pin is not None:
            pin.wipe()
