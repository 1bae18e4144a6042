"""The unit tests, run by a real Windows Python under Wine; some of them with a real smart card service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.debian import Debian
from tests.support.pcscd import KEEPER
from tests.support.pcscd_keeper import keeper
from tests.support.platforms import not_on_windows
from tests.support.wine import Wine, make_prefix

SECONDS = 5400.0
ROOMS = ("tests/pcsc", "tests/hca_card", "tests/signing", "tests/tray")


pytestmark = [
    pytest.mark.packages,
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS + 300),
    not_on_windows("it runs them itself"),
]


@pytest.fixture(scope="module")
def windows(trixie: Debian, windows_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    wine = make_prefix(trixie, tmp_path_factory.mktemp("windows") / "prefix", windows_python)
    try:
        yield wine
    finally:
        wine.end()


def run(windows: Wine, *words: str, **more: str) -> str:
    """What pytest says at its end."""
    asked = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb", "short", "--timeout", "900", *words)
    told = windows.run_python(*asked, more=more, seconds=SECONDS, expected=None)
    ends = re.findall(r"^[=\s]*(\d+ \w+.* in [\d.]+s.*)$", told, re.MULTILINE)  # Wine may say more behind it
    assert ends and " passed" in ends[-1] and "failed" not in ends[-1] and "error" not in ends[-1], told
    return str(ends[-1])


def test_those_that_need_no_card_service_pass(windows: Wine) -> None:
    run(
        windows,
        *ROOMS,
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-m",
        "not pcscd and not browser and not slow and not packages",
    )


def test_those_with_a_card_service_pass(windows: Wine, trixie: Debian, tmp_path: Path) -> None:
    with keeper(trixie, tmp_path) as port:
        run(windows, "tests/pcsc", "-m", "pcscd", **{KEEPER: str(port)})
