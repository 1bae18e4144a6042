"""Whose certificate may be encrypted to: what authorities say of it and of its issuers."""

from __future__ import annotations

import pytest

from agent.errors import AgentError, ErrorId
from agent.recipients import Recipients, Standing
from signing.errors import CertificateWrongUseError, EvidenceError
from signing.revocation import CertificateStatus, RevocationState, StatusSource
from tests.support.software_card import NOW, encryption_certificate, root, signature_certificate

GOOD, REVOKED, UNKNOWN = RevocationState.GOOD, RevocationState.REVOKED, RevocationState.UNKNOWN


class Issuers:
    def __init__(self, *path: bytes) -> None:
        self.path = path

    async def chain(self, certificate: bytes) -> tuple[bytes, ...]:
        if not self.path:
            raise EvidenceError
        return self.path


class Authorities:
    """Say so of each certificate in turn."""

    def __init__(self, *states: RevocationState | None) -> None:
        self.states = list(states)

    async def check(self, der: bytes, issuer: bytes) -> CertificateStatus:
        state = self.states.pop(0)
        if state is None:
            raise AgentError(ErrorId.CERTIFICATE_STATUS_UNREACHABLE)
        return CertificateStatus(state, StatusSource.OCSP, NOW, None)


def recipients(issuers: Issuers, authorities: Authorities, *roots: bytes) -> Recipients:
    return Recipients(issuers, authorities, lambda: roots, clock=lambda: NOW)


async def test_what_its_authority_vouches_for_is_good() -> None:
    judge = recipients(Issuers(root()), Authorities(GOOD), root())
    assert await judge.judge(encryption_certificate(), ask=True) == Standing(trusted=True, not_revoked=True)


@pytest.mark.parametrize("states", [(REVOKED,), (GOOD, REVOKED)], ids=["itself", "its issuer"])
async def test_a_revoked_recipient_is_refused(states: tuple[RevocationState, ...]) -> None:
    judge = recipients(Issuers(root(), root()), Authorities(*states))
    with pytest.raises(AgentError) as caught:
        await judge.judge(encryption_certificate(), ask=True)
    assert caught.value.error_id is ErrorId.CERTIFICATE_REVOKED


@pytest.mark.parametrize("state", [UNKNOWN, None])
async def test_what_nobody_knows_is_said_and_not_refused(state: RevocationState | None) -> None:
    judge = recipients(Issuers(root()), Authorities(state))
    assert await judge.judge(encryption_certificate(), ask=True) == Standing(trusted=False, not_revoked=False)


async def test_without_asking_only_the_certificate_counts() -> None:
    judge = recipients(Issuers(), Authorities())
    assert (await judge.judge(encryption_certificate(), ask=False)).not_revoked is False
    assert (await judge.judge(encryption_certificate(), ask=True)).not_revoked is False
    with pytest.raises(CertificateWrongUseError):
        await judge.judge(signature_certificate(), ask=False)
