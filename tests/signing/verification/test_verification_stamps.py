"""A time stamp by itself: what it proves, and each way in which it proves nothing, with its own error."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from asn1crypto import cms, core, tsp

from signing.errors import TimestampError, TimestampInvalidError, TimestampOtherDataError
from signing.formats.cades import Cades
from signing.hashes import Hash
from signing.verification.found import FoundStamp
from signing.verification.stamps import _check_certificate, read_stamp
from tests.support import cms_attacks as attacks
from tests.support.cms_attacks import changed
from tests.support.test_pki import NOW, pki
from tests.support.xml_signatures import signed

COVERED = "簽章值".encode()


@cache
def token(of: str = "tsa", imprint: Hash = Hash.SHA_256) -> bytes:
    return asyncio.run(pki().evidence(stamps=of).timestamp(imprint.digest(COVERED), imprint))


def told(change: Callable[[Any], None]) -> bytes:
    """What the stamp says otherwise, under its own signature."""

    def content(signed: Any, _signer: Any) -> None:
        info = tsp.TSTInfo.load(signed["encap_content_info"]["content"].parsed.dump())
        change(info)
        inside = {"content_type": "tst_info", "content": core.ParsableOctetString(info.dump())}
        signed["encap_content_info"] = tsp.EncapsulatedContentInfo(inside)

    return changed(token(), content)


def _unknown_hash(info: Any) -> None:
    info["message_imprint"]["hash_algorithm"] = {"algorithm": "md5"}


def _no_certificates(signed: Any, _signer: Any) -> None:
    signed["certificates"] = []


def _broken_certificate() -> bytes:
    """A SET where the certificate's SEQUENCE should stand."""
    certificate = pki().certificate("tsa")
    return token().replace(certificate, b"\x31" + certificate[1:])


def _by_sha1(signed: Any, signer: Any) -> None:
    inside = signed["encap_content_info"]["content"].contents
    attacks.hashed_with("sha1", hashlib.sha1(inside, usedforsecurity=False).digest())(signed, signer)


def _two_signers(signed: Any, signer: Any) -> None:
    signed["signer_infos"] = [cms.SignerInfo.load(signer.dump()) for _ in range(2)]


@pytest.mark.parametrize("label", ["tsa", "tsa-archive"])
def test_it_proves_its_time_over_octets_whole_or_in_pieces(label: str) -> None:
    whole = memoryview(COVERED)
    for covered in (COVERED, (whole[:4], whole[4:])):
        found = read_stamp(FoundStamp(token(label), covered))
        assert (found.time, found.authority) == (NOW, pki().certificate(label))
        assert found.signature.intact
        assert pki().root in found.signature.certificates


WRONG: dict[str, tuple[Callable[[], bytes], type[Exception], str]] = {
    "octets": (lambda: b"\x30\x03abc", TimestampError, ""),
    "a signature over a document": (
        lambda: signed(Cades(detached=False), b"record"), TimestampError, "no stamp",
    ),
    "nothing inside": (
        lambda: signed(Cades(), b"record"), TimestampError, "no stamp",
    ),
    "of a hash that is not known": (lambda: told(_unknown_hash), TimestampError, "hash is not known"),
    "of other octets": (lambda: token("wrong"), TimestampOtherDataError, ""),
    "with a certificate that is none": (_broken_certificate, TimestampError, ""),
    "forged": (lambda: token("forged"), TimestampInvalidError, "does not hold"),
    "with another time inside": (
        lambda: told(lambda info: info.__setitem__("gen_time", NOW - timedelta(days=3))),
        TimestampInvalidError, "does not hold",
    ),
    "without attributes": (
        lambda: changed(token(), lambda _, signer: signer.__setitem__("signed_attrs", None)),
        TimestampInvalidError, "does not hold",
    ),
    "without its certificate": (
        lambda: changed(token(), _no_certificates), TimestampInvalidError, "does not hold",
    ),
    "with two signers": (lambda: changed(token(), _two_signers), TimestampInvalidError, "does not hold"),
    "over a digest by SHA-1": (lambda: token(imprint=Hash.SHA_1), TimestampInvalidError, "can be forged"),
    "signed by SHA-1": (
        lambda: changed(token(), _by_sha1, key="tsa"), TimestampInvalidError, "can be forged",
    ),
    "that does not name its certificate": (
        lambda: changed(
            token(), attacks.without("signing_certificate", "signing_certificate_v2"), key="tsa"
        ),
        TimestampInvalidError, "does not name",
    ),
    "by a certificate for something else": (
        lambda: token("tsa-purpose"), TimestampInvalidError, "not one for time stamps",
    ),
    "by a certificate that had expired": (
        lambda: token("tsa-expired"), TimestampInvalidError, "not valid at the time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_proves_no_time_is_refused_with_the_reason(what: str) -> None:
    make, error, words = WRONG[what]
    with pytest.raises(error) as told_why:
        read_stamp(FoundStamp(make(), COVERED))
    assert type(told_why.value) is error
    assert words in str(told_why.value)


@pytest.mark.parametrize(
    ("part", "otherwise"),
    [
        pytest.param("300a06082b06010505070308", "300a06092b06010505070308", id="purposes"),
        pytest.param("170d", "17ff", id="times"),
    ],
)
def test_an_authority_whose_certificate_is_damaged_proves_nothing(part: str, otherwise: str) -> None:
    whole = pki().certificate("tsa")
    damaged = whole.replace(bytes.fromhex(part), bytes.fromhex(otherwise), 1)
    assert damaged != whole
    with pytest.raises(TimestampInvalidError):
        _check_certificate(damaged, NOW)
