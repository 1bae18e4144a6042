from __future__ import annotations

from agent.origins.portals import KNOWN, named
from agent.origins.spelling import is_origin


def test_every_known_portal_has_an_origin_as_browsers_send_it() -> None:
    assert KNOWN
    assert all(is_origin(origin) and portal.zh and portal.en for origin, portal in KNOWN.items())


def test_a_known_portal_is_shown_with_its_name_and_its_address() -> None:
    zh, en = named("https://euservice.mohw.gov.tw")
    assert "醫事人員及醫事機構線上申辦系統" in zh
    assert "https://euservice.mohw.gov.tw" in zh
    assert "https://euservice.mohw.gov.tw" in en


def test_an_address_that_resembles_a_known_one_gets_no_name() -> None:
    for near in (
        "https://euserice.mohw.gov.tw",
        "https://euservice.mohw.gov.tw:8443",
        "http://euservice.mohw.gov.tw",
        "https://euservice.mohw.gov.tw.evil.example",
    ):
        assert named(near) == (near, near)
        assert near not in KNOWN
