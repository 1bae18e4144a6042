from __future__ import annotations

import base64

import pytest

from agent.demo.errors import PortalError
from agent.demo.sessions import NONCE_SECONDS, SESSION_SECONDS, PortalSessions, same_secret


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> PortalSessions:
    return PortalSessions(most=3, clock=clock)


def test_a_nonce_is_base64_of_256_bits_and_never_the_same(sessions: PortalSessions) -> None:
    session = sessions.open()
    nonces = {sessions.issue_nonce(session) for _ in range(50)}
    assert len(nonces) == 50
    assert all(len(nonce) == 44 and len(base64.b64decode(nonce, validate=True)) == 32 for nonce in nonces)


def test_a_nonce_is_good_once(sessions: PortalSessions) -> None:
    session = sessions.open()
    nonce = sessions.issue_nonce(session)
    assert sessions.take_nonce(session) == nonce
    with pytest.raises(PortalError, match=r"nonce\.unknown"):
        sessions.take_nonce(session)


def test_a_nonce_is_good_for_a_few_minutes_only(sessions: PortalSessions, clock: Clock) -> None:
    session = sessions.open()
    sessions.issue_nonce(session)
    clock.now += NONCE_SECONDS
    with pytest.raises(PortalError, match=r"nonce\.unknown"):
        sessions.take_nonce(session)


def test_a_nonce_belongs_to_the_session_that_asked_for_it(sessions: PortalSessions) -> None:
    one, other = sessions.open(), sessions.open()
    sessions.issue_nonce(one)
    with pytest.raises(PortalError, match=r"nonce\.unknown"):
        sessions.take_nonce(other)


def test_there_are_never_more_sessions_than_allowed_and_the_least_used_goes(sessions: PortalSessions) -> None:
    first, second, third = (sessions.open() for _ in range(3))
    assert sessions.find(first.key) is first
    fourth = sessions.open()
    assert len(sessions) == 3
    assert sessions.find(second.key) is None
    assert [sessions.find(kept.key) for kept in (first, third, fourth)] == [first, third, fourth]


def test_a_session_that_nobody_uses_ends(sessions: PortalSessions, clock: Clock) -> None:
    session = sessions.open()
    clock.now += SESSION_SECONDS - 1
    assert sessions.find(session.key) is session
    clock.now += SESSION_SECONDS
    assert sessions.find(session.key) is None
    assert len(sessions) == 0


def test_the_secrets_of_a_session_do_not_print_its_nonce(sessions: PortalSessions) -> None:
    session = sessions.open()
    nonce = sessions.issue_nonce(session)
    assert nonce not in repr(session)


@pytest.mark.parametrize("given", ["", "secre", "secret ", "\udcff", "秘密"])
def test_another_secret_is_not_the_same(given: str) -> None:
    assert same_secret("secret", "secret")
    assert not same_secret(given, "secret")
