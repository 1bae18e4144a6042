"""What a session has opened, by the small numbers its page knows: modules, card sessions, keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from agent.dialects.servisign.codes import LibraryCode, LibraryError
from hca_card.model import KeyUse
from hca_card.pin import Pin

if TYPE_CHECKING:
    from agent.operations import Selected, SigningSession
    from agent.pins.kept import KeptPin

# Pages forget to delete keys and to close modules; the oldest goes when a session has too many.
OBJECTS_MAX: Final = 64


@dataclass(slots=True, eq=False)
class CardModule:
    """ATL_InitModule or HCA_OpenCOMPort: one card, and the certificates that its page has been given.

    Attributes:
        certificates: DER by number; looked at before each further use, as they are renewed in place.
    """

    selected: Selected
    certificates: dict[int, bytes] = field(default_factory=dict)

    def select(self, selected: Selected) -> None:
        """Work with this card from now on."""
        self.selected = selected
        self.forget()

    def forget(self) -> None:
        """Drop what has been read."""
        self.certificates.clear()


@dataclass(slots=True, eq=False)
class CardSession:
    """ATL_InitSession: a module and, where the page asked the PIN, that PIN.

    Attributes:
        signing: where pages' PINs are not taken, what the person's one PIN is good for.
    """

    module: int
    kept: KeptPin | None = field(default=None, repr=False)
    signing: SigningSession | None = field(default=None, repr=False)

    @property
    def open(self) -> bool:
        """Whether it has a PIN that can be used."""
        if self.signing is not None:
            return self.signing.ended is None
        return self.kept is not None and not self.kept.wiped

    def forget(self) -> None:
        """Wipe the PIN; a signing session goes on for the other pages of the origin."""
        if self.kept is not None:
            self.kept.wipe()
        self.kept = self.signing = None


@dataclass(slots=True, eq=False)
class OfficerSession:
    """ATL_InitSOSession: a module, its card then, and the PUK that its page handed over, until its use."""

    module: int
    serial: str
    puk: Pin | None = field(default=None, repr=False)

    def take(self) -> Pin | None:
        """Return the PUK for the one use it was given for; the caller wipes it. None: ask the person."""
        puk, self.puk = self.puk, None
        return puk

    def wipe(self) -> None:
        """Forget the PUK."""
        if self.puk is not None:
            self.puk.wipe()
            self.puk = None


@dataclass(slots=True, eq=False)
class CardKey:
    """One half of a key pair of the card, with its certificate: public work needs no card."""

    session: int
    private: bool
    use: KeyUse
    certificate: bytes


@dataclass(slots=True, eq=False)
class SecretKey:
    """A symmetric key that the page brought."""

    session: int
    octets: bytes = field(repr=False)


Opened = CardModule | CardSession | OfficerSession | CardKey | SecretKey
_T = TypeVar("_T", CardModule, CardSession, OfficerSession, CardKey, SecretKey)

_UNKNOWN: Final = {
    CardModule: LibraryCode.HANDLE,
    CardSession: LibraryCode.SESSION_HANDLE,
    OfficerSession: LibraryCode.SESSION_HANDLE,
    CardKey: LibraryCode.KEY_HANDLE,
    SecretKey: LibraryCode.KEY_HANDLE,
}


class OpenObjects:
    """Objects by handle. They start at 1 and are never given twice; closing one closes what hangs on it."""

    def __init__(self) -> None:
        self._objects: dict[int, Opened] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, opened: Opened) -> int:
        """Return the handle of a new object; close the oldest of its sort where there are too many."""
        same = [handle for handle, other in self._objects.items() if type(other) is type(opened)]
        if len(same) >= OBJECTS_MAX:
            self.remove(same[0])
        self._last += 1
        self._objects[self._last] = opened
        return self._last

    def get(self, handle: int, kind: type[_T]) -> _T:
        """Return the object of that handle.

        Raises:
            LibraryError: there is none of that sort: 5006 module, 9046 session, 9024 key.
        """
        opened = self._objects.get(handle)
        if not isinstance(opened, kind):
            raise LibraryError(_UNKNOWN[kind])
        return opened

    def latest_module(self) -> tuple[int, CardModule]:
        """Return the module opened last and its handle, for the functions that name none.

        Raises:
            LibraryError: 9038, nothing has been opened.
        """
        for handle, opened in reversed(self._objects.items()):
            if isinstance(opened, CardModule):
                return handle, opened
        raise LibraryError(LibraryCode.NOT_INITIALISED)

    def is_key(self, handle: int) -> bool:
        """Whether the handle is that of a key, of whichever sort."""
        return isinstance(self._objects.get(handle), CardKey | SecretKey)

    def is_officer(self, handle: int, module: int) -> bool:
        """Whether the handle is that of a security officer's session on that module."""
        opened = self._objects.get(handle)
        return isinstance(opened, OfficerSession) and opened.module == module

    def session_of(self, module: int) -> tuple[int, CardSession] | None:
        """Return the card session opened last on a module and its handle, if any."""
        for handle, opened in reversed(self._objects.items()):
            if isinstance(opened, CardSession) and opened.module == module:
                return handle, opened
        return None

    def remove(self, handle: int) -> None:
        """Close an object and all that was opened on it."""
        opened = self._objects.pop(handle, None)
        if isinstance(opened, CardSession):
            opened.forget()
        elif isinstance(opened, OfficerSession):
            opened.wipe()
        for other, opened_on_it in tuple(self._objects.items()):
            if _parent(opened_on_it) == handle:
                self.remove(other)

    def forget(self) -> None:
        """Wipe every PIN and PUK, drop what has been read of cards, and leave the rest open."""
        for opened in self._objects.values():
            if isinstance(opened, CardModule | CardSession):
                opened.forget()
            elif isinstance(opened, OfficerSession):
                opened.wipe()

    def clear(self) -> None:
        """Close everything."""
        self.forget()
        self._objects.clear()


def _parent(opened: Opened) -> int | None:
    match opened:
        case CardSession() | OfficerSession():
            return opened.module
        case CardKey() | SecretKey():
            return opened.session
    return None
