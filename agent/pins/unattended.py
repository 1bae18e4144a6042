"""Signing without a person: a PIN in the system's keyring, for one card and named sites or folders.

Off unless the configuration turns it on. The PIN is never in a file of ours, and never handed to a keyring
that keeps it in a plain one: only the keyrings of the systems themselves are used, whatever the library's
own configuration says. Its first failure deletes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agent.errors import AgentError, ErrorId
from hca_card.pin import Pin

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)

SERVICE: Final = "hca-agent"
_KEYRINGS: Final = frozenset(
    f"keyring.backends.{name}" for name in ("SecretService", "libsecret", "kwallet", "macOS", "Windows")
)


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For whom the PIN of a card is kept.

    Attributes:
        origins: exact origins.
        folders: absolute; documents in them and below, signed by this person's own command.
    """

    origins: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def covers(self, origin: str | None, folder: Path | None) -> bool:
        """Whether a document of `origin`, or of this person's own in `folder`, is covered."""
        if origin is not None:
            return origin in self.origins
        return folder is not None and any(folder.is_relative_to(each) for each in self.folders)


class _Entry(Grant, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pin: str

    def __repr__(self) -> str:
        return "_Entry(…)"


def system_keyring() -> KeyringBackend:
    """Return the keyring of this system.

    Raises:
        AgentError: keyring.unavailable: there is none, or only kinds that keep secrets in a plain file.
    """
    from keyring.backend import get_all_keyring

    known = [each for each in get_all_keyring() if type(each).__module__.startswith(tuple(_KEYRINGS))]
    if not known:
        raise AgentError(ErrorId.KEYRING_UNAVAILABLE)
    return max(known, key=lambda each: each.priority)


class Unattended:
    """The PINs kept for work that nobody attends. Every method but the constructor blocks.

    Args:
        enabled: whether the configuration turns it on; else nothing is ever found.
        open_keyring: gives the keyring; late, because it takes a while and few need it.
    """

    def __init__(self, *, enabled: bool, open_keyring: Callable[[], KeyringBackend] = system_keyring) -> None:
        self._enabled = enabled
        self._open_keyring = open_keyring

    @property
    def enabled(self) -> bool:
        """Whether the configuration turns it on."""
        return self._enabled

    def require_enabled(self) -> None:
        """Refuse where the configuration does not turn it on.

        Raises:
            AgentError: unattended.disabled.
        """
        if not self._enabled:
            raise AgentError(ErrorId.UNATTENDED_DISABLED)

    def find(self, serial: str, origin: str | None, folder: Path | None) -> Pin | None:
        """Return the card's PIN, where it is kept for this work; a keyring that cannot be asked has none."""
        if not self._enabled:
            return None
        try:
            entry = self._read(serial)
        except Exception as error:
            # Whatever a keyring raises: the person is asked instead. Its words could hold the secret.
            log.warning("the keyring could not be asked: %s", type(error).__name__)
            return None
        return Pin(entry.pin) if entry is not None and entry.covers(origin, folder) else None

    def remember(self, serial: str, pin: Pin, grant: Grant) -> None:
        """Keep `pin` for the card, in place of what was kept for it.

        Raises:
            AgentError: unattended.disabled, keyring.unavailable.
        """
        self.require_enabled()
        entry = _Entry(pin=pin.octets.decode("ascii"), origins=grant.origins, folders=grant.folders)
        with _worded():
            self._open_keyring().set_password(SERVICE, serial, msgspec.json.encode(entry).decode("ascii"))

    def forget(self, serial: str) -> bool:
        """Delete what is kept for the card; False where nothing was. Works where it is turned off, too.

        Raises:
            AgentError: keyring.unavailable.
        """
        with _worded():
            keyring = self._open_keyring()
            if keyring.get_password(SERVICE, serial) is None:
                return False
            keyring.delete_password(SERVICE, serial)
            return True

    def _read(self, serial: str) -> _Entry | None:
        text = self._open_keyring().get_password(SERVICE, serial)
        return None if text is None else msgspec.json.decode(text, type=_Entry)


@contextmanager
def _worded() -> Iterator[None]:
    """Raise a keyring's failures in our words; its own could hold the secret."""
    try:
        yield
    except AgentError:
        raise
    except Exception as error:
        raise AgentError(ErrorId.KEYRING_UNAVAILABLE, detail=type(error).__name__) from None
