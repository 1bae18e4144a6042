from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agent.access.policy import (
    Admission,
    AdmissionKind,
    ConsentAnswer,
    Decision,
    Listener,
    Rank,
    admit,
    authorise,
    is_ours,
    may_sign_digest,
    rank_of,
)
from agent.config import OriginSettings
from agent.vocabulary import Verb

TLS = Listener(
    56445, tls=True, public=frozenset(("/", "/popupForm", "/agent.js")), own_ports=frozenset({(56440, False)})
)
ORIGINS = OriginSettings(
    allow=frozenset(("https://portal.example.tw", "http://localhost:8443", "https://both.example.tw")),
    deny=frozenset(("https://evil.example.tw", "https://both.example.tw")),
    digest=frozenset(("https://digest.example.tw", "https://evil.example.tw")),
)
GOOD_HOST = "localhost:56445"
PAGE, OWN, PUBLIC, LOCAL, REFUSED = (
    AdmissionKind.PAGE,
    AdmissionKind.OWN_PAGE,
    AdmissionKind.PUBLIC,
    AdmissionKind.LOCAL_PROGRAM,
    AdmissionKind.REFUSED,
)

ORIGIN_ROWS = [
    # Pages of the web, exactly as browsers name them.
    ("https://portal.example.tw", PAGE),
    ("https://unknown.example.tw", PAGE),
    ("https://euservice.mohw.gov.tw", PAGE),
    ("https://portal.example.tw:8443", PAGE),
    ("https://xn--fiq228c.tw", PAGE),
    ("https://192.0.2.7", PAGE),
    ("https://192.0.2.7:8443", PAGE),
    ("https://[2001:db8::7]", PAGE),
    ("https://[2001:db8::7]:8443", PAGE),
    ("https://intranet", PAGE),
    ("https://under_score.example", PAGE),
    # Plain http: loopback, and only when listed.
    ("http://localhost:8443", PAGE),
    ("http://localhost:8444", REFUSED),
    ("http://127.0.0.1:8443", REFUSED),
    ("http://portal.example.tw", REFUSED),
    # Ourselves.
    ("https://localhost:56445", OWN),
    ("https://127.0.0.1:56445", OWN),
    ("https://[::1]:56445", OWN),
    ("http://localhost:56440", OWN),
    ("http://localhost:56445", REFUSED),
    ("https://localhost:56440", PAGE),
    # Denied, and deny wins over allow.
    ("https://evil.example.tw", REFUSED),
    ("https://both.example.tw", REFUSED),
    # Near misses of a listed origin.
    ("https://portal.example.tw/", REFUSED),
    ("https://portal.example.tw.", REFUSED),
    ("https://portal.example.tw:443", REFUSED),
    ("https://portal.example.tw:0443", REFUSED),
    ("https://portal.example.tw:", REFUSED),
    ("https://portal.example.tw:0", REFUSED),
    ("https://portal.example.tw:65536", REFUSED),
    ("https://portal.example.tw:８４４３", REFUSED),
    ("https://PORTAL.example.tw", REFUSED),
    ("HTTPS://portal.example.tw", REFUSED),
    (" https://portal.example.tw", REFUSED),
    ("https://portal.example.tw ", REFUSED),
    ("https://portal.example.tw\n", REFUSED),
    ("https://portal.example.tw\x00", REFUSED),
    ("https://user@portal.example.tw", REFUSED),
    ("https://portal.example.tw@evil.example", REFUSED),
    ("https://portal.example.tw#evil", REFUSED),
    ("https://portal.example.tw?evil", REFUSED),
    ("https://portal.example.tw\\evil", REFUSED),
    ("https://portal.example.tw, https://evil.example", REFUSED),
    ("https://portal.example.tw https://evil.example", REFUSED),
    ("https://portal。example。tw", REFUSED),
    ("https://醫事.tw", REFUSED),
    ("https://*.example.tw", REFUSED),
    ("https://.example.tw", REFUSED),
    ("https://portal..example.tw", REFUSED),
    ("https://-portal.example.tw", REFUSED),
    ("https://" + "a" * 64 + ".tw", REFUSED),
    ("https://" + "a." * 127 + "tw", REFUSED),
    # Addresses that are spelt another way.
    ("https://127.1", REFUSED),
    ("https://0x7f.0.0.1", REFUSED),
    ("https://0x7f000001", REFUSED),
    ("https://2130706433", REFUSED),
    ("https://192.0.2.07", REFUSED),
    ("https://192.0.2.256", REFUSED),
    ("https://[2001:DB8::7]", REFUSED),
    ("https://[2001:0db8::7]", REFUSED),
    ("https://[2001:db8::7%25eth0]", REFUSED),
    ("https://[::1", REFUSED),
    ("https://::1", REFUSED),
    ("https://[]", REFUSED),
    # No web page at all.
    ("null", REFUSED),
    ("", REFUSED),
    ("*", REFUSED),
    ("file://", REFUSED),
    ("chrome-extension://abcdefghijklmnop", REFUSED),
    ("moz-extension://0d7b", REFUSED),
    ("data:text/html", REFUSED),
    ("javascript://portal.example.tw", REFUSED),
    ("ftp://portal.example.tw", REFUSED),
    ("wss://portal.example.tw", REFUSED),
    ("https:portal.example.tw", REFUSED),
    ("https:///portal.example.tw", REFUSED),
    ("//portal.example.tw", REFUSED),
    ("portal.example.tw", REFUSED),
    ("https://", REFUSED),
]


