"""Decide what a signature is worth: whose it is, by which chain, revoked or not, when, and by whose clock.

The order is that of ETSI EN 319 102-1 (clause 5), in its plain form: time stamps first, the newest before
the older ones, for each proves that what it covers existed at its time; then the signer's certificate at the
moment that is proved, or now where nothing is. Nothing here opens a connection: what was fetched is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import Final

from hca_card.certificate import CertificateDescription, describe
from hca_card.errors import CardDataError
from signing.errors import SigningError, StatusAnswerForgedError, StatusAnswerStaleError, TimestampError
from signing.formats import Level
from signing.revocation import (
    CertificateStatus,
    RevocationReason,
    RevocationState,
    is_about,
    judge_crl,
    judge_ocsp,
)
from signing.revocation.status import SKEW
from signing.verification.certificate_checks import (
    holds,
    in_time,
    is_simulated,
    purpose,
    strength,
    trusted_path,
    without_policy,
)
from signing.verification.findings import Finding, Remark, Weight, worst
from signing.verification.found import FoundDocument, FoundSignature
from signing.verification.report import (
    DocumentReport,
    RevocationReport,
    SignatureReport,
    TimeSource,
    Verdict,
)
from signing.verification.stamps import ReadStamp, read_stamp
from signing.verification.wording import algorithm_of, link, name_of, person, sentence, worded

Statuses = Mapping[bytes, CertificateStatus]
"""What authorities say of certificates now, by the certificate's DER."""


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
    remarks = worded(found.remarks)
    zh, en = sentence(verdict, signatures, remarks)
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


_Answers = Mapping[bytes, list[CertificateStatus]]
"""What came with a signature about each certificate of its path, by the certificate's DER."""


