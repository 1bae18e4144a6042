"""What a library function is: its row in a table, the call it is given, and how an answer becomes text."""

from __future__ import annotations

import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from agent.dialects.servisign.framing import PageRequest, lenient_base64
from hca_card.pin import Pin

if TYPE_CHECKING:
    from agent.dialects.agreed import AgreedSessions
    from agent.dialects.servisign.network import AllowedHosts
    from agent.dialects.servisign.sessions import PageSession
    from agent.operations import Operations

TEXT_CHARACTERS_MAX: Final = 64 * 1024
CERTIFICATE_BYTES_MAX: Final = 64 * 1024

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
        """Return the text handed back when the function fails with `code`."""
        return _FAILURES.get(self.result, str(code))

    def success(self, answer: FunctionAnswer) -> str:
        """Return the text handed back for `answer`."""
        if self.result is ResultKind.LIST and isinstance(answer, Sequence):
            return joined(answer)
        return "0" if answer is None else str(answer)


class FunctionCall:
    """What a function works with: who asks, in which session, with which arguments.

    Args:
        function: says which arguments the request has; PINs and PUKs are taken out of it.
        agreed: where PINs and PUKs that the page sends are not taken, what serves it instead.

    Attributes:
        numbers: the number arguments.
        secrets: the PINs and PUKs; they are wiped when the call ends.

    Raises:
        FrameworkError: 61005, an argument cannot be read.
        LibraryError: 9040, a PIN has characters no PIN has; it is not sent anywhere.
    """

    __slots__ = ("_texts", "agreed", "caller", "hosts", "numbers", "operations", "secrets", "session")

    def __init__(
        self,
        function: LibraryFunction,
        request: PageRequest,
        session: PageSession,
        operations: Operations,
        hosts: AllowedHosts,
        *,
        agreed: AgreedSessions | None = None,
    ) -> None:
        self.session = session
        self.agreed = agreed
        self.caller = session.caller
        self.operations = operations
        self.hosts = hosts
        self._texts: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.secrets: dict[str, Pin | None] = {}
        try:
            for name in function.secrets:
                self.secrets[name] = _secret(request, name, used=agreed is None)
            for name in function.texts:
                self._texts[name] = request.text(name)
            for name in function.numbers:
                self.numbers[name] = request.number(name)
        except BaseException:
            self.wipe()
            raise

    def wipe(self) -> None:
        """Overwrite the PINs and PUKs."""
        for pin in self.secrets.values():
            if pin is not None:
                pin.wipe()

    def text(self, name: str) -> str:
        """Return a text argument of some words.

        Raises:
            LibraryError: 5005, it is as long as no name, number or list of them is.
        """
        text = self._texts[name]
        if len(text) > TEXT_CHARACTERS_MAX:
            raise LibraryError(LibraryCode.PARAMETER)
        return text

    def data(self, name: str) -> bytes:
        """Return the bytes that a text argument holds in base64, wrapped or not.

        Raises:
            LibraryError: 5008.
        """
        try:
            return lenient_base64(self._texts[name].encode())
        except binascii.Error:
            raise LibraryError(LibraryCode.BASE64) from None

    def certificate(self, name: str) -> bytes:
        """Return a certificate, DER, that a text argument holds as this dialect hands it out.

        Raises:
            LibraryError: 5008; 5060, there is none, or none is so long.
        """
        der = self.data(name)
        if not 0 < len(der) <= CERTIFICATE_BYTES_MAX:
            raise LibraryError(LibraryCode.BAD_CERTIFICATE)
        return der


def joined(items: Sequence[str]) -> str:
    """Return a list as text: every item ends with a semicolon, and one inside an item becomes full-width."""
    return "".join(item.replace(";", "；") + ";" for item in items)


def error_code(call: FunctionCall) -> int:
    """ATL_GetErrorCode, GetErrorCode: the code of the session's last library call, which stays as it is."""
    return call.session.last_error


def refused_file(call: FunctionCall) -> FunctionAnswer:
    """Refuse to read or write a file which the page names, for every function that would.

    Raises:
        LibraryError: 5906, always.
    """
    raise LibraryError(LibraryCode.ACCESS_DENIED)


def of_certificate(function: Callable[[bytes], FunctionAnswer], name: str = "b64Cert") -> Implementation:
    """Return `function` of the certificate in the argument `name`."""
    return lambda call: function(call.certificate(name))


def table(*rows: tuple[str, str, ResultKind, Implementation]) -> dict[str, LibraryFunction]:
    """Return a library's functions by name, numbered in order.

    Args:
        rows: name, arguments (blanks between, each with its mark: `*` text, `#` number, `!` PIN or PUK),
            result, implementation.
    """
    functions = {}
    for index, (name, words, result, implementation) in enumerate(rows):
        marked: dict[str, list[str]] = {"*": [], "#": [], "!": []}
        for word in words.split():
            marked[word[0]].append(word[1:])
        texts, numbers, secrets = map(tuple, marked.values())
        functions[name] = LibraryFunction(name, index, texts, numbers, secrets, result, implementation)
    return functions


def _secret(request: PageRequest, name: str, *, used: bool) -> Pin | None:
    """Take a PIN or PUK out of the request; one that is not used is wiped, whatever it is."""
    try:
        pin = request.take_secret(name)
    except ValueError:
        if not used:
            return None
        raise LibraryError(LibraryCode.PIN_INVALID) from None
    if pin is not None and not used:
        pin.wipe()
        return None
    return pin
