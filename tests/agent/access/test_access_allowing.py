"""Allowing a site by the address that a person copies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.access.allowing import allow, origin_of_address
from agent.access.answers import Answers
from agent.config import Config, ConsentSettings, OriginSettings
from agent.errors import AgentError, ErrorId
from agent.vocabulary import Verb

PORTAL, PLAIN = "https://portal.example.tw", "http://localhost:8080"


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        (PORTAL, PORTAL),
        (" portal.example.tw/login?next=1#top ", PORTAL),
        ("https://portal.example.tw:443/", PORTAL),
        ("https://portal.example.tw:8443/", "https://portal.example.tw:8443"),
        ("http://localhost:8080/x", PLAIN),
        ("http://localhost:80/", "http://localhost"),
        ("https://[2001:db8::7]:8443/x", "https://[2001:db8::7]:8443"),
        ("https://name@portal.example.tw", None),
        ("https://:secret@portal.example.tw", None),
        ("https://portal.example.tw:99999", None),
        ("https://[2001:db8", None),
        ("ftp://portal.example.tw", None),
        ("https://", None),
        ("", None),
        ("https://portal example.tw", None),
    ],
)
def test_the_origin_of_an_address_or_none(address: str, origin: str | None) -> None:
    assert origin_of_address(address) == origin


def test_an_allowed_site_is_allowed_everything_for_as_long_as_is_configured(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.json")
    before = datetime.now(UTC)
    until = allow(Config(consent=ConsentSettings(days=7)), answers, PORTAL)
    assert timedelta(days=7) <= until - before < timedelta(days=7, hours=1)
    kept = answers.of(PORTAL)
    assert set(kept) == set(Verb)
    assert all(answer.allowed for answer in kept.values())


def test_a_site_without_https_is_allowed_only_where_it_is_listed(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.json")
    with pytest.raises(AgentError) as caught:
        allow(Config(), answers, PLAIN)
    assert caught.value.error_id == ErrorId.ORIGIN_NOT_LISTED
    assert not answers.of(PLAIN)
    allow(Config(origins=OriginSettings(allow=frozenset((PLAIN,)))), answers, PLAIN)
    assert answers.of(PLAIN)