class _Judge:
    """Judges the signatures of one document; paths are found once for each certificate."""

    def __init__(self, trust: Trust, statuses: Statuses | None) -> None:
        self._trust = trust
        self._statuses = statuses
        self._paths: dict[tuple[bytes, bool, frozenset[str]], tuple[bytes, ...]] = {}

    def signature(self, number: int, found: FoundSignature) -> SignatureReport:
        remarks = [*found.remarks, *strength(found)]
        moment = self._moment(found, remarks)
        path: tuple[bytes, ...] = ()
        embedded: _Answers = {}
        revocation: RevocationReport | None = None
        description: CertificateDescription | None = None
        if found.certificate is not None:
            try:
                description = describe(found.certificate)
            except CardDataError:
                remarks.append(Remark(Finding.CERTIFICATE_UNREADABLE))
        if found.certificate is not None and description is not None:
            remarks += purpose(found.certificate)
            if not found.binds_certificate:
                remarks.append(Remark(Finding.CERTIFICATE_NOT_BOUND))
            path = self._path(found.certificate, found.certificates)
            if description.simulated and not self._trust.simulated:
                path = ()
                remarks.append(Remark(Finding.SIMULATED))
            elif not path:
                remarks.append(Remark(Finding.CHAIN_UNKNOWN, description.issuer[:120]))
            if self._trust.policies and not self._path(
                found.certificate, found.certificates, policies=self._trust.policies
            ):
                remarks.append(without_policy(found.certificate))
            stamped = moment.at if moment.stamped else None
            remarks += in_time(path or (found.certificate,), found.claimed_time, stamped, self._trust.now)
            if path:
                embedded = {
                    der: self._answers(found, der, issuer, moment, remarks) for issuer, der in pairwise(path)
                }
                revocation = self._revocation(found, path, moment, embedded, remarks)
        remarks = list(dict.fromkeys(remarks))
        verdict = _VERDICT[max(worst(remarks), Weight.NOTE if found.intact else Weight.UNDECIDED)]
        return SignatureReport(
            number=number,
            format=found.format.value,
            verdict=verdict,
            unchanged=found.intact,
            level=_level(found, moment, embedded),
            signer=None if description is None else person(description),
            time=moment.at if moment.stamped else found.claimed_time,
            time_source=_time_source(moment, found),
            time_authority=moment.authority,
            signs=found.signs,
            over=found.over,
            reason=found.reason,
            algorithm=algorithm_of(found),
            chain=tuple(link(each) for each in path),
            revocation=revocation,
            remarks=worded(remarks),
        )

    def unsettled(self, found: FoundSignature) -> Iterator[tuple[bytes, bytes]]:
        """Give the certificates of the signer's path, not the root, that no answer inside settles."""
        if found.certificate is None or (is_simulated(found.certificate) and not self._trust.simulated):
            return
        moment = self._moment(found, [])
        path = self._path(found.certificate, found.certificates)
        for issuer, der in pairwise(path):
            if not (self._answers(found, der, issuer, moment, []) or self._kept(found, der, issuer, moment)):
                yield der, issuer

    def _path(
        self,
        der: bytes,
        others: tuple[bytes, ...],
        *,
        stamp: bool = False,
        policies: frozenset[str] = frozenset(),
    ) -> tuple[bytes, ...]:
        """Return the certificates from a trusted root to this one, in time or not; empty without a path."""
        known = self._paths.get((der, stamp, policies))
        if known is not None:
            return known
        roots = (*self._trust.roots, *(self._trust.stamp_roots if stamp else ()))
        path = trusted_path(der, roots, (*self._trust.intermediates, *others), policies)
        if path:
            # Without one, another signature may bring the certificates that are missing.
            self._paths[der, stamp, policies] = path
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
                or not all(holds(each, moment.at) for each in path[1:])
                or self._stamp_revoked(read, found, path, moment)
            ):
                remarks.append(Remark(Finding.STAMP_UNTRUSTED, name_of(read.authority)))
                continue
            archived = moment.archived or stamp.archive
            moment = _Moment(read.time, True, name_of(read.authority), archived)
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
        self,
        found: FoundSignature,
        path: tuple[bytes, ...],
        moment: _Moment,
        embedded: _Answers,
        remarks: list[Remark],
    ) -> RevocationReport:
        """Return how the signer stands; remarks are of every certificate of the path but the root."""
        report = RevocationReport(state=RevocationState.UNKNOWN.value)
        for issuer, der in pairwise(path):
            told = (self._statuses or {}).get(der)
            answers = (*embedded[der], *self._kept(found, der, issuer, moment), *((told,) if told else ()))
            known = [each for each in answers if each.state is not RevocationState.UNKNOWN]
            # Who is revoked once stays so; among the rest the newest answer says most.
            chosen = max(
                known,
                key=lambda each: (each.state is RevocationState.REVOKED, each.this_update),
                default=None,
            )
            if chosen is None:
                unknown = Finding.REVOCATION_UNKNOWN if self._trust.hard else Finding.REVOCATION_UNCHECKED
                remarks.append(Remark(unknown, name_of(der) if der != path[-1] else ""))
            elif chosen.state is RevocationState.REVOKED:
                remarks.append(_revoked(chosen, moment))
            if der == path[-1] and chosen is not None:
                report = RevocationReport(
                    state=chosen.state.value,
                    source=chosen.source.value,
                    embedded=chosen in embedded[der],
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


def _level(found: FoundSignature, moment: _Moment, embedded: _Answers) -> str:
    """Return the baseline level that is reached, and nothing where something of it does not hold."""
    if not (found.intact and found.binds_certificate and found.claimed_time):
        return ""
    if not moment.stamped:
        return Level.B_B.value
    if not embedded or not all(embedded.values()):
        return Level.B_T.value
    return (Level.B_LTA if moment.archived else Level.B_LT).value


def _time_source(moment: _Moment, found: FoundSignature) -> TimeSource:
    if moment.stamped:
        return TimeSource.STAMP
    return TimeSource.NONE if found.claimed_time is None else TimeSource.SIGNER
