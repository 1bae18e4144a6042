"""Decide what a signature is worth: whose it is, by which chain, revoked or not, when, and by whose clock.

The order is that of ETSI EN 319 102-1 (clause 5), in its plain form: time stamps first, the newest before
the older ones, for each proves that what it covers existed at its time; then the signer's certificate at the
moment that is proved, or now where nothing is. Nothing here opens a connection: what was fetched is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from hashlib import sha256
from itertools import pairwise
from typing import Final

from hca_card.certificate import CertificateDescription, describe
from hca_card.errors import CardDataError
from hca_card.model import CardKind
from signing.certificate import any_public_key, parsed
from signing.errors import (
    CertificateError,
    SigningError,
    StatusAnswerForgedError,
    StatusAnswerStaleError,
    TimestampError,
)
from signing.formats import Level
from signing.hashes import Hash
from signing.revocation import (
    CertificateStatus,
    RevocationReason,
    RevocationState,
    is_about,
    judge_crl,
    judge_ocsp,
)
from signing.revocation.status import SKEW
from signing.trust import validate_chain
from signing.verification.findings import Finding, Remark, Weight, rows, worst
from signing.verification.found import FoundDocument, FoundSignature
from signing.verification.report import (
    ChainReport,
    DocumentReport,
    PersonReport,
    RemarkReport,
    RevocationReport,
    SignatureReport,
    TimeSource,
    Verdict,
)
from signing.verification.stamps import ReadStamp, read_stamp

RSA_BITS_MIN: Final = 2048
"""Shorter ones can be factored by those who pay for it (NIST SP 800-131A)."""
EC_BITS_MIN: Final = 224

Statuses = Mapping[bytes, CertificateStatus]
"""What authorities say of certificates now, by the certificate's DER."""

