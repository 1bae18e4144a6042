"""A throwaway authority for the portal of the browser tests, as a public one stands behind a real portal."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class PortalTls:
    """An authority and one certificate for `host`, in `folder`.

    Args:
        folder: a new one.
        host: a name, or `*.` and a name.
        beside: has the authority, if it is not to be another one.

    Attributes:
        authority: PEM certificate for a browser to trust.
    """

    def __init__(self, folder: Path, host: str, beside: PortalTls | None = None) -> None:
        folder.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throwaway CA of the browser tests")])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        if beside is None:
            self._ca_key = ec.generate_private_key(ec.SECP256R1())
            ca = (
                _builder(name, name, self._ca_key)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .sign(self._ca_key, hashes.SHA256())
            )
            self.authority = folder / "authority.pem"
            self.authority.write_bytes(ca.public_bytes(Encoding.PEM))
        else:
            self._ca_key, self.authority = beside._ca_key, beside.authority
        leaf = (
            _builder(subject, name, key)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._ca_key, hashes.SHA256())
        )
        self.chain = folder / "portal.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.chain.write_bytes(leaf.public_bytes(Encoding.PEM) + private)

    def context(self) -> ssl.SSLContext:
        """The server's side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain)
        return context

    @asynccontextmanager
    async def serving(self, host: str, application: web.Application, port: int = 0) -> AsyncIterator[str]:
        """`application` at `host` on that port of this machine, 0 is any; its origin."""
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", port))
        try:
            await web.SockSite(runner, listener, ssl_context=self.context()).start()
            yield f"https://{host}:{listener.getsockname()[1]}"
        finally:
            await runner.cleanup()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
    )
