"""The soak in its short form: the same code as `make soak`, a few times each."""

from __future__ import annotations

import pytest

from tests.soak.__main__ import PARTS
from tests.soak.course import Mark, note, table

SHORT = {
    "insertions": 200,
    "signatures": 100,
    "pages": 45,
    "slow": 10,
    "windows": 80,
    "disk": 1,
    "clocks": 1,
    "pcscd": 2,
    "restarts": 2,
}
REAL = {"pcscd", "restarts"}


def broken(name: str) -> list[str]:
    """What is broken each time: what this process needs once, of other tests too, it keeps."""
    part, _times = PARTS[name]
    return part(SHORT[name]).broken and part(SHORT[name]).broken


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PARTS if name not in REAL])
def test_nothing_grows_and_nothing_is_lost(name: str) -> None:
    assert broken(name) == []


@pytest.mark.pcscd
@pytest.mark.parametrize("name", REAL)
def test_nothing_grows_and_nothing_is_lost_beside_a_real_service(name: str) -> None:
    assert broken(name) == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (Mark(55.0, 1000, 10, 5), "memory grew by 5.0 MB"),
        (Mark(50.0, 5000, 10, 5), "4,000 more objects after 100 times"),
        (Mark(50.0, 1000, 11, 5), "10 descriptors became 11"),
        (Mark(50.0, 1000, 10, 6), "5 threads became 6"),
    ],
)
def test_what_grows_breaks_a_bound(after: Mark, words: str) -> None:
    into = table("")
    note(into, "it", 100, 1.0, Mark(50.0, 1000, 10, 5), after)
    assert into.broken == [f"it: {words}"]
    assert words in str(into)
