"""A public key infrastructure of the tests: what stands around a card when a signature is to last.

Root, authority, holders (RSA and EC; good, expired, revoked, not yet valid, of another purpose), OCSP
responders, revocation lists and time stamp authorities, all by certomancer. `Pki.evidence()` answers in
process, `served()` over HTTP on loopback; both can be told to answer wrongly. Names are invented.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, ClassVar, Final

import certomancer.default_plugins  # noqa: F401  registers them
from aiohttp import web
from asn1crypto import ocsp, tsp
from asn1crypto.algos import SignedDigestAlgorithm
from asn1crypto.keys import PrivateKeyInfo, PublicKeyInfo
from certomancer import crypto_utils
from certomancer.registry import ArchLabel, CertLabel, PKIArchitecture, ServiceLabel
from certomancer.registry.keys import AsymKey, KeyFromFile, KeySet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from hca_card.errors import ObjectMissingError
from hca_card.model import Card, CardCertificate, CardKind, CertificateUse, KeyUse, Metadata
from signing.errors import EvidenceError
from signing.formats import RevocationEvidence, Signer
from signing.hashes import Hash
from tests.support.keys import kept_key
from tests.support.portal_holder import INSTITUTION, PERSONNEL, directory_attributes

NOW: Final = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
"""The hour in which the tests run: judges of other makers go by the clock on the wall."""
DAY: Final = timedelta(days=1)
REVOKED_SINCE: Final = NOW - 10 * DAY

RSA_SIGNER: Final = "rsa"
EC_SIGNER: Final = "ec"
SIGNERS: Final = (RSA_SIGNER, EC_SIGNER)
"""What every format has to be tried with."""

# label: key, common name, type, begins, ends (days from now), key usage, extended, revoked
_HOLDERS: Final[dict[str, dict[str, Any]]] = {
    "rsa": {},
    "rsa3072": {"key": "rsa3072"},
    "ec": {"key": "ec"},
    "ec384": {"key": "ec384"},
    "institution": {"key": "institution", "name": "測試聯合診所", "type": INSTITUTION},
    "institution-ec": {"key": "ec384", "name": "測試衛生所", "type": INSTITUTION},
    "expired": {"begins": -400, "ends": -30},
    "expired-ec": {"key": "ec", "begins": -400, "ends": -30},
    "not-yet": {"begins": 30, "ends": 400},
    "revoked": {"revoked": True},
    "revoked-ec": {"key": "ec", "revoked": True},
    "encryption": {"usage": ["key_encipherment", "data_encipherment"]},
    "tls-server": {"usage": ["digital_signature"], "extended": ["server_auth"]},
    "weak": {"key": "weak"},
    "stranger": {"issuer": "strange-root"},
}


@cache
def key(label: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """One key for each label in a test run: making them takes longer than everything else."""
    curves: dict[str, ec.EllipticCurve] = {"ec384": ec.SECP384R1(), "ec": ec.SECP256R1()}
    curves |= dict.fromkeys(("tsa-archive", "ocsp", "strange-root", "forger"), ec.SECP256R1())
    if label in curves:
        return ec.generate_private_key(curves[label])
    return kept_key(f"test PKI {label}", {"weak": 1024, "rsa3072": 3072}.get(label, 2048))


class _Signing(crypto_utils.PycaCryptographyBackend):  # type: ignore[misc]
    """Signs with keys that are loaded; certomancer loads and checks one for each signature, for 40 ms."""

    def generic_sign(
        self, private_key: PrivateKeyInfo, tbs_bytes: bytes, sd_algo: SignedDigestAlgorithm
    ) -> bytes:
        loaded, algorithm = _loaded(private_key.dump()), getattr(hashes, sd_algo.hash_algo.upper())()
        match sd_algo.signature_algo:
            case "rsassa_pkcs1v15" if isinstance(loaded, rsa.RSAPrivateKey):
                return loaded.sign(tbs_bytes, padding.PKCS1v15(), algorithm)
            case "ecdsa" if isinstance(loaded, ec.EllipticCurvePrivateKey):
                return loaded.sign(tbs_bytes, ec.ECDSA(algorithm))
        raise NotImplementedError(sd_algo.signature_algo)


@cache
def _loaded(private_key: bytes) -> PrivateKeyTypes:
    return load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)


crypto_utils.CRYPTO_BACKEND = _Signing()


class _Keys(KeySet):  # type: ignore[misc]
    """Keys in memory, where certomancer reads files."""

    def __init__(self) -> None:
        pass

    def __getitem__(self, label: Any) -> KeyFromFile:
        pair, found = key(str(label)), KeyFromFile(label, "")
        private = pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        public = pair.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        found._key = AsymKey(PublicKeyInfo.load(public), PrivateKeyInfo.load(private))
        return found


def _validity(begins: float, ends: float) -> dict[str, str]:
    return {
        "valid-from": (NOW + begins * DAY).isoformat(),
        "valid-to": (NOW + ends * DAY).isoformat(),
    }


def _usage(names: list[str]) -> dict[str, Any]:
    return {"id": "key_usage", "critical": True, "smart-value": {"schema": "key-usage", "params": names}}


def _authority(subject: str, issuer: str, extensions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "subject": subject,
        "issuer": issuer,
        "validity": _validity(-3650, 3650),
        "extensions": [
            {"id": "basic_constraints", "critical": True, "value": {"ca": True}},
            _usage(["key_cert_sign", "crl_sign"]),
            *extensions,
        ],
    }


def _addresses(responder: str, repository: str) -> list[dict[str, Any]]:
    return [
        {
            "id": "authority_information_access",
            "smart-value": {"schema": "aia-urls", "params": {"ocsp-responder-names": [responder]}},
        },
        {
            "id": "crl_distribution_points",
            "smart-value": {"schema": "crl-dist-url", "params": {"crl-repo-names": [repository]}},
        },
    ]


def _holder(label: str, number: int, facts: dict[str, Any]) -> dict[str, Any]:
    kind = facts.get("type", PERSONNEL)
    attributes = {"schema": "der-bytes", "params": directory_attributes(kind).hex()}
    extensions = [
        _usage(facts.get("usage", ["digital_signature", "non_repudiation"])),
        {"id": "subject_directory_attributes", "smart-value": attributes},
        {"id": "certificate_policies", "value": [{"policy_identifier": "2.16.886.101.0.3.3"}]},
    ]
    if "extended" in facts:
        extensions.append({"id": "extended_key_usage", "value": facts["extended"]})
    issuer = facts.get("issuer", "ca")
    if issuer == "ca":
        extensions += _addresses("ocsp", "crl")
    specification = {
        "subject": label,
        "subject-key": facts.get("key", "rsa"),
        "issuer": issuer,
        "serial": 0x5000 + number,
        "validity": _validity(facts.get("begins", -365), facts.get("ends", 365)),
        "extensions": extensions,
    }
    if facts.get("revoked"):
        specification["revocation"] = {
            "revoked-since": REVOKED_SINCE.isoformat(),
            "reason": "key_compromise",
        }
    return specification


def _stamper(subject: str, **facts: Any) -> dict[str, Any]:
    purpose = facts.pop("extended", ["time_stamping"])
    return {
        "subject": subject,
        "subject-key": "tsa",
        "issuer": "root",
        "validity": _validity(-700, 1400),
        "extensions": [
            _usage(["digital_signature"]),
            {"id": "extended_key_usage", "critical": True, "value": purpose},
            *_addresses("ocsp-root", "crl-root"),
        ],
        **facts,
    }


def _configuration() -> dict[str, Any]:
    def entity(name: str, unit: str = "", number: str = "") -> dict[str, str]:
        parts = {"country-name": "TW", "organization-name": "測試", "common-name": name}
        parts |= {"organizational-unit-name": unit} if unit else {}
        return parts | ({"serial-number": number} if number else {})

    entities = {
        "root": entity("測試憑證總管理中心"),
        "ca": entity("測試醫事憑證管理中心"),
        "strange-root": entity("別處的憑證管理中心"),
        "tsa": entity("測試時戳中心"),
        "tsa-archive": entity("測試時戳中心二"),
        "tsa-expired": entity("過期的時戳中心"),
        "tsa-purpose": entity("不是時戳中心"),
        "tsa-stranger": entity("別處的時戳中心"),
        "ocsp": entity("測試憑證狀態中心"),
        "ocsp-root": entity("測試憑證狀態總中心"),
    }
    certificates = {
        "root": _authority("root", "root", []),
        "ca": _authority("ca", "root", _addresses("ocsp-root", "crl-root")),
        "strange-root": _authority("strange-root", "strange-root", []),
        "tsa": _stamper("tsa"),
        "tsa-archive": _stamper("tsa-archive") | {"subject-key": "tsa-archive"},
        "tsa-expired": _stamper("tsa-expired", validity=_validity(-700, -1)),
        "tsa-purpose": _stamper("tsa-purpose", extended=["server_auth"]),
        "tsa-stranger": _stamper("tsa-stranger", issuer="strange-root"),
    }
    for label, issuer in (("ocsp", "ca"), ("ocsp-root", "root")):
        certificates[label] = {
            "subject": label,
            "subject-key": "ocsp",
            "issuer": issuer,
            "validity": _validity(-700, 1400),
            "extensions": [
                _usage(["digital_signature"]),
                {"id": "extended_key_usage", "value": ["ocsp_signing"]},
                {"id": "ocsp_no_check", "value": None},
            ],
        }
    for number, (label, facts) in enumerate(_HOLDERS.items()):
        entities[label] = entity(facts.get("name", "王測試"), number=f"{335361 + number:016}")
        certificates[label] = _holder(label, number, facts)
    stampers = [label for label in certificates if label.startswith("tsa")]
    answers = {"validity-period": {"days": 7}}
    return {
        "keyset": "memory",
        "entities": entities,
        "certs": certificates,
        "services": {
            "ocsp": {
                "ocsp": {"for-issuer": "ca", "responder-cert": "ocsp", "signing-key": "ocsp", **answers},
                "ocsp-root": {
                    "for-issuer": "root",
                    "responder-cert": "ocsp-root",
                    "signing-key": "ocsp",
                    **answers,
                },
            },
            "crl-repo": {
                repository: {
                    "for-issuer": issuer,
                    "signing-key": issuer,
                    "simulated-update-schedule": "P1D",
                }
                for repository, issuer in (("crl", "ca"), ("crl-root", "root"))
            },
            "time-stamping": {
                label: {
                    "signing-cert": label,
                    "signing-key": certificates[label]["subject-key"],
                    "certs-to-embed": ["root"],
                }
                for label in stampers
            },
        },
    }


@dataclass(frozen=True)
class Pki:
    """Everything; certificates are made when they are asked for.

    Attributes:
        address: what stands in front of the addresses in the certificates; nobody listens at the default.
    """

    address: str = "http://pki.test"

    @cached_property
    def architecture(self) -> PKIArchitecture:
        label = ArchLabel("pki")
        return next(
            iter(
                PKIArchitecture.build_architectures(
                    {"memory": _Keys()},  # type: ignore[arg-type]
                    {label.value: _configuration()},
                    self.address,
                    None,
                )
            )
        )

    @cache  # noqa: B019  a test run has one PKI or few
    def certificate(self, label: str) -> bytes:
        """DER of a certificate: a signer's, `root`, `ca`, `strange-root`, `tsa`, `ocsp` …."""
        return bytes(self.architecture.get_cert(CertLabel(label)).dump())

    @property
    def root(self) -> bytes:
        return self.certificate("root")

    @property
    def ca(self) -> bytes:
        return self.certificate("ca")

    @cache  # noqa: B019
    def chain(self, label: str) -> tuple[bytes, ...]:
        """The issuers, nearest first and the root last, DER."""
        return tuple(self.certificate(str(each)) for each in self.architecture.get_chain(CertLabel(label)))

    def signer(self, label: str = RSA_SIGNER) -> Signer:
        """What a format is told of the signer."""
        return Signer(self.certificate(label), self.chain(label))

    def card(self, label: str = RSA_SIGNER, **facts: Any) -> PkiCard:
        """A card in software with that signer's key and certificates."""
        return PkiCard(pki=self, label=label, **facts)

    def evidence(self, **facts: Any) -> PkiEvidence:
        """What answers for this PKI, in process."""
        return PkiEvidence(self, **facts)

    def issuer_label(self, issuer: bytes) -> str:
        labels = ("ca", "root", "strange-root")
        return next(label for label in labels if self.certificate(label) == issuer)


