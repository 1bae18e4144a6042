"""JSON Web Signatures in each form of RFC 7515, and everything that is taken for none."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha512
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, RSAKey

from signing.formats.jws import JwsForm, Serialization, encoded
from signing.verification.findings import Finding
from signing.verification.found import FoundSignature
from signing.verification.jws import read_jws
from signing.verification.report import Verdict
from tests.support.test_pki import NOW, key, pki
from tests.support.xml_signatures import findings, judged, signed

DOCUMENT = '{"病歷":"張測試","劑量":1.10}'.encode()
OTHER = '{"病歷":"李測試","劑量":1.10}'.encode()


def general(label: str = "rsa", *, detached: bool = False) -> dict[str, Any]:
    form = JwsForm(detached=detached, serialization=Serialization.JSON)
    found: dict[str, Any] = json.loads(signed(form, DOCUMENT, label))
    return found


def header_of(message: bytes, **changes: Any) -> bytes:
    """The same message with another header, under the same signature."""
    protected, payload, value = message.decode().split(".")
    header = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4))) | changes
    header = {name: each for name, each in header.items() if each is not None}
    return f"{encoded(json.dumps(header).encode())}.{payload}.{value}".encode()


def resigned(label: str, **changes: Any) -> bytes:
    """The same with a signature of the holder's over the changed header."""
    message = header_of(signed(JwsForm(), DOCUMENT, label), **changes)
    protected, payload, _ = message.decode().split(".")
    pair = key(label)
    kind = RSAKey if label == "rsa" else ECKey
    pem = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    name = changes.get("alg") or ("RS256" if label == "rsa" else "ES256")
    model = joserfc_jws.JWSRegistry(algorithms=[name]).get_alg(name)
    value = model.sign(f"{protected}.{payload}".encode(), kind.import_key(pem))
    return f"{protected}.{payload}.{encoded(value)}".encode()


def headed(header: bytes, value: str = "AA") -> bytes:
    return f"{encoded(header)}.{encoded(DOCUMENT)}.{value}".encode()


def in_json(**members: Any) -> bytes:
    return json.dumps({"payload": encoded(DOCUMENT), **members}).encode()


def one(message: bytes, document: bytes | None = None, certificate: bytes | None = None) -> FoundSignature:
    [found] = read_jws(message, document, certificate).signatures
    return found


@pytest.mark.parametrize("label", ["rsa", "ec"])
def test_each_of_the_three_forms_is_intact_and_of_its_holder(label: str) -> None:
    whole = general(label)
    [single] = whole["signatures"]
    flattened = {"payload": whole["payload"], **single, "header": {"kid": "1"}}
    for message in (
        signed(JwsForm(), DOCUMENT, label),
        b" " + json.dumps(whole).encode(),
        json.dumps(flattened).encode(),
    ):
        found = one(message)
        assert (found.intact, found.remarks, found.claimed_time) == (True, (), NOW)
        assert found.certificate == pki().certificate(label)
        assert (found.binds_certificate, found.certificates) == (True, pki().chain(label))


def test_a_document_beside_it_counts_only_where_it_is_the_one_inside_or_none_is() -> None:
    detached = signed(JwsForm(detached=True), DOCUMENT)
    assert one(detached, DOCUMENT).intact
    assert [each.finding for each in one(detached, OTHER).remarks] == [Finding.CONTENT_CHANGED]
    assert [each.finding for each in one(detached).remarks] == [Finding.CONTENT_MISSING]
    inside = signed(JwsForm(), DOCUMENT)
    assert one(inside, DOCUMENT).intact
    [remark] = one(inside, OTHER).remarks
    assert remark.detail == "the document given is not the one inside"


def test_the_certificate_may_be_given_where_the_header_has_none() -> None:
    bare = resigned("rsa", x5c=None)
    assert [each.finding for each in one(bare).remarks] == [Finding.CERTIFICATE_MISSING]
    assert one(bare, certificate=pki().certificate("rsa")).intact
    [remark] = one(bare, certificate=pki().certificate("ec")).remarks
    assert remark.finding is Finding.CERTIFICATE_OTHER


