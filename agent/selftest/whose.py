"""Whose the program on a port is: this agent, another of ours, the vendor's, something silent or unknown."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import inventory, tls
from agent.selftest.listeners import FoundListener, ListenerKind
from agent.trust.authority import certificates

if TYPE_CHECKING:
    from cryptography import x509

    from agent.paths import Paths


class Who(StrEnum):
    """Whose a listener is, as far as a person has to know."""

    NOBODY = "nobody"
    THIS = "this"
    THIS_EARLIER = "this, with an earlier certificate"
    """Root, or another process, renewed the certificate, and the agent has not looked since."""
    ANOTHER_FOLDERS = "another folder's agent"
    ANOTHER_USERS = "another user's agent"
    INTERCEPTED = "this, with somebody else's certificate"
    VENDOR = "the vendor's"
    SILENT = "silent"
    UNKNOWN = "unknown"


_PLAIN: Final = {
    ListenerKind.CLOSED: Who.NOBODY,
    ListenerKind.ANOTHER: Who.ANOTHER_USERS,
    ListenerKind.VENDOR: Who.VENDOR,
    ListenerKind.SILENT: Who.SILENT,
    ListenerKind.OTHER: Who.UNKNOWN,
}


def who(found: FoundListener, paths: Paths) -> Who:
    """Return whose it is for the agent of `paths`; reads files."""
    if found.answer is not ListenerKind.OURS:
        return _PLAIN[found.answer]
    if found.certificate:
        return _by_certificate(found.certificate, paths)
    last = inventory.read(paths.home)
    known = {os.getpid(), 0 if last is None else last.pid, 0}  # 0: this system does not tell
    return Who.THIS if found.pid in known else Who.ANOTHER_FOLDERS


def holder(found: FoundListener) -> str:
    """Return how a port and its program are shown: name and process, or whose it is, and which version."""
    shown = f"{found.port}：{found.holder or '不明的程式 unknown program'}"
    return f"{shown}，HCA Card Agent {found.version}" if found.version else shown


def _by_certificate(shown: bytes, paths: Paths) -> Who:
    folders = [each for each in (paths.tls, paths.machine_tls) if each is not None]
    for folder in folders:
        if shown in _certificates(folder / tls.LEAF):
            return Who.THIS if folder == tls.in_use(paths.tls, paths.machine_tls) else Who.THIS_EARLIER
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        leaf = x509.load_der_x509_certificate(shown)
        makers = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except ValueError:
        return Who.INTERCEPTED
    own = (
        each for folder in folders for name in (tls.CA, tls.FORMER) for each in _certificates(folder / name)
    )
    if any(_is_issued_by(leaf, each) for each in own):
        return Who.THIS_EARLIER
    return Who.ANOTHER_FOLDERS if [each.value for each in makers] == [tls.ORGANIZATION] else Who.INTERCEPTED


def _certificates(file: Path) -> tuple[bytes, ...]:
    try:
        return tuple(certificates(file.read_bytes()))
    except OSError:
        return ()


def _is_issued_by(leaf: x509.Certificate, issuer: bytes) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        leaf.verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
