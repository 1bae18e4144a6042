"""What is the origin of a page, character by character, and what to say of what is none."""

from __future__ import annotations

import base64

import pytest

from signing.errors import NonceInvalidError, OriginNotHttpsError
from signing.origin import check_nonce, check_origin, is_origin, origin_fault

ORIGINS = [
    "https://portal.example.tw",
    "https://portal.example.tw:8443",
    "https://xn--fiq228c.tw",
    "https://under_score.example",
    "https://192.0.2.1",
    "https://[2001:db8::1]",
    "https://[2001:db8::1]:65535",
    "https://localhost",
    f"https://{'a' * 63}.tw",
]
LOOPBACK = ["http://localhost", "http://127.0.0.1:8080", "http://[::1]:3000"]
FAULTS = {
    "begins with https://": [
        "",
        "null",
        "portal.example.tw",
        "ftp://portal.example.tw",
        "https:portal.example.tw",
    ],
    "user name": ["https://user@portal.example.tw", "https://user:word@portal.example.tw"],
    "wildcard": ["https://*.example.tw", "https://portal.example.tw?q", "https://portal.example.tw#x"],
    "path": ["https://portal.example.tw/", "https://portal.example.tw/login", "https://portal.example.tw\\"],
    "spaces": ["https://portal.example.tw ", "https://portal .example.tw"],
    "punycode": ["https://中文.tw"],
    "lower case": ["https://Portal.example.tw", "HTTPS://portal.example.tw"],
    "this computer alone": ["http://portal.example.tw", "http://127.0.0.2:80", "http://[::2]"],
    "usual port": ["https://portal.example.tw:443", "http://localhost:80"],
    "number from 1 to 65535": [
        "https://portal.example.tw:0",
        "https://portal.example.tw:65536",
        "https://portal.example.tw:x",
        "https://portal.example.tw:",
        "https://portal.example.tw:080",
    ],
    "as browsers write it": [
        "https://",
        "https://portal.example.tw.",
        "https://portal..example.tw",
        f"https://{'a' * 64}.tw",
        f"https://{'a.' * 130}tw",
        "https://1.2.3",
        "https://010.0.0.1",
        "https://0x7f000001",
        "https://256.0.0.1",
        "https://[2001:db8::0001]",
        "https://[fe80::1%25eth0]",
        "https://[nonsense]",
        "https://-portal.example.tw",
    ],
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_is_taken_as_a_browser_writes_it(origin: str) -> None:
    assert is_origin(origin)
    assert origin_fault(origin) == ""
    check_origin(origin)


@pytest.mark.parametrize("origin", LOOPBACK)
def test_without_tls_there_is_this_computer_alone_where_that_is_allowed(origin: str) -> None:
    assert is_origin(origin)
    assert origin_fault(origin) == ""
    check_origin(origin, allow_loopback_http=True)
    with pytest.raises(OriginNotHttpsError):
        check_origin(origin)


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in FAULTS.items() for text in texts])
def test_what_is_none_is_refused_and_told_the_rule_that_it_breaks(rule: str, text: str) -> None:
    assert not is_origin(text)
    assert rule in origin_fault(text)
    with pytest.raises(OriginNotHttpsError):
        check_origin(text, allow_loopback_http=True)


def nonce(octets: int) -> str:
    return base64.b64encode(bytes(range(octets))).decode()


@pytest.mark.parametrize("text", [nonce(32), nonce(33), nonce(96)])
def test_a_nonce_is_base64_of_32_octets_or_more(text: str) -> None:
    check_nonce(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        nonce(31),
        nonce(97),
        nonce(32)[:-1],
        nonce(32).replace("A", "-"),
        nonce(32)[:-1] + "\n",
        nonce(31)[:-1] + "===" + "AA",
        "中" * 44,
        "A" * 41 + "===",
        "A" * 20 + "=" * 24,
    ],
)
def test_any_other_nonce_is_refused(text: str) -> None:
    with pytest.raises(NonceInvalidError):
        check_nonce(text)