_SIGNS: Final = frozenset(("digital_signature", "non_repudiation"))
_FOR_DOCUMENTS: Final = frozenset(
    (
        "2.5.29.37.0",  # any
        "1.3.6.1.5.5.7.3.2",  # clientAuth: what cards for people have
        "1.3.6.1.5.5.7.3.4",  # emailProtection
        "1.3.6.1.5.5.7.3.36",  # documentSigning, RFC 9336
        "1.3.6.1.4.1.311.20.2.2",  # smart card log-on
        "1.3.6.1.4.1.311.10.3.12",  # document signing, Microsoft
        "1.2.840.113583.1.1.5",  # authentic documents, Adobe
    )
)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe, and how strictly.

    Attributes:
        roots: trusted roots of signers, DER.
        stamp_roots: of time-stamping authorities, besides those.
        intermediates: certificates that may stand between, DER.
        crls: lists that are at hand besides those that come with a signature, DER.
        simulated: the roots of simulated cards are among them: demo and tests.
        hard: a certificate of which nobody says that it is good decides nothing; else it is a remark.
        policies: certificate policies (dotted OIDs) of which a signer must have one; none for any.
        now: the moment of the verdict, aware.
    """

    roots: tuple[bytes, ...]
    stamp_roots: tuple[bytes, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    simulated: bool = False
    hard: bool = True
    policies: frozenset[str] = frozenset()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def at(self, now: datetime) -> Trust:
        """Return the same for a verdict at another moment."""
        return replace(self, now=now)


def judge(
    found: FoundDocument,
    document: bytes,
    trust: Trust,
    *,
    name: str = "",
    statuses: Statuses | None = None,
) -> DocumentReport:
    """Return the report on a document.

    Args:
        found: what its reader found.
        document: as it was given, for its size and digest.
        trust: whom to believe.
        name: the file's.
        statuses: what authorities say now of the certificates in `asked_about`; None where nobody was asked.
    """
    one = _Judge(trust, statuses)
    signatures = tuple(one.signature(number, each) for number, each in enumerate(found.signatures, start=1))
    weight = max((worst(found.remarks), *(_WEIGHT[each.verdict] for each in signatures)), default=Weight.NOTE)
    if not signatures:
        weight = max(weight, Weight.UNDECIDED)
    verdict = _VERDICT[weight]
    remarks = _worded(found.remarks)
    zh, en = _sentence(verdict, signatures, remarks)
    return DocumentReport(
        name=name,
        kind=found.kind,
        size=len(document),
        sha256=sha256(document).hexdigest(),
        verdict=verdict,
        zh=zh,
        en=en,
        signatures=signatures,
        remarks=remarks,
    )


def asked_about(found: FoundDocument, trust: Trust) -> tuple[tuple[bytes, bytes], ...]:
    """Return which certificates authorities have to be asked about now, each with its issuer.

    Those of signers whose own evidence does not settle it, and whose path is trusted: nothing is fetched on
    the word of a certificate that a stranger made.
    """
    one = _Judge(trust, None)
    return tuple(
        dict.fromkeys(
            pair
            for each in found.signatures
            if each.intact and each.certificate is not None
            for pair in one.unsettled(each)
        )
    )


@dataclass(frozen=True, slots=True)
class _Moment:
    """When a signature is known to have existed.

    Attributes:
        at: the moment that counts for the signer's certificate.
        stamped: by a trusted authority; else `at` is now.
        authority: its name.
        archived: the evidence is protected by a later stamp.
    """

    at: datetime
    stamped: bool
    authority: str = ""
    archived: bool = False


class _Judge:
    """Judges the signatures of one document; paths are found once for each certificate."""

    def __init__(self, trust: Trust, statuses: Statuses | None) -> None:
        self._trust = trust
        self._statuses = statuses
        self._paths: dict[tuple[bytes, bool], tuple[bytes, ...]] = {}

    def signature(self, number: int, found: FoundSignature) -> SignatureReport:
        remarks = [*found.remarks, *_strength(found)]
        moment = self._moment(found, remarks)
        path: tuple[bytes, ...] = ()
        revocation: RevocationReport | None = None
        description: CertificateDescription | None = None
        if found.certificate is not None:
            try:
                description = describe(found.certificate)
            except CardDataError:
                remarks.append(Remark(Finding.CERTIFICATE_UNREADABLE))
        if found.certificate is not None and description is not None:
            remarks += _purpose(found.certificate, self._trust.policies)
            if not found.binds_certificate:
                remarks.append(Remark(Finding.CERTIFICATE_NOT_BOUND))
            path = self._path(found.certificate, found.certificates)
            if description.simulated and not self._trust.simulated:
                path = ()
                remarks.append(Remark(Finding.SIMULATED))
            elif not path:
                remarks.append(Remark(Finding.CHAIN_UNKNOWN, description.issuer[:120]))
            remarks += _in_time(path or (found.certificate,), found.claimed_time, moment, self._trust.now)
            if path:
                revocation = self._revocation(found, path, moment, remarks)
        remarks = list(dict.fromkeys(remarks))
        verdict = _VERDICT[max(worst(remarks), Weight.NOTE if found.intact else Weight.UNDECIDED)]
        return SignatureReport(
            number=number,
            format=found.format.value,
            verdict=verdict,
            unchanged=found.intact,
            level=self._level(found, path, moment),
            signer=None if description is None else _person(description),
            time=moment.at if moment.stamped else found.claimed_time,
            time_source=_time_source(moment, found),
            time_authority=moment.authority,
            signs=found.signs,
            over=found.over,
            reason=found.reason,
            algorithm=_algorithm(found),
            chain=tuple(_link(each) for each in path),
            revocation=revocation,
            remarks=_worded(remarks),
        )

    def unsettled(self, found: FoundSignature) -> Iterator[tuple[bytes, bytes]]:
        """Give the certificates of the signer's path, not the root, that no answer inside settles."""
        if found.certificate is None or (_is_simulated(found.certificate) and not self._trust.simulated):
            return
        moment = self._moment(found, [])
        path = self._path(found.certificate, found.certificates)
        for issuer, der in pairwise(path):
            if not (self._answers(found, der, issuer, moment, []) or self._kept(found, der, issuer, moment)):
                yield der, issuer

    def _path(self, der: bytes, others: tuple[bytes, ...], *, stamp: bool = False) -> tuple[bytes, ...]:
        """Return the certificates from a trusted root to this one, in time or not; empty without a path."""
        known = self._paths.get((der, stamp))
        if known is not None:
            return known
        roots = (*self._trust.roots, *(self._trust.stamp_roots if stamp else ()))
        path = trusted_path(der, roots, (*self._trust.intermediates, *others))
        if path:
            # Without one, another signature may bring the certificates that are missing.
            self._paths[der, stamp] = path
        return path

    def _moment(self, found: FoundSignature, remarks: list[Remark]) -> _Moment:
        """Return since when the signature is known to exist; a stamp is judged at the moment of the next."""
        now, moment = self._trust.now, _Moment(self._trust.now, stamped=False)
        for stamp in reversed(found.stamps):
            try:
                read = read_stamp(stamp)
            except TimestampError:
                remarks.append(Remark(Finding.STAMP_WRONG))
                continue
            if read.time > now + SKEW:
                remarks.append(Remark(Finding.STAMP_FUTURE, f"{read.time:%Y-%m-%d %H:%M}"))
                continue
            others = (*read.signature.certificates, *found.certificates)
            path = self._path(read.authority, others, stamp=True)
            if (
                not path
                or not all(_holds(each, moment.at) for each in path[1:])
                or self._stamp_revoked(read, found, path, moment)
            ):
                remarks.append(Remark(Finding.STAMP_UNTRUSTED, _name(read.authority)))
                continue
            archived = moment.archived or stamp.archive
            moment = _Moment(read.time, True, _name(read.authority), archived)
        if not moment.stamped:
            if found.claimed_time is not None:
                remarks.append(Remark(Finding.TIME_ONLY_CLAIMED))
        elif found.claimed_time is not None and found.claimed_time > moment.at + SKEW:
            remarks.append(Remark(Finding.TIME_CLAIM_DISAGREES, f"{found.claimed_time:%Y-%m-%d %H:%M}"))
        return moment

    def _stamp_revoked(
        self, read: ReadStamp, found: FoundSignature, path: tuple[bytes, ...], moment: _Moment
    ) -> bool:
        for issuer, der in pairwise(path):
            evidence = replace(
                found,
                ocsp=(*read.signature.ocsp, *found.ocsp),
                crls=(*read.signature.crls, *found.crls),
            )
            for status in self._answers(evidence, der, issuer, moment, []):
                # RFC 3161 §4: a stamp made before its key was revoked holds, unless the key got out.
                if status.state is RevocationState.REVOKED and (
                    status.reason in _KEY_GOT_OUT or (status.revoked_at or read.time) <= read.time
                ):
                    return True
        return False

    def _revocation(
        self, found: FoundSignature, path: tuple[bytes, ...], moment: _Moment, remarks: list[Remark]
    ) -> RevocationReport:
        """Return how the signer stands; remarks are of every certificate of the path but the root."""
        report = RevocationReport(state=RevocationState.UNKNOWN.value)
        for issuer, der in pairwise(path):
            embedded = self._answers(found, der, issuer, moment, remarks)
            told = [] if self._statuses is None or der not in self._statuses else [self._statuses[der]]
            kept = self._kept(found, der, issuer, moment)
            known = [each for each in (*embedded, *kept, *told) if each.state is not RevocationState.UNKNOWN]
            # Who is revoked once stays so; among the rest the newest answer says most.
            chosen = max(
                known,
                key=lambda each: (each.state is RevocationState.REVOKED, each.this_update),
                default=None,
            )
            if chosen is None:
                unknown = Finding.REVOCATION_UNKNOWN if self._trust.hard else Finding.REVOCATION_UNCHECKED
                remarks.append(Remark(unknown, _name(der) if der != path[-1] else ""))
            elif chosen.state is RevocationState.REVOKED:
                remarks.append(_revoked(chosen, moment))
            if der == path[-1] and chosen is not None:
                report = RevocationReport(
                    state=chosen.state.value,
                    source=chosen.source.value,
                    embedded=chosen in embedded,
                    at=chosen.this_update,
                    revoked_at=chosen.revoked_at,
                )
        return report

    def _answers(
        self, found: FoundSignature, der: bytes, issuer: bytes, moment: _Moment, remarks: list[Remark]
    ) -> list[CertificateStatus]:
        """Return what the answers that came with a signature say of a certificate at that moment.

        An answer that was given after the moment says more of it than one that was given before, so that its
        own time counts then; one from before must still have held.
        """
        told: list[CertificateStatus] = []
        for judged in (
            *(partial(judge_ocsp, each, der, issuer) for each in found.ocsp if is_about(each, der, issuer)),
            *(partial(judge_crl, each, der, issuer) for each in found.crls),
        ):
            try:
                told.append(_at_its_time(judged, moment.at, self._trust.now))
            except StatusAnswerForgedError:
                remarks.append(Remark(Finding.REVOCATION_FORGED))
            except SigningError:
                continue
        return [each for each in told if each.state is not RevocationState.UNKNOWN]

    def _kept(
        self, found: FoundSignature, der: bytes, issuer: bytes, moment: _Moment
    ) -> list[CertificateStatus]:
        """Return what the lists that are at hand say of it."""
        return self._answers(replace(found, ocsp=(), crls=self._trust.crls), der, issuer, moment, [])

    def _level(self, found: FoundSignature, path: tuple[bytes, ...], moment: _Moment) -> str:
        """Return the baseline level that is reached, and nothing where something of it does not hold."""
        if not (found.intact and found.binds_certificate and found.claimed_time):
            return ""
        if not moment.stamped:
            return Level.B_B.value
        complete = bool(path) and all(
            self._answers(found, der, issuer, moment, []) for issuer, der in pairwise(path)
        )
        if not complete:
            return Level.B_T.value
        return (Level.B_LTA if moment.archived else Level.B_LT).value


