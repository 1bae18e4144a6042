from __future__ import annotations

import subprocess
import sys

import pytest

from agent.origins.sites import site_of


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("https://evil.com.tw", "evil.com.tw"),
        ("https://a.evil.com.tw", "evil.com.tw"),
        ("https://a.b.c.evil.com.tw:8443", "evil.com.tw"),
        ("http://a.evil.com.tw", "evil.com.tw"),
        ("https://euservice.mohw.gov.tw", "mohw.gov.tw"),
        ("https://someone.github.io", "someone.github.io"),
        ("https://n1.evil.example", "evil.example"),
        ("https://a.xn--fiq228c.xn--kpry57d", "xn--fiq228c.xn--kpry57d"),
        # Below 個人.hk names are sold.
        ("https://a.b.xn--gmqw5a.hk", "b.xn--gmqw5a.hk"),
        ("https://x.city.kawasaki.jp", "city.kawasaki.jp"),
    ],
)
def test_all_names_under_a_domain_that_is_sold_are_one_site(origin: str, site: str) -> None:
    assert site_of(origin) == site


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("https://192.168.0.7", "192.168.0.7"),
        ("https://192.168.0.7:8443", "192.168.0.7"),
        ("http://[::1]:8080", "::1"),
        ("http://localhost:3000", "localhost"),
        ("https://intranet", "intranet"),
        ("https://gov.tw", "gov.tw"),
        ("https://xn--.example", "xn--.example"),
        ("https://a.xn--zzzzzzzzzz", "a.xn--zzzzzzzzzz"),
    ],
)
def test_addresses_single_labels_and_public_suffixes_count_by_themselves(origin: str, site: str) -> None:
    assert site_of(origin) == site


@pytest.mark.slow
def test_the_list_is_not_loaded_before_a_stranger_comes() -> None:
    program = "import sys, agent.daemon, agent.operations; print('publicsuffixlist' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "False\n"
