"""What lies outside this machine, on loopback: an authority with OCSP and time stamps, and a directory.

Every answer is OpenSSL's own, so that what the agent makes of it is judged by another implementation.
"""

from __future__ import annotations

import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.keys import kept_key
from tests.support.ldap_server import Directory
from tests.support.openssl import openssl_program
from tests.support.waiting import LIMIT

NOW = datetime.now(UTC).replace(microsecond=0)
REVOKED_AT = datetime(2026, 1, 15, 3, 4, 5, tzinfo=UTC)
TSA_POLICY = "1.2.886.1.1.9"

_TSA_CONFIG = """
[tsa]
default_tsa = here
[here]
serial = {folder}/tsa-serial
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = {policy}
digests = sha1, sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    """What the command line of OpenSSL says."""
    done = subprocess.run(
        [openssl_program(), *arguments], input=data, capture_output=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, (arguments, done.stderr.decode())
    return done.stdout


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def write(self, folder: Path, name: str) -> None:
        (folder / f"{name}.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )


class Authority:
    """A certification authority, its OCSP responder, its time stamping authority, and certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = self._issue("CA", 1, None, x509.BasicConstraints(ca=True, path_length=None))
        self.responder = self._issue(
            "OCSP", 2, self.ca, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
        )
        self.tsa = self._issue("TSA", 3, self.ca, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]))
        self.sender = self._issue("sender", 4, self.ca)
        # The highest bit set: DER writes a leading zero octet.
        self.good = self._issue(
            "王,小明+\\", 0xF00000000000000000000000000000A1, self.ca, email="a@example.tw"
        )
        self.revoked = self._issue("revoked", 0xA2, self.ca)
        for name in ("ca", "responder", "tsa"):
            getattr(self, name).write(folder, "ocsp" if name == "responder" else name)
        (folder / "tsa-serial").write_text("01\n", "ascii")
        (folder / "tsa.cnf").write_text(_TSA_CONFIG.format(folder=folder, policy=TSA_POLICY), "ascii")
        (folder / "index.txt").write_text(
            f"V\t400101000000Z\t\t{self.good.certificate.serial_number:X}\tunknown\t/CN=good\n"
            f"R\t400101000000Z\t260115030405Z,keyCompromise\t{self.revoked.certificate.serial_number:X}"
            "\tunknown\t/CN=revoked\n",
            "ascii",
        )
        self.crl = self._crl()
        self._lock = threading.Lock()

    def stamp(self, question: bytes) -> bytes:
        """TimeStampResp to a TimeStampReq."""
        query, reply = self.folder / "query", self.folder / "reply"
        with self._lock:
            query.write_bytes(question)
            openssl(
                "ts",
                "-reply",
                "-config",
                str(self.folder / "tsa.cnf"),
                "-queryfile",
                str(query),
                "-out",
                str(reply),
            )
            return reply.read_bytes()

    def ocsp(self, question: bytes) -> bytes:
        """OCSPResponse to an OCSPRequest."""
        query, reply = self.folder / "request", self.folder / "response"
        with self._lock:
            query.write_bytes(question)
            openssl(
                "ocsp", "-index", str(self.folder / "index.txt"), "-CA", str(self.folder / "ca.pem"),
                "-rsigner", str(self.folder / "ocsp.pem"), "-rkey", str(self.folder / "ocsp.key"),
                "-reqin", str(query), "-respout", str(reply), "-nmin", "5",
            )  # fmt: skip
            return reply.read_bytes()

    def _crl(self) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.ca.certificate.subject)
            .last_update(NOW)
            .next_update(NOW + timedelta(days=7))
        )
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(self.revoked.certificate.serial_number)
            .revocation_date(REVOKED_AT)
            .add_extension(x509.CRLReason(x509.ReasonFlags.superseded), critical=False)
        )
        crl = builder.add_revoked_certificate(entry.build()).sign(self.ca.key, SHA256())
        return crl.public_bytes(Encoding.DER)

    def _issue(
        self,
        name: str,
        serial: int,
        issuer: Issued | None,
        *extensions: x509.ExtensionType,
        email: str = "",
    ) -> Issued:
        key = kept_key(f"outside world {serial}")
        parts = [
            (NameOID.COUNTRY_NAME, "TW"),
            (NameOID.ORGANIZATION_NAME, "測試機關"),
            (NameOID.COMMON_NAME, name),
        ]
        if email:
            parts.append((NameOID.EMAIL_ADDRESS, email))
        subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])
        usages = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign",
             "encipher_only", "decipher_only", "key_cert_sign", "digital_signature"), False,
        )  # fmt: skip
        used = (
            ("key_cert_sign", "crl_sign") if issuer is None else ("digital_signature", "content_commitment")
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .serial_number(serial)
            .public_key(key.public_key())
            .not_valid_before(NOW - timedelta(days=100))
            .not_valid_after(NOW + timedelta(days=1000))
            .add_extension(x509.KeyUsage(**usages | dict.fromkeys(used, True)), critical=True)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return Issued(builder.sign(issuer.key if issuer else key, SHA256()), key)


@dataclass
class AllowedHosts:
    """The servers.

    Attributes:
        requests: (path, body) of every HTTP request.
        broken: what HTTP answers instead: status and body; None is the truth.
    """

    authority: Authority
    directory: Directory
    http_port: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    broken: tuple[int, bytes] | None = None

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def ldap(self) -> str:
        return f"127.0.0.1:{self.directory.port}"


@contextmanager
def outside_world(folder: Path) -> Iterator[AllowedHosts]:
    """An authority, reached by HTTP, and a directory, both on loopback."""
    authority = Authority(folder)
    outside = AllowedHosts(authority, Directory())
    with ExitStack() as ending:
        outside.directory.port = ending.enter_context(_serving(outside.directory.server()))
        outside.http_port = ending.enter_context(_serving(_http(outside)))
        yield outside


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        address = server.server_address
        assert isinstance(address, tuple)
        yield int(address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _http(outside: AllowedHosts) -> ThreadingHTTPServer:
    kinds: dict[str, Callable[[bytes], bytes]] = {
        "application/timestamp-query": outside.authority.stamp,
        "application/ocsp-request": outside.authority.ocsp,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            outside.requests.append((self.path, body))
            status, answer = outside.broken or (200, kinds[self.headers["Content-Type"]](body))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://{outside.http}/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