_VERDICT: Final = {
    Weight.NOTE: Verdict.VALID,
    Weight.REMARK: Verdict.REMARK,
    Weight.UNDECIDED: Verdict.UNDECIDED,
    Weight.INVALID: Verdict.INVALID,
}
_WEIGHT: Final = {verdict: weight for weight, verdict in _VERDICT.items()}
_KEY_GOT_OUT: Final = frozenset(
    (
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.CA_COMPROMISE,
        RevocationReason.AA_COMPROMISE,
    )
)
_CATEGORIES: Final = {
    "personnel": "醫事人員",
    "institution": "醫事機構",
    "natural-person": "自然人",
    "company": "公司行號",
}
_KINDS: Final = {
    "personnel": CardKind.PERSONNEL.value,
    "institution": CardKind.INSTITUTION.value,
    "natural-person": CardKind.CITIZEN.value,
}


# In an archive the same few people sign everything, and what is decided here never changes.
@lru_cache(maxsize=256)
def trusted_path(der: bytes, roots: tuple[bytes, ...], others: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the path from one of `roots` to a certificate, judged within its own time; empty without one.

    Everything but time is decided here: names, signatures, constraints (RFC 5280 §6). Whether the
    certificates held at the moment that counts is asked later, and of each for itself.
    """
    try:
        begins, ends = parsed(der).period
        # The middle of its life: an issuer that did not live then could not have issued it properly.
        return validate_chain(der, roots, others, at=begins + (ends - begins) / 2)
    except (CertificateError, CardDataError):
        return ()


def _at_its_time(
    judged: Callable[[datetime], CertificateStatus], at: datetime, now: datetime
) -> CertificateStatus:
    try:
        return judged(at)
    except StatusAnswerStaleError as error:
        later = error.this_update
        if later is None or not at < later <= now + SKEW:
            raise
        return judged(later)


def _revoked(status: CertificateStatus, moment: _Moment) -> Remark:
    """Return what a revocation means for a signature made at that moment.

    Without a stamp the signer's own time proves nothing: who has the key can claim any.
    """
    since = status.revoked_at
    if moment.stamped and since is not None and since > moment.at:
        return Remark(Finding.CERTIFICATE_REVOKED_LATER, f"{since:%Y-%m-%d}")
    return Remark(Finding.CERTIFICATE_REVOKED, "" if since is None else f"{since:%Y-%m-%d}")


def _in_time(
    path: tuple[bytes, ...], claimed: datetime | None, moment: _Moment, now: datetime
) -> Iterator[Remark]:
    """Give what is wrong with the signer's period and those of its issuers (root excepted)."""
    for der in path[1:] or path:
        try:
            begins, ends = parsed(der).period
        except CardDataError:
            yield Remark(Finding.CERTIFICATE_UNREADABLE)
            continue
        if moment.stamped and not begins - SKEW <= moment.at <= ends:
            yield Remark(Finding.CERTIFICATE_OUT_OF_TIME)
        elif not moment.stamped and now > ends:
            late = claimed is not None and claimed > ends
            yield Remark(
                Finding.CERTIFICATE_OUT_OF_TIME if late else Finding.CERTIFICATE_EXPIRED, f"{ends:%Y-%m-%d}"
            )
        elif not moment.stamped and now < begins:
            yield Remark(Finding.CERTIFICATE_NOT_YET, f"{begins:%Y-%m-%d}")


def _holds(der: bytes, at: datetime) -> bool:
    try:
        begins, ends = parsed(der).period
    except (CardDataError, CertificateError):
        return False
    return begins <= at <= ends


def _strength(found: FoundSignature) -> Iterator[Remark]:
    """Give what makes the signature cheap to forge."""
    if found.hash is Hash.SHA_1:
        yield Remark(Finding.ALGORITHM_WEAK, found.hash.value)
    if found.certificate is None:
        return
    kind, bits = _key(found.certificate)
    if (kind == "RSA" and bits < RSA_BITS_MIN) or (kind == "EC" and bits < EC_BITS_MIN):
        yield Remark(Finding.KEY_SHORT, f"{kind} {bits}")


def _purpose(der: bytes, policies: frozenset[str]) -> Iterator[Remark]:
    """Give why this certificate is not one to sign documents with (RFC 5280 §4.2.1.3, .4 and .12)."""
    try:
        certificate = parsed(der)
        usage, extended = certificate.key_usage, certificate.extended_key_usage
        authority, own = certificate.authority, certificate.policies
    except (CertificateError, CardDataError):
        yield Remark(Finding.CERTIFICATE_UNREADABLE)
        return
    if authority:
        yield Remark(Finding.CERTIFICATE_PURPOSE, "CA")
    elif usage is not None and not usage & _SIGNS:
        yield Remark(Finding.CERTIFICATE_PURPOSE, ", ".join(sorted(usage)))
    elif extended is not None and not _FOR_DOCUMENTS.intersection(extended):
        yield Remark(Finding.CERTIFICATE_PURPOSE, ", ".join(extended)[:80])
    if policies and policies.isdisjoint(own):
        yield Remark(Finding.CERTIFICATE_POLICY, ", ".join(own)[:80])


@lru_cache(maxsize=256)
def _key(der: bytes) -> tuple[str, int]:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = any_public_key(der)
    except CertificateError:
        return "", 0
    if isinstance(key, RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, EllipticCurvePublicKey):
        return "EC", key.key_size
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey"), 0


def _algorithm(found: FoundSignature) -> str:
    key = "" if found.certificate is None else " ".join(str(part) for part in _key(found.certificate) if part)
    return ", ".join(part for part in (key, "" if found.hash is None else found.hash.value) if part)


def _time_source(moment: _Moment, found: FoundSignature) -> TimeSource:
    if moment.stamped:
        return TimeSource.STAMP
    return TimeSource.NONE if found.claimed_time is None else TimeSource.SIGNER


def _is_simulated(der: bytes) -> bool:
    try:
        return describe(der).simulated
    except CardDataError:
        return False


def _person(description: CertificateDescription) -> PersonReport:
    kind = description.subject_type or ""
    name = description.common_name or description.subject
    return PersonReport(
        name=name,
        category=_CATEGORIES.get(kind, ""),
        institution=name if kind == "institution" else description.institution_code or "",
        card=_KINDS.get(kind, ""),
        simulated=description.simulated,
    )


def _name(der: bytes) -> str:
    try:
        description = describe(der)
    except CardDataError:
        return ""
    return (description.common_name or description.subject)[:80]


def _link(der: bytes) -> ChainReport:
    try:
        subject = describe(der).subject
    except CardDataError:
        subject = ""
    return ChainReport(subject=subject, sha256=sha256(der).hexdigest())


def _worded(remarks: Iterable[Remark]) -> tuple[RemarkReport, ...]:
    """Return the remarks with their sentences, worst first."""
    ordered = sorted(remarks, key=lambda each: -each.weight)
    return tuple(
        RemarkReport(finding=each.finding.value, zh=row.zh, en=row.en, detail=each.detail)
        for each in ordered
        for row in (rows()[each.finding],)
    )


def _sentence(
    verdict: Verdict, signatures: tuple[SignatureReport, ...], remarks: tuple[RemarkReport, ...]
) -> tuple[str, str]:
    """Return the verdict in one sentence: what decided it, where something did."""
    decisive = next((each for each in signatures if each.verdict is verdict), None)
    reasons = remarks or (() if decisive is None else decisive.remarks)
    zh, en = (reasons[0].zh, reasons[0].en) if reasons else ("", "")
    count = len(signatures)
    match verdict:
        case Verdict.VALID:
            return f"{count} 個簽章全部有效。", f"All signatures are valid ({count})."
        case Verdict.REMARK:
            return f"簽章有效，但請注意：{zh}", f"Valid, with a remark: {en}"
        case Verdict.UNDECIDED:
            return f"無法判定：{zh}", f"It cannot be decided: {en}"
        case Verdict.INVALID:
            return f"簽章無效：{zh}", f"Invalid: {en}"
