"""Time stamps (RFC 3161): the question to an authority, what its answer says, and whether it holds.

Nothing here connects to anything. Whether the authority behind a stamp can be trusted is `signing.trust`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from hca_card import tlv
from signing.asn1 import parsing
from signing.certificate import parsed
from signing.cms.verify import CmsSignature, verify_signed_data
from signing.errors import (
    CertificateError,
    HashUnsupportedError,
    SignatureFormatError,
    SignatureInvalidError,
    TimestampError,
    TimestampInvalidError,
    TimestampOtherDataError,
    TimestampRefusedError,
)
from signing.hashes import Hash

if TYPE_CHECKING:
    from asn1crypto.cms import ContentInfo
    from asn1crypto.tsp import TSTInfo

_TIME_STAMPING: Final = "1.3.6.1.5.5.7.3.8"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_INTEGER: Final = 0x02
# PKIStatus (RFC 3161 §2.4.2): granted, grantedWithMods.
_GRANTED: Final = (b"\x00", b"\x01")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a stamp says (RFC 3161 §2.4.2).

    Attributes:
        version: 1.
        policy: dotted OID of the rules it was made under.
        hash: what the imprint was made with.
        imprint: digest of the data that was stamped.
        serial: contents octets of the serial number.
        time: when; aware.
        accuracy: plus or minus so many seconds; None where the stamp does not say.
        nonce: contents octets of the question's nonce; empty without one.
        certificate: whose signature was checked, DER; empty where none was.
    """

    version: int
    policy: str
    hash: Hash
    imprint: bytes
    serial: bytes
    time: datetime
    accuracy: Decimal | None
    nonce: bytes
    certificate: bytes = b""


def request(data: bytes, nonce: int, algorithm: Hash = Hash.SHA_256) -> bytes:
    """Return the question for a stamp over `data` and for the signer's certificate, DER (RFC 3161 §2.4.1)."""
    return request_for(algorithm.digest(data), nonce, algorithm)


def request_for(imprint: bytes, nonce: int, algorithm: Hash) -> bytes:
    """As `request`, where only the digest of the data is at hand."""
    from asn1crypto.tsp import TimeStampReq

    named = {"hash_algorithm": {"algorithm": algorithm.asn1_name}, "hashed_message": imprint}
    fields = {"version": "v1", "message_imprint": named, "nonce": nonce, "cert_req": True}
    return bytes(TimeStampReq(fields).dump())


def token_in(response: bytes) -> bytes:
    """Return the stamp in an authority's answer: TimeStampToken, DER; nothing of it is looked at.

    Raises:
        TimestampRefusedError: the authority gave none.
        TimestampError: it cannot be read.
    """
    with parsing(response, TimestampError):
        return bytes(_token(response).dump())


def read(response: bytes) -> Stamp:
    """Return what the stamp in an authority's answer says; its signature is not looked at.

    Raises:
        TimestampRefusedError: the authority gave none.
        TimestampError: it cannot be read.
    """
    with parsing(response, TimestampError):
        return _stamp(_info(_signed_data(response)))


def check_answer(question: bytes, response: bytes) -> None:
    """Return if `response` has a stamp for that very question; its signature is not looked at.

    Raises:
        TimestampOtherDataError: it answers another one.
        TimestampError: as `read`.
    """
    from asn1crypto.tsp import TimeStampReq

    stamp = read(response)
    with parsing(question, TimestampError):
        asked = TimeStampReq.load(question)
        imprint = bytes(asked["message_imprint"]["hashed_message"])
        if (stamp.imprint, stamp.nonce) != (imprint, bytes(asked["nonce"].contents)):
            raise TimestampOtherDataError


def verify(data: bytes, response: bytes) -> None:
    """Return if the stamp is over `data` and signed with a certificate for time stamps that it carries.

    Raises:
        TimestampOtherDataError: it is over other data.
        TimestampInvalidError: the signature, or the certificate's use or period.
        TimestampError: as `read`.
    """
    with parsing(response, TimestampError):
        _verify(data, _signed_data(response))


def verify_token(data: bytes | None, token: bytes) -> Stamp:
    """As `verify`, for the stamp without the answer around it: TimeStampToken, DER (RFC 3161 §2.4.2).

    Without `data` it may be over any: `check_answer` has compared it with the question.
    """
    with parsing(token, TimestampError):
        return _verify(data, _loaded(token))


def certificates_in(token: bytes) -> tuple[bytes, ...]:
    """Return the certificates that came with a stamp, DER; none is trusted. Raise as `verify_token`."""
    with parsing(token, TimestampError):
        inside = _loaded(token)["certificates"]
        return tuple(each.chosen.dump() for each in inside if each.name == "certificate")