@cache
def pki() -> Pki:
    """The one of a test run, for everything that needs no HTTP."""
    return Pki()


def sign_with(label: str, digest: bytes, algorithm: Hash) -> bytes:
    """A signature over a digest by that holder's key, as `signing.formats.Ready.finish` takes it."""
    pair = key(_HOLDERS[label].get("key", "rsa"))
    hashed = Prehashed(getattr(hashes, algorithm.value.replace("-", ""))())
    if isinstance(pair, rsa.RSAPrivateKey):
        return pair.sign(digest, padding.PKCS1v15(), hashed)
    return pair.sign(digest, ec.ECDSA(hashed))


@dataclass
class PkiCard(Card):
    """A card in software: RSA as HCA cards do it, EC as ISO/IEC 7816-8 has it, r ‖ s.

    Attributes:
        label: whose it is.
        spoils: what a broken or hostile card does to its signatures.
    """

    pki: Pki
    label: str = RSA_SIGNER
    kind: CardKind = CardKind.PERSONNEL
    serial: str = "000000335361"
    spoils: bool = False
    asked: list[str] = field(default_factory=list)

    def metadata(self) -> Metadata:
        return Metadata(self.kind, "2", self.serial, None)

    def certificate_indexes(self) -> tuple[int, ...]:
        return (0, 1, 4)

    def certificate(self, index: int) -> CardCertificate:
        self.asked.append(f"certificate {index}")
        labels = {
            0: ("ca", CertificateUse.CA),
            1: (self.label, CertificateUse.SIGNATURE),
            4: ("root", CertificateUse.ROOT),
        }
        if index not in labels:
            raise ObjectMissingError
        label, use = labels[index]
        return CardCertificate(index, use, self.pki.certificate(label))

    def has_key(self, use: KeyUse) -> bool:
        return use is KeyUse.SIGNATURE

    def sign(self, use: KeyUse, digest_info: bytes) -> bytes:
        self.asked.append(f"sign {use}")
        pair = key(_HOLDERS[self.label].get("key", "rsa"))
        signature = (
            _raw_rsa(pair, digest_info)
            if isinstance(pair, rsa.RSAPrivateKey)
            else _raw_ecdsa(pair, digest_info)
        )
        return signature[:-1] + bytes((signature[-1] ^ 1,)) if self.spoils else signature