@pytest.mark.parametrize(
    ("message", "finding"),
    [
        (lambda: header_of(signed(JwsForm(), DOCUMENT), alg="none"), Finding.SIGNATURE_WRONG),
        (lambda: header_of(signed(JwsForm(), DOCUMENT), alg="NONE"), Finding.SIGNATURE_WRONG),
        (lambda: header_of(signed(JwsForm(), DOCUMENT), alg="HS256"), Finding.SIGNATURE_WRONG),
        (lambda: header_of(signed(JwsForm(), DOCUMENT), alg="ES256"), Finding.SIGNATURE_WRONG),
        (lambda: header_of(signed(JwsForm(), DOCUMENT, "ec"), alg="RS256"), Finding.SIGNATURE_WRONG),
        (lambda: header_of(signed(JwsForm(), DOCUMENT, "ec"), alg="ES384"), Finding.SIGNATURE_WRONG),
        (lambda: header_of(signed(JwsForm(), DOCUMENT), alg="XX256"), Finding.ALGORITHM_UNKNOWN),
        (lambda: header_of(signed(JwsForm(), DOCUMENT), alg=["RS256"]), Finding.ALGORITHM_UNKNOWN),
        (lambda: resigned("rsa", crit=["exp"], exp=1), Finding.ALGORITHM_UNKNOWN),
        (lambda: resigned("rsa", crit=["b64"], b64=False), Finding.ALGORITHM_UNKNOWN),
        (lambda: resigned("rsa", b64=False), Finding.ALGORITHM_UNKNOWN),
        (lambda: resigned("rsa", crit=[]), Finding.ALGORITHM_UNKNOWN),
        (lambda: resigned("rsa", crit=["sigT"]), Finding.ALGORITHM_UNKNOWN),
        (lambda: resigned("rsa", **{"x5t#S256": "AAAA"}), Finding.CERTIFICATE_OTHER),
        (
            lambda: resigned("rsa", x5c=[base64.b64encode(pki().certificate("ec")).decode()]),
            Finding.CERTIFICATE_OTHER,
        ),
        (lambda: resigned("rsa", x5c=["not base64!"]), Finding.CERTIFICATE_UNREADABLE),
        (lambda: resigned("rsa", x5c="MIIB"), Finding.CERTIFICATE_UNREADABLE),
        (lambda: resigned("rsa", x5c=[]), Finding.CERTIFICATE_UNREADABLE),
        (lambda: resigned("rsa", x5c=[7]), Finding.CERTIFICATE_UNREADABLE),
        (lambda: resigned("rsa", x5c=["AAAA"] * 17), Finding.CERTIFICATE_UNREADABLE),
        (lambda: resigned("rsa", x5c=["AAAA"], **{"x5t#S256": None}), Finding.CERTIFICATE_UNREADABLE),
        (lambda: resigned("rsa", x5c=None), Finding.CERTIFICATE_MISSING),
        (lambda: b"ey..", Finding.DOCUMENT_UNREADABLE),
        (lambda: b"ey\xff.e.e", Finding.DOCUMENT_UNREADABLE),
        (lambda: in_json(protected=encoded(b"[]"), signature="AA"), Finding.DOCUMENT_UNREADABLE),
        (lambda: headed(b'{"alg":'), Finding.DOCUMENT_UNREADABLE),
        (lambda: headed(b'{"alg":"RS256","alg":"none"}'), Finding.STRUCTURE_AMBIGUOUS),
        (lambda: headed(b'{"a":"\xff"}'), Finding.SIGNATURE_UNREADABLE),
        (lambda: b"eyJh*.e.e", Finding.SIGNATURE_UNREADABLE),
        (lambda: headed(b'{"a":"' + b"x" * 256 * 1024 + b'"}'), Finding.STRUCTURE_REFUSED),
        (lambda: signed(JwsForm(), DOCUMENT).rpartition(b".")[0] + b".A*", Finding.SIGNATURE_UNREADABLE),
        (lambda: in_json(protected="e30", signatures=[], signature="AA"), Finding.STRUCTURE_AMBIGUOUS),
        (lambda: in_json(protected="e30", signatures={"signature": ""}), Finding.STRUCTURE_AMBIGUOUS),
        (
            lambda: b'{"payload":"","payload":"","protected":"e30","signature":"AA"}',
            Finding.STRUCTURE_AMBIGUOUS,
        ),
        (
            lambda: in_json(signatures=[{"protected": "e30", "signature": "AA"}] * 65),
            Finding.STRUCTURE_REFUSED,
        ),
        (lambda: in_json(signatures=[["protected", "signature"]]), Finding.DOCUMENT_UNREADABLE),
        (lambda: in_json(protected="e30", signature="AA", payload=1), Finding.DOCUMENT_UNREADABLE),
        (lambda: in_json(protected="e30", signature=1), Finding.DOCUMENT_UNREADABLE),
        (lambda: in_json(protected=1, signature="AA"), Finding.DOCUMENT_UNREADABLE),
        (lambda: in_json(protected="e30", signature="AA", header=[]), Finding.DOCUMENT_UNREADABLE),
        (lambda: in_json(signatures=[], protected="e30"), Finding.NO_SIGNATURE),
        (lambda: in_json(**{**general()["signatures"][0], "payload": "é"}), Finding.CONTENT_CHANGED),
    ],
)  # fmt: skip
def test_what_is_no_signature_of_the_certificate_is_not_taken_for_one(
    message: Callable[[], bytes], finding: Finding
) -> None:
    report = judged(message())
    assert report.verdict in (Verdict.INVALID, Verdict.UNDECIDED)
    assert finding in findings(report), findings(report)