@pytest.mark.parametrize(("origin", "kind"), ORIGIN_ROWS, ids=[repr(row[0])[:60] for row in ORIGIN_ROWS])
def test_an_origin_goes_through_its_door(origin: str, kind: AdmissionKind) -> None:
    admission = admit(origin, GOOD_HOST, "POST", "/", listener=TLS, origins=ORIGINS)
    assert admission.kind is kind
    assert admission.origin == (origin if kind in (PAGE, OWN) else None)


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("localhost:56445", True),
        ("127.0.0.1:56445", True),
        ("[::1]:56445", True),
        (None, False),
        ("", False),
        ("localhost", False),
        ("localhost:", False),
        ("localhost:56440", False),
        ("localhost:056445", False),
        ("LOCALHOST:56445", False),
        ("localhost.:56445", False),
        ("localhost.evil.example:56445", False),
        ("evil.example:56445", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example:56445", False),
        ("127.1:56445", False),
        ("0.0.0.0:56445", False),
        ("::1:56445", False),
        ("[::]:56445", False),
        ("[::ffff:127.0.0.1]:56445", False),
        ("user@localhost:56445", False),
        ("localhost:56445, evil.example", False),
        ("localhost:56445 ", False),
    ],
)
def test_only_loopback_and_the_port_it_came_to_are_a_good_host(host: str | None, good: bool) -> None:
    for origin in (None, "https://portal.example.tw"):
        admission = admit(origin, host, "GET", "/status", listener=TLS, origins=ORIGINS)
        assert (admission.kind is not REFUSED) is good


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/", PUBLIC),
        ("GET", "/status", PUBLIC),
        ("GET", "/popupForm", PUBLIC),
        ("GET", "/agent.js", PUBLIC),
        ("GET", "/v1", LOCAL),
        ("POST", "/", LOCAL),
        ("POST", "/status", LOCAL),
        ("POST", "/agent.js", LOCAL),
        ("OPTIONS", "/", LOCAL),
        ("GET", "/agent.js/", LOCAL),
        ("GET", "//agent.js", LOCAL),
        ("GET", "/../token", LOCAL),
        ("GET", "/%61gent.js", LOCAL),
        ("GET", "/STATUS", LOCAL),
        ("GET", "", LOCAL),
        ("HEAD", "/", REFUSED),
        ("PUT", "/", REFUSED),
        ("TRACE", "/", REFUSED),
        ("CONNECT", "/", REFUSED),
        ("get", "/", REFUSED),
    ],
)
def test_without_an_origin_only_what_is_public_needs_no_token(
    method: str, path: str, kind: AdmissionKind
) -> None:
    assert admit(None, GOOD_HOST, method, path, listener=TLS, origins=ORIGINS) == Admission(kind)


@pytest.mark.parametrize("origin", ["https://evil.example.tw", "null", "http://portal.example.tw", "rubbish"])
def test_any_origin_may_see_that_the_agent_runs_and_nothing_else(origin: str) -> None:
    assert admit(origin, GOOD_HOST, "GET", "/status", listener=TLS, origins=ORIGINS).kind is PUBLIC
    for method, path in (("GET", "/"), ("GET", "/v1"), ("GET", "/agent.js"), ("POST", "/status")):
        assert admit(origin, GOOD_HOST, method, path, listener=TLS, origins=ORIGINS).kind is REFUSED


