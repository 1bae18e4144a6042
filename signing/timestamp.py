"""Time stamps (RFC 3161): the question to an authority, what its answer says, and whether it holds.

Nothing here connects to anything. Whether the authority behind a stamp can be trusted is `signing.trust`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from hca_card import tlv
from signing.asn1 import certificate, parsing
from signing.errors import (
    CertificateError,
    SignatureInvalidError,
    TimestampError,
    TimestampInvalidError,
    TimestampOtherDataError,
    TimestampRefusedError,
)
from signing.hashes import Hash
from signing.verify import verify_digest

if TYPE_CHECKING:
    from asn1crypto.cms import SignerInfo
    from asn1crypto.tsp import TSTInfo
    from asn1crypto.x509 import Certificate

_NAMES: Final = {
    "sha1": Hash.SHA_1,
    "sha224": Hash.SHA_224,
    "sha256": Hash.SHA_256,
    "sha384": Hash.SHA_384,
    "sha512": Hash.SHA_512,
}
_BY_HASH: Final = {algorithm: name for name, algorithm in _NAMES.items()}
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
    """

    version: int
    policy: str
    hash: Hash
    imprint: bytes
    serial: bytes
    time: datetime
    accuracy: Decimal | None
    nonce: bytes


def request(data: bytes, nonce: int, algorithm: Hash = Hash.SHA_256) -> bytes:
    """The question for a stamp over `data`, DER (RFC 3161 §2.4.1), asking for the authority's certificate."""
    from asn1crypto.tsp import TimeStampReq

    imprint = {
        "hash_algorithm": {"algorithm": _BY_HASH[algorithm]},
        "hashed_message": algorithm.digest(data),
    }
    fields = {"version": "v1", "message_imprint": imprint, "nonce": nonce, "cert_req": True}
    return bytes(TimeStampReq(fields).dump())


def read(response: bytes) -> Stamp:
    """What the stamp in an authority's answer says; its signature is not looked at.

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
        signed = _signed_data(response)
        stamp = _stamp(_info(signed))
        if stamp.imprint != stamp.hash.digest(data):
            raise TimestampOtherDataError
        signers = signed["signer_infos"]
        if len(signers) != 1:
            raise TimestampInvalidError("a stamp has one signature")
        signer = signers[0]
        try:
            found = _signers_certificate(signed, signer)
            _check_certificate(found, stamp.time)
            _check_attributes(signer, found, signed["encap_content_info"]["content"].contents)
            _check_signature(signer, found)
        except CertificateError as error:
            raise TimestampInvalidError("the certificate in it") from error


def _signed_data(response: bytes) -> Any:
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
    return token["content"]


def _info(signed: Any) -> TSTInfo:
    from asn1crypto.tsp import TSTInfo

    content = signed["encap_content_info"]
    if content["content_type"].native != "tst_info":
        raise TimestampError("what is signed is no stamp")
    return TSTInfo.load(bytes(content["content"].contents), strict=True)


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
        return _NAMES[name]
    except KeyError:
        raise TimestampError("its hash is not known") from None


def _signers_certificate(signed: Any, signer: SignerInfo) -> Certificate:
    sid = signer["sid"]
    for choice in signed["certificates"]:
        found = choice.chosen
        if choice.name != "certificate":
            continue
        if sid.name == "issuer_and_serial_number":
            same = (found.issuer.dump(), found.serial_number) == (
                sid.chosen["issuer"].dump(),
                sid.chosen["serial_number"].native,
            )
        else:
            same = found.key_identifier == sid.chosen.native
        if same:
            return certificate(found.dump())
    raise TimestampInvalidError("the stamp carries no certificate of its signer")


def _check_certificate(found: Certificate, moment: datetime) -> None:
    """RFC 3161 §2.3: for time stamps; and in time when it stamped."""
    usage = found.extended_key_usage_value
    if usage is None or "time_stamping" not in usage.native:
        raise TimestampInvalidError("the certificate is not one for time stamps")
    validity = found["tbs_certificate"]["validity"]
    if not validity["not_before"].native <= moment <= validity["not_after"].native:
        raise TimestampInvalidError("the certificate was not valid at the time of the stamp")


def _check_attributes(signer: SignerInfo, found: Certificate, content: bytes) -> None:
    """The signed attributes name the stamp and the certificate (RFC 5652 §11, RFC 5816 §2.2.1)."""
    attributes = {item["type"].native: item["values"] for item in signer["signed_attrs"]}
    digest = _hash(signer["digest_algorithm"]["algorithm"].native).digest(content)
    if attributes["content_type"][0].native != "tst_info":
        raise TimestampInvalidError("the signature is over something else than a stamp")
    if attributes["message_digest"][0].native != digest:
        raise TimestampInvalidError("the stamp was changed after it was signed")
    if "signing_certificate_v2" in attributes:
        named = attributes["signing_certificate_v2"][0]["certs"][0]
        algorithm = _hash(named["hash_algorithm"]["algorithm"].native)
    else:
        named, algorithm = attributes["signing_certificate"][0]["certs"][0], Hash.SHA_1
    if named["cert_hash"].native != algorithm.digest(found.dump()):
        raise TimestampInvalidError("the stamp names another certificate")


def _check_signature(signer: SignerInfo, found: Certificate) -> None:
    algorithm = _hash(signer["digest_algorithm"]["algorithm"].native)
    # RFC 5652 §5.4: signed is the SET, although it is transmitted with a tag of its own.
    content = signer["signed_attrs"].untag().dump()
    try:
        verify_digest(found.dump(), algorithm.digest(content), bytes(signer["signature"]), algorithm)
    except (SignatureInvalidError, CertificateError) as error:
        raise TimestampInvalidError from error
