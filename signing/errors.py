"""Why something was not signed, not verified, not decrypted or not believed.

`error_id` is the stable id of the row in `agent.errors`. What the card or its reader refuses stays
`hca_card.errors` and `pcsc.errors`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class SigningError(Exception):
    """Base of what this room refuses."""

    error_id: ClassVar[str] = "internal"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or type(self).__doc__)


class DocumentRefusedError(SigningError):
    """The document looks like what a login signs, and is not signed as a document."""

    error_id = "document.refused"


class HashUnsupportedError(SigningError):
    """The hash is not known, not allowed here, or the digest has not its length."""

    error_id = "hash.unsupported"


class SignatureInvalidError(SigningError):
    """The signature does not belong to this document and certificate."""

    error_id = "signature.invalid"


class SignatureFormatError(SigningError):
    """The signature is of a format that this program does not know."""

    error_id = "signature.format_unknown"


class DocumentUnusableError(SigningError):
    """The document cannot be signed in this format; the detail says why."""

    error_id = "document.unusable"


class DocumentChangedError(DocumentUnusableError):
    """The file changed while it was read."""

    error_id = "document.changed"


class DocumentUnsafeError(DocumentUnusableError):
    """The document has structures that are unsafe to read, or is too large."""


class EvidenceError(SigningError):
    """A time stamp, a certificate or an authority's answer that the signature needs was not to be had."""

    error_id = "evidence.unavailable"


class SignedContentMissingError(SignatureFormatError):
    """The document is not inside the signature, and none was named."""


class SignerMissingError(SignatureFormatError):
    """The signer's certificate is not inside the signature, and none was named."""


class CipherInvalidError(SigningError):
    """The cipher text cannot be decrypted with this card."""

    error_id = "cipher.invalid"


class CipherFormatError(CipherInvalidError):
    """The file is not encrypted, or in a way that cards cannot undo; the detail says how."""

    error_id = "cipher.format"


class CipherNotForCardError(CipherInvalidError):
    """The file was encrypted for others than the holder of this card."""

    error_id = "cipher.not_for_card"


class CipherDamagedError(CipherInvalidError):
    """The encrypted file was changed, or is not whole."""

    error_id = "cipher.damaged"


class CipherUnprotectedError(CipherInvalidError):
    """The file is encrypted in a way in which a change would not be found."""

    error_id = "cipher.unprotected"


class DataTooLongError(SigningError):
    """The data is longer than one RSA block takes."""

    error_id = "data.too_long"


class TokenInvalidError(SigningError):
    """The login token is not one, or does not prove what it must."""

    error_id = "token.invalid"


class NonceInvalidError(SigningError):
    """The nonce is not base64 of at least 32 bytes, 44 to 128 characters long."""

    error_id = "nonce.invalid"


class OriginNotHttpsError(SigningError):
    """The origin is not an https origin exactly as a browser reports it."""

    error_id = "origin.not_https"


class CertificateError(SigningError):
    """Base of what is wrong with a certificate."""

    error_id = "certificate.malformed"


class CertificateMalformedError(CertificateError):
    """The certificate cannot be read, or its key cannot be used."""


class KeyUnsupportedError(CertificateMalformedError):
    """The certificate is whole, and its key is of another kind than is needed."""

    error_id = "certificate.key_unsupported"


class CertificateExpiredError(CertificateError):
    """The certificate, or one above it, has expired."""

    error_id = "certificate.expired"


class CertificateNotYetValidError(CertificateError):
    """The certificate, or one above it, is not valid yet."""

    error_id = "certificate.not_yet_valid"


class CertificateUntrustedError(CertificateError):
    """No trusted certification authority stands behind the certificate."""

    error_id = "certificate.untrusted"


class CertificateWrongUseError(CertificateError):
    """The certificate was not issued for this use."""

    error_id = "certificate.wrong_use"


class TimestampError(SigningError):
    """The answer of a time stamping authority cannot be read."""

    error_id = "timestamp.malformed"


class TimestampRefusedError(TimestampError):
    """The time stamping authority did not give a stamp."""

    error_id = "timestamp.refused"


class TimestampOtherDataError(TimestampError):
    """The stamp is over other data, or answers another question."""

    error_id = "timestamp.other_data"


class TimestampInvalidError(TimestampError):
    """The stamp's signature does not hold, or its certificate is not one for time stamps."""

    error_id = "timestamp.invalid"


class OcspError(SigningError):
    """The OCSP request or answer cannot be read."""

    error_id = "ocsp.malformed"


class StatusAnswerError(SigningError):
    """Base of what is wrong with an authority's answer about a certificate's status."""

    error_id = "certificate.status_unusable"


class StatusAnswerUnusableError(StatusAnswerError):
    """The answer about the certificate's status says nothing of it."""


class StatusAnswerStaleError(StatusAnswerError):
    """The answer about the certificate's status is out of time.

    Attributes:
        this_update: the answer's own moment, aware, where that lies after the one that counts; else None.
    """

    error_id = "certificate.status_stale"

    def __init__(self, detail: str = "", this_update: datetime | None = None) -> None:
        super().__init__(detail)
        self.this_update = this_update


class StatusAnswerForgedError(StatusAnswerError):
    """The answer about the certificate's status does not come from its authority."""

    error_id = "certificate.status_forged"


class StatusAnswerUnrelatedError(StatusAnswerForgedError):
    """The answer is about other certificates, or was given to another question."""
