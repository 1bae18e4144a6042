"""An identity as it lies in its folder: made, renewed, and loaded into a server."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agent.private_files import write_private
from agent.tls.certificates import issue
from agent.tls.scope import LOOPBACK, Scope

RENEWAL = timedelta(days=60)
"""How long before the end a new identity replaces the old one."""

_AT_ANY_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h, which `ssl` has no name for."""

CA, LEAF, KEY, FORMER = "ca.pem", "leaf.pem", "leaf.key", "former.pem"
"""The files in the identity's folder; the last holds the CA certificates that were replaced."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Where the identity lies.

    Attributes:
        ca: PEM certificate for trust stores.
        leaf: PEM certificate that the server shows.
        key: PEM private key of the leaf, readable by this user alone.
        not_after: when both certificates end.
        not_before: when both begin; a clock before it is wrong, for they were made by then.
        fresh: whether it was made by this very call, so that no browser can trust it yet.
        renewed: whether it took the place of an earlier one, which browsers may still trust.
        scope: for which names it speaks.
        machines: whether root made it for every user of this machine, and had it trusted for all of them.
    """

    ca: Path
    leaf: Path
    key: Path
    not_after: datetime
    not_before: datetime
    fresh: bool
    renewed: bool = False
    scope: Scope = LOOPBACK
    machines: bool = False

    def context(self) -> ssl.SSLContext:
        """Return a server context with TLS 1.2 and 1.3, for HTTP/1.1."""
        context = server_context()
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Show this leaf in every handshake from now on; connections that are open stay."""
        context.load_cert_chain(self.leaf, self.key)


def server_context() -> ssl.SSLContext:
    """As `Identity.context`, with no certificate yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def ensure(
    folder: Path, scope: Scope = LOOPBACK, *, now: datetime | None = None, renew: bool = False
) -> TlsIdentity:
    """Return the identity kept in `folder`, made or renewed when it is missing, damaged, or near its end.

    One that is not valid yet is kept: it was made, so that it is the clock that is wrong.

    Args:
        folder: the agent's TLS folder; created when missing.
        scope: for which names.
        now: aware UTC; the clock when left out.
        renew: make a new one in any case, as a person says.

    Raises:
        OSError: the folder cannot be written.
    """
    now = now or datetime.now(UTC)
    folder = scope.within(folder)
    period = None if renew else _period_of(folder, now)
    fresh = period is None
    renewed = False
    if period is None:
        renewed = _set_aside(folder)
        period = _make(folder, scope, now)
    begins, ends = period
    return TlsIdentity(folder / CA, folder / LEAF, folder / KEY, ends, begins, fresh, renewed, scope)


def in_use(own: Path, machines: Path | None, scope: Scope = LOOPBACK, *, now: datetime | None = None) -> Path:
    """Return the TLS folder of the identity that is shown: the machine's while usable, else the user's.

    Args:
        own: this user's TLS folder.
        machines: the machine's (`Paths.machine_tls`); None where there is none.
        scope: for which names.
        now: aware UTC; the clock when left out.
    """
    return machines if machines is not None and _of_machine(machines, scope, now) is not None else own


def shown(
    own: Path, machines: Path | None, scope: Scope = LOOPBACK, *, now: datetime | None = None
) -> TlsIdentity:
    """Return the identity that a user's agent shows: as `in_use`; the user's own is kept as by `ensure`.

    Raises:
        OSError: the user's folder has to be written and cannot be.
    """
    identity = _of_machine(machines, scope, now) if machines is not None else None
    return identity if identity is not None else ensure(own, scope, now=now)


def _of_machine(folder: Path, scope: Scope, now: datetime | None) -> TlsIdentity | None:
    """Root renews it in time, so it serves until its very end."""
    folder = scope.within(folder)
    period = _period_of(folder, now or datetime.now(UTC), margin=timedelta(0))
    if period is None:
        return None
    begins, ends = period
    return TlsIdentity(
        folder / CA, folder / LEAF, folder / KEY, ends, begins, fresh=False, scope=scope, machines=True
    )


def _period_of(folder: Path, now: datetime, margin: timedelta = RENEWAL) -> tuple[datetime, datetime] | None:
    """When the identity in `folder` begins and ends; None where it is missing, torn, mixed, near its end."""
    with suppress(OSError, ValueError):
        begins, ends = _accepted(folder)
        if now < ends - margin:
            return begins, ends
    return None


def _accepted(folder: Path) -> tuple[datetime, datetime]:
    """Have the leaf accepted, at any time, by whoever trusts the CA; when it begins and ends.

    OpenSSL does it, in a handshake in memory: an agent that starts need not load what makes certificates.

    Raises:
        OSError: a part is missing or damaged, or they do not belong together.
        ValueError: a part is something else.
    """
    server = server_context()
    server.load_cert_chain(folder / LEAF, folder / KEY, password="")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= _AT_ANY_TIME
    client.load_verify_locations(folder / CA)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks, shows = client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)
    for side in (asks, shows):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    asks.do_handshake()
    leaf = asks.getpeercert() or {}
    begins, ends = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str(leaf[name])), UTC)
        for name in ("notBefore", "notAfter")
    )
    return begins, ends


def _set_aside(folder: Path) -> bool:
    """Remember the CA that is about to be replaced, to be taken out of browsers; whether there was one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    with suppress(OSError, ValueError):
        replaced = x509.load_pem_x509_certificate((folder / CA).read_bytes()).public_bytes(Encoding.PEM)
        former = folder / FORMER
        earlier = former.read_bytes() if former.exists() else b""
        if replaced not in earlier:
            write_private(former, earlier + replaced)
        return True
    return False


def _make(folder: Path, scope: Scope, now: datetime) -> tuple[datetime, datetime]:
    """Write a new identity into `folder`; when it begins and ends."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    ca, leaf, key = issue(scope, now)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A crash between these leaves parts that do not belong together, which `_period_of` sees and replaces.
    write_private(folder / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(folder / LEAF, leaf.public_bytes(Encoding.PEM))
    write_private(folder / CA, ca.public_bytes(Encoding.PEM))
    return leaf.not_valid_before_utc, leaf.not_valid_after_utc