def _raw_rsa(pair: rsa.RSAPrivateKey, digest_info: bytes) -> bytes:
    numbers, length = pair.private_numbers(), pair.key_size // 8
    block = b"\x00\x01" + b"\xff" * (length - 3 - len(digest_info)) + b"\x00" + digest_info
    return pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(length, "big")


def _raw_ecdsa(pair: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    named = {20: hashes.SHA1, 28: hashes.SHA224, 32: hashes.SHA256, 48: hashes.SHA384, 64: hashes.SHA512}
    r, s = decode_dss_signature(pair.sign(digest, ec.ECDSA(Prehashed(named[len(digest)]()))))
    length = (pair.key_size + 7) // 8
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


@dataclass
class PkiEvidence:
    """`signing.formats.Evidence` by this PKI; its attributes say how it answers.

    Attributes:
        at: when stamps and answers are made.
        stamps: a stamper's label (`tsa`, `tsa-archive`, `tsa-expired`, `tsa-purpose`, `tsa-stranger`), or
            `down`, `refuses`, `wrong` (over other data), `future` (two days from `at`), `forged`.
        answers: `ocsp`, `crl`, `down`, `forged` (signed by somebody else), `stale` (a month before `at`),
            `forged-crl` (a changed bit), `stale-crl`.
        asked: what was asked, in order.
    """

    pki: Pki
    at: datetime = NOW
    stamps: str = "tsa"
    answers: str = "ocsp"
    asked: list[str] = field(default_factory=list)

    def later(self, moment: datetime, **facts: Any) -> PkiEvidence:
        """The same at another moment."""
        return replace(self, at=moment, asked=[], **facts)

    async def timestamp(self, imprint: bytes, algorithm: Hash) -> bytes:
        self.asked.append("timestamp")
        question = tsp.TimeStampReq(
            {
                "version": "v1",
                "message_imprint": {
                    "hash_algorithm": {"algorithm": algorithm.asn1_name},
                    "hashed_message": imprint,
                },
                "cert_req": True,
            }
        )
        answered = self.stamp_answer(question.dump())
        if self.stamps == "refuses":
            raise EvidenceError("the authority gives no time stamp")
        answer = tsp.TimeStampResp.load(answered)
        return bytes(answer["time_stamp_token"].dump())

    def stamp_answer(self, question: bytes) -> bytes:
        """TimeStampResp, DER, to a TimeStampReq."""
        if self.stamps == "down":
            raise EvidenceError("the time stamp authority does not answer")
        asked = tsp.TimeStampReq.load(question)
        if self.stamps == "refuses":
            # asn1crypto writes no TimeStampResp without a stamp.
            status = tsp.PKIStatusInfo({"status": "rejection"}).dump()
            return b"\x30" + bytes((len(status),)) + status
        if self.stamps == "wrong":
            octets = bytes(asked["message_imprint"]["hashed_message"])
            asked["message_imprint"]["hashed_message"] = octets[:-1] + bytes((octets[-1] ^ 1,))
        known = self.stamps if self.stamps.startswith("tsa") else "tsa"
        moment = self.at + 2 * DAY if self.stamps == "future" else self.at
        registry = self.pki.architecture.service_registry
        stamper = registry.summon_timestamper(ServiceLabel(known), moment)
        answer = stamper.request_tsa_response(asked)
        if self.stamps == "forged":
            signed = answer["time_stamp_token"]["content"]["signer_infos"][0]
            octets = bytes(signed["signature"])
            signed["signature"] = octets[:-1] + bytes((octets[-1] ^ 1,))
        return bytes(answer.dump(force=True))

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        self.asked.append("chain")
        labels = self.pki.architecture._cert_specs
        for label in labels:
            if self.pki.certificate(str(label)) == certificate:
                return self.pki.chain(str(label))
        raise EvidenceError("nobody knows who issued the certificate")

    async def revocation(self, certificate: bytes, issuer: bytes) -> RevocationEvidence:
        self.asked.append("revocation")
        if self.answers == "down":
            raise EvidenceError("the authority does not answer")
        if self.answers.endswith("crl"):
            return RevocationEvidence(crl=self.revocation_list(self.pki.issuer_label(issuer)))
        from signing.certificate import parsed
        from signing.revocation import to_be_signed

        tbs = ocsp.TBSRequest.load(to_be_signed((parsed(certificate).number,), b"", issuer))
        question = ocsp.OCSPRequest({"tbs_request": tbs}).dump()
        return RevocationEvidence(ocsp=self.ocsp_answer(question, self.pki.issuer_label(issuer)))

    @property
    def _said(self) -> datetime:
        return self.at - 30 * DAY if self.answers.startswith("stale") else self.at

    def ocsp_answer(self, question: bytes, issuer: str = "ca") -> bytes:
        """OCSPResponse, DER, to an OCSPRequest about a certificate of that authority."""
        label = ServiceLabel("ocsp" if issuer == "ca" else "ocsp-root")
        responder = self.pki.architecture.service_registry.summon_responder(label, self._said)
        if self.answers == "forged":
            responder.responder_key = _Keys()["forger"].private_key_info
        return bytes(responder.build_ocsp_response(ocsp.OCSPRequest.load(question)).dump())

    def revocation_list(self, issuer: str = "ca") -> bytes:
        """CertificateList, DER, of that authority."""
        label = ServiceLabel("crl" if issuer == "ca" else "crl-root")
        made = self.pki.architecture.service_registry.get_crl(label, self._said)
        if self.answers == "forged-crl":
            octets = bytes(made["signature"].native)
            made["signature"] = octets[:-1] + bytes((octets[-1] ^ 1,))
        return bytes(made.dump(force=True))


@dataclass
class ServedPki:
    """A PKI on loopback: `pki` has its addresses in the certificates, `evidence` says how it answers."""

    pki: Pki
    evidence: PkiEvidence
    asked: list[str] = field(default_factory=list)
    MEDIA: ClassVar[dict[str, str]] = {
        "tsa": "application/timestamp-reply",
        "ocsp": "application/ocsp-response",
        "crls": "application/pkix-crl",
    }

    def stamp_address(self, label: str = "tsa") -> str:
        """Where that time stamp authority listens."""
        return f"{self.pki.address}/pki/tsa/{label}"

    async def answer(self, request: web.Request) -> web.Response:
        kind, label = request.match_info["kind"], request.match_info["label"]
        self.asked.append(f"{kind} {label}")
        issuer = "root" if label.endswith("root") else "ca"
        try:
            if kind == "tsa":
                asked = await request.read()
                known = self.evidence.stamps if label == "tsa" else label
                body = replace(self.evidence, stamps=known).stamp_answer(asked)
            elif self.evidence.answers == "down":
                raise web.HTTPServiceUnavailable
            elif kind == "ocsp":
                body = self.evidence.ocsp_answer(await request.read(), issuer)
            else:
                body = self.evidence.revocation_list(issuer)
        except EvidenceError:
            raise web.HTTPServiceUnavailable from None
        return web.Response(body=body, content_type=self.MEDIA[kind])


@asynccontextmanager
async def served() -> AsyncIterator[ServedPki]:
    """A PKI whose responders, lists and stampers listen on a port of loopback."""
    here: list[ServedPki] = []

    async def answer(request: web.Request) -> web.Response:
        return await here[0].answer(request)

    application = web.Application()
    application.router.add_route("*", "/pki/{kind}/{label}{rest:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        pki = Pki(f"http://{host}:{port}")
        # A responder looks through all certificates: keys are made before anybody waits for an answer.
        await asyncio.to_thread(pki.architecture._load_all_certs)
        here.append(ServedPki(pki, pki.evidence()))
        yield here[0]
    finally:
        await runner.cleanup()
