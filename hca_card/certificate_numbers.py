"""HCA's numbers for the certificates on a card, by what the certificates themselves say.

0 is the CA that issued the holder's, 1 the holder's for signatures, 2 the holder's for encryption, 3 an
intermediate CA and 4 the root CA. The order in which a card lists them decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hca_card import tlv
from hca_card.certificate import (
    AUTHORITY_KEY_IDENTIFIER,
    SUBJECT_KEY_IDENTIFIER,
    ParsedCertificate,
    compared_name,
    parse,
)
from hca_card.errors import CardDataError
from hca_card.model import CertificateUse, KeyUse

USES: Final = {
    0: CertificateUse.CA,
    1: CertificateUse.SIGNATURE,
    2: CertificateUse.ENCRYPTION,
    3: CertificateUse.INTERMEDIATE,
    4: CertificateUse.ROOT,
}
CERTIFICATE_INDEX: Final = {KeyUse.SIGNATURE: 1, KeyUse.ENCRYPTION: 2}
"""The numbers of the holder's own certificates."""

_CA, _SIGNATURE, _ENCRYPTION, _INTERMEDIATE, _ROOT = USES
_SIGNING: Final = frozenset(("digital_signature", "non_repudiation"))
_DECIPHERING: Final = frozenset(("key_encipherment", "data_encipherment", "key_agreement"))
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_Name = tuple[tuple[str, str], ...] | bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A certificate that can be read, with what its number is decided by."""

    position: int
    certificate: ParsedCertificate
    subject: _Name
    issuer: _Name

    @property
    def der(self) -> bytes:
        return self.certificate.der

    @property
    def self_issued(self) -> bool:
        return self.subject == self.issuer

    @property
    def newest_first(self) -> tuple[float, bytes]:
        """What decides between two that are as good as each other; lower is better."""
        try:
            ends = self.certificate.period[1]
        except CardDataError:
            ends = _NEVER
        return (_NEVER - ends).total_seconds(), self.der

    def may(self, usages: frozenset[str]) -> bool:
        usage = self.certificate.key_usage
        return usage is None or bool(usage & usages)


def numbered(
    certificates: Sequence[bytes], listed_for: Mapping[KeyUse, Collection[int]] | None = None
) -> dict[int, int]:
    """Return the position in `certificates` for each number that one of them has.

    One that serves for both keys has the numbers 1 and 2, a root that issued the holder's 0 and 4. Of several
    intermediates the one above the CA has the 3, else the newest one. What cannot be read has no number.

    Args:
        certificates: DER, in any order; hostile input.
        listed_for: the positions of certificates that the card itself joins to the key for that use; where it
            names none that can be read, key usage alone decides.
    """
    candidates = _candidates(certificates)
    joined = {
        use: {certificates[position] for position in positions}
        for use, positions in (listed_for or {}).items()
    }
    every_joined = set().union(*joined.values())
    authorities = [
        each for each in candidates if each.der not in every_joined and _is_authority(each, candidates)
    ]
    own = [each for each in candidates if each not in authorities]
    signature = _best_own(own, joined.get(KeyUse.SIGNATURE, ()), _SIGNING, _DECIPHERING)
    encryption = _best_own(own, joined.get(KeyUse.ENCRYPTION, ()), _DECIPHERING, _SIGNING, taken=signature)
    holder = signature or encryption
    chain = [] if holder is None else _chain(holder, authorities)
    ca = next(iter(chain), None)
    others = [each for each in authorities if each is not ca]
    found = {
        _CA: ca,
        _SIGNATURE: signature,
        _ENCRYPTION: encryption,
        _INTERMEDIATE: _first(chain[1:], others, self_issued=False),
        _ROOT: _first(chain, others, self_issued=True),
    }
    return {number: one.position for number, one in found.items() if one is not None}


def _candidates(certificates: Iterable[bytes]) -> list[_Candidate]:
    """Return those that can be read, each once."""
    found: dict[bytes, _Candidate] = {}
    for position, der in enumerate(certificates):
        try:
            certificate = parse(der)
        except CardDataError:
            continue
        names = compared_name(certificate.subject), compared_name(certificate.issuer)
        found.setdefault(der, _Candidate(position, certificate, *names))
    return list(found.values())


def _is_authority(candidate: _Candidate, candidates: Iterable[_Candidate]) -> bool:
    """Return whether it is no holder's. Of version 1, it is where it issued another or only itself."""
    stated = candidate.certificate.authority
    if stated is not None:
        return stated
    issued = [each for each in candidates if not each.self_issued]
    return any(
        candidate.subject == each.issuer or (candidate.self_issued and not each.certificate.authority)
        for each in issued
    )


def _best_own(
    own: Sequence[_Candidate],
    listed: Collection[bytes],
    usages: frozenset[str],
    others: frozenset[str],
    taken: _Candidate | None = None,
) -> _Candidate | None:
    """Return the newest that the card lists for that key, else that may serve for it, rather for it alone."""
    fitting = [each for each in own if each.der in listed] or [each for each in own if each.may(usages)]
    return min(fitting, key=lambda each: (each is taken, each.may(others), each.newest_first), default=None)


def _chain(holder: _Candidate, authorities: Iterable[_Candidate]) -> list[_Candidate]:
    """Return the authorities above the holder's certificate, up to a root, a gap or a circle."""
    chain: list[_Candidate] = []
    below, left = holder, list(authorities)
    while issuers := [each for each in left if each.subject == below.issuer]:
        # A renewed or cross-certified authority has several certificates: the one whose key is named,
        # then the one that ends the chain, then the one whose own issuer is here too.
        subjects = {each.subject for each in left}
        ranks = {
            (
                not _key_is_named(each, below),
                not each.self_issued,
                each.issuer not in subjects,
                each.newest_first,
            ): each
            for each in issuers
        }
        above = ranks[min(ranks)]
        chain.append(above)
        if above.self_issued:
            break
        left.remove(above)
        below = above
    return chain


def _key_is_named(issuer: _Candidate, below: _Candidate) -> bool:
    """Return whether the authorityKeyIdentifier names the issuer's key, or either says nothing."""
    try:
        wanted = tlv.find(below.certificate.extensions[AUTHORITY_KEY_IDENTIFIER], 0x30, 0x80)
        own = tlv.find(issuer.certificate.extensions[SUBJECT_KEY_IDENTIFIER], 0x04)
    except (KeyError, CardDataError):
        return True
    return wanted is None or wanted == own


def _first(
    chain: Sequence[_Candidate], others: Iterable[_Candidate], *, self_issued: bool
) -> _Candidate | None:
    """Return the first of that sort in the chain, else the newest of the others."""
    fitting = [each for each in others if each.self_issued is self_issued]
    newest = min(fitting, key=lambda each: each.newest_first, default=None)
    return next((each for each in chain if each.self_issued is self_issued), newest)
