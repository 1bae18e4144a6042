"""Wycheproof's signatures, each through every way in which a person can have one judged.

The vectors sign octets of their own, so that they fit a bare signature and CMS without signed attributes;
XML, JWS and log-in tokens, which sign what they are made of, are given their numbers where that is possible.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from hca_card.tlv import Tlv
from signing.errors import SignatureInvalidError
from signing.formats.jws import encoded
from signing.hashes import Hash
from signing.sign import ecdsa_der
from signing.verification import jws, xml
from signing.verification.findings import Finding
from signing.verification.found import FoundDocument
from signing.verification.judge import judge
from signing.verification.reading import read
from signing.verification.report import Verdict
from signing.verify import verify
from signing.xml.algorithms import Scheme, SignatureMethod
from tests.support.vectors import (
    Counted,
    Record,
    certificate,
    issuer_and_number,
    sequence,
    trust,
    wycheproof_named,
)

pytestmark = pytest.mark.timeout(600)  # seconds of work each, on a machine that may be busy

OID: Final = {
    "data": "06092a864886f70d010701",
    "signedData": "06092a864886f70d010702",
    "rsaEncryption": "06092a864886f70d010101",
    "RSASSA-PSS": "06092a864886f70d01010a",
    "MGF1": "06092a864886f70d010108",
    Hash.SHA_1: "06052b0e03021a",
    Hash.SHA_224: "0609608648016503040204",
    Hash.SHA_256: "0609608648016503040201",
    Hash.SHA_384: "0609608648016503040202",
    Hash.SHA_512: "0609608648016503040203",
    ("ecdsa", Hash.SHA_256): "06082a8648ce3d040302",
    ("ecdsa", Hash.SHA_384): "06082a8648ce3d040303",
    ("ecdsa", Hash.SHA_512): "06082a8648ce3d040304",
}  # fmt: skip


def oid(name: object) -> bytes:
    return bytes.fromhex(OID[name])  # type: ignore[index]


def method(scheme: str, group: dict[str, Any]) -> bytes:
    """The AlgorithmIdentifier of the signature."""
    algorithm = Hash(group["sha"])
    if scheme == "ecdsa":
        return sequence(oid(("ecdsa", algorithm)))
    if scheme == "rsa":
        return sequence(oid("rsaEncryption"), b"\x05\x00")
    mask = sequence(oid("MGF1"), sequence(oid(Hash(group["mgfSha"])), b"\x05\x00"))
    salt = sequence(Tlv(0x02, group["sLen"].to_bytes(2, "big").lstrip(b"\0") or b"\0").encode(), tag=0xA2)
    hashed = sequence(sequence(oid(algorithm), b"\x05\x00"), tag=0xA0)
    return sequence(oid("RSASSA-PSS"), sequence(hashed, sequence(mask, tag=0xA1), salt))


def cms(signer: bytes, scheme: str, group: dict[str, Any], message: bytes, signature: bytes) -> bytes:
    """A SignedData over the message, without signed attributes."""
    hashed = sequence(oid(Hash(group["sha"])), b"\x05\x00")
    by, value = issuer_and_number(signer), Tlv(0x04, signature).encode()
    info = sequence(b"\x02\x01\x01", by, hashed, method(scheme, group), value)
    content = sequence(oid("data"), sequence(Tlv(0x04, message).encode(), tag=0xA0))
    signed = sequence(
        b"\x02\x01\x01",
        sequence(hashed, tag=0x31),
        content,
        sequence(signer, tag=0xA0),
        sequence(info, tag=0x31),
    )
    return sequence(oid("signedData"), sequence(signed, tag=0xA0))


def bare(signer: bytes, group: dict[str, Any], message: bytes, signature: bytes) -> tuple[bool, set[Finding]]:
    return judged(read(message, signature, certificate=signer, algorithm=Hash(group["sha"])), message)


def judged(found: FoundDocument, document: bytes) -> tuple[bool, set[Finding]]:
    """Whether the person is told that it is valid, and what else."""
    report = judge(found, document, trust()) if any(each.intact for each in found.signatures) else None
    if report is None:  # the judge accepts nothing that its reader did not
        return False, {each.finding for part in (found, *found.signatures) for each in part.remarks}
    said = {Finding(each.finding) for part in (report, *report.signatures) for each in part.remarks}
    return report.verdict in (Verdict.VALID, Verdict.REMARK), said


def within(verdict: tuple[bool, set[Finding]], group: dict[str, Any], test: dict[str, Any]) -> str:
    """Return what became of a vector; a verdict that is neither theirs nor one of policy fails."""
    accepted, findings = verdict
    where = f"{test['tcId']} {test['comment']}, {test['result']}: {sorted(findings)}"
    if test["result"] == "invalid":
        if accepted and longer_salt(group, test):
            return "salts longer than the key's, which RFC 4055 §3.3 allows"
        assert not accepted, where
        assert findings, where
        return "invalid, refused"
    if test["result"] == "acceptable":
        return "acceptable, " + ("accepted" if accepted else "refused")
    if not accepted:
        assert group["sha"] == Hash.SHA_1, where
        assert findings >= {Finding.ALGORITHM_WEAK}, where
        return "valid, refused for SHA-1"
    return "valid, accepted"


def longer_salt(group: dict[str, Any], test: dict[str, Any]) -> bool:
    changed = re.fullmatch(r"s_len changed to (\d+)", test["comment"])
    return changed is not None and int(changed[1]) > group["sLen"]


@pytest.mark.parametrize(
    ("files", "scheme"),
    [
        ("rsa_signature", "rsa"),
        ("rsa_pss", "pss"),
        ("ecdsa_secp256r1", "ecdsa"),
        ("ecdsa_secp384r1", "ecdsa"),
        ("ecdsa_secp521r1", "ecdsa"),
    ],
)
def test_signatures_beside_a_document_and_in_cms(files: str, scheme: str, record_property: Record):
    count = Counted()
    for name, group in wycheproof_named(files):
        if name.endswith("p1363"):
            continue
        signer = certificate(bytes.fromhex(group["publicKeyDer"]))
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            # A bare value does not say that it is one of RSA-PSS: there the certificate must.
            if scheme != "pss" or name.endswith("params"):
                verdict = bare(signer, group, message, signature)
                count[f"beside a document: {within(verdict, group, test)}"] += 1
            wrapped = cms(signer, scheme, group, message, signature)
            count[f"CMS: {within(judged(read(wrapped), wrapped), group, test)}"] += 1
    count.tell("Wycheproof signatures", record_property)
    assert count.total() > 500


NUMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
# What a JSON Web Key says beside its numbers; a certificate says what it says in other words.
OF_THE_JWK: Final = re.compile(r"rejectWrongUse|rejectsWrongUse|rejectWrongKeyOps|mismatchedAlgAndCurve")


def test_json_web_signatures(record_property: Record):
    count = Counted()
    for _name, group in wycheproof_named("json_web"):
        keys = group.get("public", group["private"])
        keys = keys.get("keys", [keys])
        if any(each["kty"] == "oct" for each in keys):
            count["left out: secrets that both sides know"] += len(group["tests"])
            continue
        try:
            key = JWKRegistry.import_key(
                {name: keys[0].get(name) for name in NUMBERS[keys[0]["kty"]]}
            ).public_key
        except (JoseError, ValueError):
            assert all(test["result"] == "invalid" for test in group["tests"])
            count["left out: keys that no certificate can hold"] += len(group["tests"])
            continue
        info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for test in group["tests"]:
            if "jws" in test:
                count[web_signature(test, keys[0], certificate(info))] += 1
            else:
                count["left out: encrypted ones, which this program does not read"] += 1
    count.tell("Wycheproof JWS", record_property)
    assert count["invalid, refused"] > 300


def web_signature(test: dict[str, Any], key: dict[str, Any], signer: bytes) -> str:
    token = test["jws"] if isinstance(test["jws"], str) else json.dumps(test["jws"])
    # An empty document is one that was given; a payload that is not there is a document that is missing.
    document = b"" if test["comment"] == "emptyPayload" else None
    if document is None:
        found = read(token.encode(), certificate=signer)
    else:
        found = read(document, token.encode(), certificate=signer)
    accepted, findings = judged(found, document or b"")
    if test["result"] == "valid":
        assert accepted, (test, findings)
        return "valid, accepted"
    named = json.loads(b64decode(token.split(".")[0] + "==", altchars=b"-_")).get("alg") if accepted else ""
    if accepted and (OF_THE_JWK.match(test["comment"]) or key.get("use") == "enc" or key.get("alg") != named):
        return "left out: what a JWK says of its own use"
    assert not accepted, (test, key)
    assert findings, test
    return "invalid, refused"


@pytest.mark.parametrize("curve", [256, 384, 521])
def test_ecdsa_numbers_as_logins_jws_and_xml_have_them(curve: int, record_property: Record):
    count = Counted()
    for name, group in wycheproof_named(f"ecdsa_secp{curve}r1"):
        if not name.endswith("p1363"):
            continue
        algorithm = Hash(group["sha"])
        signer = certificate(bytes.fromhex(group["publicKeyDer"]))
        for test in group["tests"]:
            message, value = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            for door, verdict in numbers(curve, signer, algorithm, message, value):
                assert verdict == (test["result"] == "valid"), (door, test)
                count[f"{door}: {test['result']}, " + ("accepted" if verdict else "refused")] += 1
    count.tell("Wycheproof signatures", record_property)
    assert count.total() > 500


def numbers(
    curve: int, signer: bytes, algorithm: Hash, message: bytes, value: bytes
) -> Iterator[tuple[str, bool]]:
    """Give what each reader of r ‖ s says; what it was made over is the vector's."""
    try:
        verify(signer, message, ecdsa_der(value, curve), algorithm)
        yield "log-in", True
    except SignatureInvalidError:
        yield "log-in", False
    yield "XML", xml._verifies(xml._key(signer), SignatureMethod(Scheme.ECDSA, algorithm), value, message)
    name = {256: "ES256", 384: "ES384", 521: "ES512"}[curve]
    if jws._HASHES[name[2:]] is algorithm and message.isascii():
        yield "JWS", jws._verifies(message.decode("ascii"), encoded(value), name, signer)
