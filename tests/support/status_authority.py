"""A certification authority of the tests with an OCSP responder and a CRL, served on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from aiohttp import web
from asn1crypto.crl import CertificateList
from asn1crypto.ocsp import OCSPResponse
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.support.keys import kept_key

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """One key for each name; making them takes long."""
    assert name
    return kept_key(f"status authority {name}")


def name_of(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(
    subject: str,
    issuer: str,
    serial: int,
    *extensions: x509.ExtensionType,
    begins: datetime = NOW - 100 * DAY,
    ends: datetime = NOW + 1000 * DAY,
) -> x509.Certificate:
    """A certificate of `key(subject)` signed by `key(issuer)`."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(subject))
        .issuer_name(name_of(issuer))
        .public_key(key(subject).public_key())
        .serial_number(serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key(issuer), SHA256())


def _digest(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _ocsp_with_sha1(answer: bytes, signer: rsa.RSAPrivateKey) -> bytes:
    """The answer signed as cryptography signs none any more."""
    whole = OCSPResponse.load(answer)
    basic = whole["response_bytes"]["response"].parsed
    basic["signature_algorithm"] = {"algorithm": "sha1_rsa"}
    basic["signature"] = signer.sign(basic["tbs_response_data"].dump(), PKCS1v15(), SHA1())
    inner = {"response_type": "basic_ocsp_response", "response": basic}
    return bytes(OCSPResponse({"response_status": "successful", "response_bytes": inner}).dump())


def _crl_with_sha1(crl: bytes, signer: rsa.RSAPrivateKey) -> bytes:
    listed = CertificateList.load(crl)
    listed["tbs_cert_list"]["signature"] = {"algorithm": "sha1_rsa"}
    listed["signature_algorithm"] = {"algorithm": "sha1_rsa"}
    listed["signature"] = signer.sign(listed["tbs_cert_list"].dump(), PKCS1v15(), SHA1())
    return bytes(listed.dump())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@dataclass
class Authority:
    """The authority; its attributes say how it answers.

    Attributes:
        revoked: serial numbers, with the reason.
        known: serial numbers that the OCSP responder knows.
        signer: whose key signs OCSP answers; another than the issuer's is appointed where `appointed` says.
        said: when it says so.
        until: until when; None leaves it out.
        nonce: "repeat", "omit" or "other".
        names: whose certificates OCSP answers are about.
        sha1: whether answers are signed with SHA-1.
        responder_ends: when the appointed responder's certificate ends.
        crl_issuer: the name on the list.
        replay: this very answer whatever is asked.
        asked: what was asked, in order: "ocsp" and "crl".
        status: the HTTP status of everything.
    """

    revoked: dict[int, x509.ReasonFlags] = field(default_factory=dict)
    known: set[int] = field(default_factory=lambda: {7, 8})
    signer: str = "issuer"
    appointed: bool = True
    said: datetime = NOW - timedelta(hours=1)
    until: datetime | None = NOW + DAY
    nonce: str = "repeat"
    names: str = "issuer"
    sha1: bool = False
    responder_ends: datetime = NOW + 1000 * DAY
    replay: bytes | None = None
    crl_signer: str = "issuer"
    crl_issuer: str = "issuer"
    status: int = 200
    asked: list[str] = field(default_factory=list)
    last: bytes = b""

    @property
    def issuer(self) -> x509.Certificate:
        return certificate("issuer", "issuer", 1, x509.BasicConstraints(True, None))

    def holder(
        self, base: str = "", *, ocsp: bool = True, crl: bool = True, serial: int = 7
    ) -> x509.Certificate:
        """A holder's certificate that names the responder and the list at `base`."""
        extensions: list[x509.ExtensionType] = []
        if ocsp:
            place = x509.UniformResourceIdentifier(f"{base}/ocsp")
            described = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
            extensions.append(x509.AuthorityInformationAccess([described]))
        if crl:
            place = x509.UniformResourceIdentifier(f"{base}/crl")
            extensions.append(x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)]))
        return certificate("holder", "issuer", serial, *extensions)

    def answer(self, question: bytes) -> bytes:
        """An OCSP answer to `question`."""
        request = ocsp.load_der_ocsp_request(question)
        serial = request.serial_number
        if serial not in self.known:
            state = ocsp.OCSPCertStatus.UNKNOWN
        elif serial in self.revoked:
            state = ocsp.OCSPCertStatus.REVOKED
        else:
            state = ocsp.OCSPCertStatus.GOOD
        revoked = state is ocsp.OCSPCertStatus.REVOKED
        responder = self.responder()
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            _digest(name_of(self.names).public_bytes()),
            request.issuer_key_hash,
            serial,
            SHA1(),
            state,
            self.said,
            self.until,
            NOW - 30 * DAY if revoked else None,
            self.revoked[serial] if revoked else None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
        if self.signer != "issuer":
            builder = builder.certificates([responder])
        if self.nonce != "omit":
            sent = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
            builder = builder.add_extension(
                x509.OCSPNonce(sent if self.nonce == "repeat" else bytes(16)), critical=False
            )
        answer = builder.sign(key(self.signer), SHA256()).public_bytes(Encoding.DER)
        return _ocsp_with_sha1(answer, key(self.signer)) if self.sha1 else answer

    def responder(self) -> x509.Certificate:
        if self.signer == "issuer":
            return self.issuer
        use = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.OCSP_SIGNING if self.appointed else ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        return certificate(self.signer, "issuer", 3, use, ends=self.responder_ends)

    def crl(self, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
        """The list as it stands."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name_of(self.crl_issuer))
            .last_update(self.said)
            .next_update(self.until or NOW)
        )
        for serial, reason in self.revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            entry = entry.revocation_date(NOW - 30 * DAY).add_extension(x509.CRLReason(reason), False)
            builder = builder.add_revoked_certificate(entry.build())
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        crl = builder.sign(key(self.crl_signer), SHA256()).public_bytes(Encoding.DER)
        return _crl_with_sha1(crl, key(self.crl_signer)) if self.sha1 else crl

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Answer on a port of 127.0.0.1; its address."""
        application = web.Application()
        application.router.add_post("/ocsp", self._ocsp)
        application.router.add_get("/crl", self._crl)
        application.router.add_route("*", "/elsewhere", self._elsewhere)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _ocsp(self, request: web.Request) -> web.Response:
        self.asked.append("ocsp")
        self.last = self.replay or self.answer(await request.read())
        return web.Response(body=self.last, status=self.status, content_type="application/ocsp-response")

    async def _crl(self, _request: web.Request) -> web.Response:
        self.asked.append("crl")
        return web.Response(body=self.crl(), status=self.status, content_type="application/pkix-crl")

    async def _elsewhere(self, _request: web.Request) -> web.Response:
        self.asked.append("elsewhere")
        raise web.HTTPFound("/crl")