NOW = datetime(2026, 1, 1, tzinfo=UTC)
YES_STILL = ConsentAnswer(True, NOW + timedelta(seconds=1))
YES_NO_MORE = ConsentAnswer(True, NOW)
NO_STILL = ConsentAnswer(False, NOW + timedelta(seconds=1))
NO_NO_MORE = ConsentAnswer(False, NOW)


@pytest.mark.parametrize(
    ("origin", "answer", "can_ask", "decision"),
    [
        (None, None, False, Decision.YES),
        ("https://portal.example.tw", None, False, Decision.YES),
        ("https://portal.example.tw", NO_STILL, False, Decision.YES),
        ("https://evil.example.tw", YES_STILL, True, Decision.NO),
        ("https://both.example.tw", YES_STILL, True, Decision.NO),
        ("https://new.example", None, True, Decision.ASK),
        ("https://new.example", None, False, Decision.NO),
        ("https://new.example", YES_STILL, False, Decision.YES),
        ("https://new.example", YES_NO_MORE, True, Decision.ASK),
        ("https://new.example", YES_NO_MORE, False, Decision.NO),
        ("https://new.example", NO_STILL, True, Decision.NO),
        ("https://new.example", NO_NO_MORE, True, Decision.ASK),
    ],
)
def test_configuration_then_answer_then_question_then_no(
    origin: str | None, answer: ConsentAnswer | None, can_ask: bool, decision: Decision
) -> None:
    answers = {} if answer is None else {Verb.SIGN: answer}
    assert (
        authorise(origin, Verb.SIGN, origins=ORIGINS, answers=answers, can_ask=can_ask, now=NOW) is decision
    )


def test_a_yes_for_one_verb_is_no_yes_for_another() -> None:
    answers = {Verb.READ: YES_STILL}
    for verb in set(Verb) - {Verb.READ}:
        decision = authorise(
            "https://new.example", verb, origins=ORIGINS, answers=answers, can_ask=False, now=NOW
        )
        assert decision is Decision.NO


def test_a_bare_digest_is_signed_for_listed_origins_and_own_commands_only() -> None:
    allowed = [None, "https://digest.example.tw"]
    refused = ["https://portal.example.tw", "https://evil.example.tw", "https://new.example"]
    assert all(may_sign_digest(origin, ORIGINS) for origin in allowed)
    assert not any(may_sign_digest(origin, ORIGINS) for origin in refused)


def test_a_name_that_one_port_has_is_ours_at_that_port_alone() -> None:
    named = Listener(port=7777, tls=True, hosts=frozenset(("component.example.tw",)))
    assert is_ours("component.example.tw:7777", named) is True
    for host in ("component.example.tw:7778", "component.example.tw", "other.example.tw:7777", None):
        assert is_ours(host, named) is False


def test_an_answer_is_not_changed_and_has_nothing_else_in_it() -> None:
    answer = msgspec.json.decode(b'{"allowed": true, "until": "2026-01-01T00:00:00Z"}', type=ConsentAnswer)
    with pytest.raises(AttributeError):
        answer.allowed = False  # type: ignore[misc]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            b'{"allowed": true, "until": "2026-01-01T00:00:00Z", "verb": "sign"}', type=ConsentAnswer
        )


@pytest.mark.parametrize(
    ("origin", "answers", "rank"),
    [
        (None, (), Rank.OWN),
        ("https://portal.example.tw", (), Rank.ALLOWED),
        ("https://both.example.tw", (YES_STILL,), Rank.STRANGER),
        ("https://evil.example.tw", (YES_STILL,), Rank.STRANGER),
        ("https://new.example.tw", (), Rank.STRANGER),
        ("https://new.example.tw", (YES_STILL,), Rank.ALLOWED),
        ("https://new.example.tw", (NO_STILL, YES_STILL), Rank.ALLOWED),
        ("https://new.example.tw", (YES_NO_MORE,), Rank.STRANGER),
        ("https://new.example.tw", (NO_STILL, NO_NO_MORE), Rank.STRANGER),
    ],
)
def test_who_gives_way_is_whom_neither_a_list_nor_a_yes_that_still_holds_allows(
    origin: str | None, answers: tuple[ConsentAnswer, ...], rank: Rank
) -> None:
    kept = {origin: dict(zip(Verb, answers, strict=False))}
    assert rank_of(origin, origins=ORIGINS, answers=lambda site: kept.get(site, {}), now=lambda: NOW) is rank