def _loaded(token: bytes) -> Any:
    # tsp adds its names to cms's tables, which are read at the first use and never again.
    from asn1crypto import tsp  # noqa: F401
    from asn1crypto.cms import ContentInfo

    message = ContentInfo.load(token, strict=True)
    if message["content_type"].native != "signed_data":
        raise TimestampError("this is no time stamp")
    return message["content"]


def _verify(data: bytes | None, signed: Any) -> Stamp:
    stamp = _stamp(_info(signed))
    if data is not None and stamp.imprint != stamp.hash.digest(data):
        raise TimestampOtherDataError
    try:
        signature = verify_signed_data(signed, _content(signed))
        _check_certificate(signature.certificate, stamp.time)
        _check_named(signature)
    except (SignatureFormatError, SignatureInvalidError, HashUnsupportedError, CertificateError) as error:
        raise TimestampInvalidError(str(error)) from error
    return replace(stamp, certificate=signature.certificate)


def _signed_data(response: bytes) -> Any:
    return _token(response)["content"]


def _token(response: bytes) -> ContentInfo:
    from asn1crypto.tsp import TimeStampResp

    # A refusal has no stamp, and asn1crypto reads no TimeStampResp without one.
    status = tlv.read(response)[0].children[0].children[0]
    if status.tag != _INTEGER:
        raise TimestampError("the answer has no status")
    if status.value not in _GRANTED:
        raise TimestampRefusedError
    answer = TimeStampResp.load(response, strict=True)
    token = answer["time_stamp_token"]
    if token["content_type"].native != "signed_data":
        raise TimestampError("the answer has no stamp")
    return token


def _info(signed: Any) -> TSTInfo:
    from asn1crypto.tsp import TSTInfo

    if signed["encap_content_info"]["content_type"].native != "tst_info":
        raise TimestampError("what is signed is no stamp")
    return TSTInfo.load(_content(signed), strict=True)


def _content(signed: Any) -> bytes:
    return bytes(signed["encap_content_info"]["content"].contents)


def _stamp(info: TSTInfo) -> Stamp:
    imprint, nonce = info["message_imprint"], info["nonce"]
    algorithm = _hash(imprint["hash_algorithm"]["algorithm"].native)
    octets = bytes(imprint["hashed_message"])
    if len(octets) != algorithm.length:
        raise TimestampError("the imprint has not the length of its hash")
    return Stamp(
        version=int.from_bytes(info["version"].contents, "big"),
        policy=info["policy"].dotted,
        hash=algorithm,
        imprint=octets,
        serial=bytes(info["serial_number"].contents),
        time=info["gen_time"].native,
        accuracy=_accuracy(info["accuracy"].native),
        nonce=b"" if nonce.native is None else bytes(nonce.contents),
    )


def _accuracy(parts: dict[str, int | None] | None) -> Decimal | None:
    if parts is None:
        return None
    seconds, millis, micros = (parts[name] or 0 for name in ("seconds", "millis", "micros"))
    return Decimal(seconds * 1_000_000 + millis * 1000 + micros) / 1_000_000


def _hash(name: str) -> Hash:
    try:
        return Hash.of_asn1_name(name)
    except HashUnsupportedError:
        raise TimestampError("its hash is not known") from None


def _check_certificate(der: bytes, moment: datetime) -> None:
    """Return if the certificate is one for time stamps (RFC 3161 §2.3) and was in time when it stamped."""
    certificate = parsed(der)
    if _TIME_STAMPING not in (certificate.extended_key_usage or ()):
        raise TimestampInvalidError("the certificate is not one for time stamps")
    begins, ends = certificate.period
    if not begins <= moment <= ends:
        raise TimestampInvalidError("the certificate was not valid at the time of the stamp")


def _check_named(signature: CmsSignature) -> None:
    """Return if the signed attributes name the certificate (RFC 5816 §2.2.1)."""
    from asn1crypto.tsp import SigningCertificate, SigningCertificateV2

    if _SIGNING_CERTIFICATE_V2 in signature.attributes:
        named = SigningCertificateV2.load(signature.attributes[_SIGNING_CERTIFICATE_V2])["certs"][0]
        algorithm = _hash(named["hash_algorithm"]["algorithm"].native)
    else:
        named = SigningCertificate.load(signature.attributes[_SIGNING_CERTIFICATE])["certs"][0]
        algorithm = Hash.SHA_1
    if named["cert_hash"].native != algorithm.digest(signature.certificate):
        raise TimestampInvalidError("the stamp names another certificate")