def test_two_parts_are_no_compact_form() -> None:
    found = read_jws(b"eyJhbGciOiJSUzI1NiJ9.e30")
    assert (found.signatures, [each.finding for each in found.remarks]) == (
        (),
        [Finding.DOCUMENT_UNREADABLE],
    )


def test_an_unprotected_header_changes_nothing_of_what_was_signed() -> None:
    message = general()
    message["signatures"][0]["header"] = {"alg": "none"}
    assert judged(json.dumps(message).encode()).verdict is Verdict.INVALID
    message["signatures"][0]["header"] = {"iat": 0}
    found = one(json.dumps(message).encode())
    assert [each.detail for each in found.remarks] == ["a parameter is there twice"]
    assert found.claimed_time == NOW


def test_pss_of_others_is_verified() -> None:
    report = judged(resigned("rsa", alg="PS256"))
    assert report.verdict is Verdict.REMARK
    assert report.signatures[0].unchanged


def test_the_certificate_is_bound_by_another_digest_too() -> None:
    def named(digest: object) -> FoundSignature:
        return one(resigned("rsa", **{"x5t#S256": None, "x5t#o": digest}))

    right = encoded(sha512(pki().certificate("rsa")).digest())
    found = named({"digAlg": "S512", "digVal": right})
    assert (found.intact, found.binds_certificate) == (True, True)
    for wrong in (
        {"digAlg": "S512", "digVal": encoded(bytes(64))},
        {"digAlg": "S256", "digVal": right},
        {"digAlg": "MD5", "digVal": right},
        "S512",
    ):
        assert [each.finding for each in named(wrong).remarks] == [Finding.CERTIFICATE_OTHER]


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ({"iat": 1}, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ({"iat": 10**30}, None),
        ({"iat": "1"}, None),
        ({"sigT": "2026-01-02T03:04:05Z"}, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"sigT": "2026-01-02T03:04:05"}, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"sigT": "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_signers_own_time_is_told_where_it_is_one(said: dict[str, Any], time: datetime | None) -> None:
    found = one(resigned("ec", **{"iat": None, **said}))
    assert (found.intact, found.claimed_time) == (True, time)
