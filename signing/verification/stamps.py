"""Read one time stamp token (RFC 3161 §2.4.2) of any hash and key, and check what needs no trust."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hca_card.errors import CardDataError
from signing.asn1 import parsing
from signing.certificate import parsed
from signing.errors import (
    CertificateError,
    HashUnsupportedError,
    SignatureFormatError,
    TimestampError,
    TimestampInvalidError,
    TimestampOtherDataError,
)
from signing.hashes import Hash
from signing.verification.cms import signatures_of, signed_data_in
from signing.verification.found import FoundSignature, FoundStamp

_TIME_STAMPING = "1.3.6.1.5.5.7.3.8"


@dataclass(frozen=True, slots=True)
class ReadStamp:
    """A stamp that is over what it should be over, signed with a certificate for time stamps.

    Attributes:
        time: when; aware.
        authority: the certificate that signed it, DER.
        signature: the whole finding, with the certificates and answers that came with it.
    """

    time: datetime
    authority: bytes
    signature: FoundSignature


def read_stamp(stamp: FoundStamp) -> ReadStamp:
    """Return what a stamp proves if its authority can be trusted.

    Raises:
        TimestampOtherDataError: it is over other data.
        TimestampInvalidError: its signature, or its certificate's use or period.
        TimestampError: it cannot be read.
    """
    from asn1crypto.tsp import TSTInfo

    try:
        signed, content = signed_data_in(stamp.token)
    except SignatureFormatError as error:
        raise TimestampError(str(error)) from error
    if content is None or signed["encap_content_info"]["content_type"].native != "tst_info":
        raise TimestampError("what is signed is no stamp")
    with parsing(content, TimestampError):
        info = TSTInfo.load(content, strict=True)
        imprint = info["message_imprint"]
        time: datetime = info["gen_time"].native
        hashed, name = bytes(imprint["hashed_message"].native), imprint["hash_algorithm"]["algorithm"].native
    try:
        covered = stamp.covered if isinstance(stamp.covered, bytes) else b"".join(stamp.covered)
        algorithm = Hash.of_asn1_name(name)
        if algorithm.digest(covered) != hashed:
            raise TimestampOtherDataError
    except HashUnsupportedError:
        raise TimestampError("its hash is not known") from None
    try:
        found = list(signatures_of(signed, content, "tst_info"))
    except SignatureFormatError as error:
        raise TimestampError(str(error)) from error
    if len(found) != 1 or not found[0].intact or found[0].certificate is None:
        raise TimestampInvalidError("its signature does not hold")
    signature, authority = found[0], found[0].certificate
    if Hash.SHA_1 in (algorithm, signature.hash):
        raise TimestampInvalidError("its hash can be forged")
    if not signature.binds_certificate:
        raise TimestampInvalidError("it does not name its certificate")
    _check_certificate(authority, time)
    return ReadStamp(time, authority, signature)


def _check_certificate(der: bytes, moment: datetime) -> None:
    """Return if the certificate is one for time stamps (RFC 3161 §2.3) and was in time when it stamped."""
    try:
        certificate = parsed(der)
        if _TIME_STAMPING not in (certificate.extended_key_usage or ()):
            raise TimestampInvalidError("the certificate is not one for time stamps")
        begins, ends = certificate.period
    except (CertificateError, CardDataError) as error:
        raise TimestampInvalidError(str(error)) from error
    if not begins <= moment <= ends:
        raise TimestampInvalidError("the certificate was not valid at the time of the stamp")
