"""Operations on simulated cards: what is pulled out of a virtual reader is gone at once."""

from __future__ import annotations

import pytest

from pcsc import connection


@pytest.fixture(autouse=True)
def nobody_is_given_a_moment_to_notice(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a card that says nothing, a real service may hear only later that it was pulled."""
    if request.node.get_closest_marker("pcscd") is None:
        monkeypatch.setattr(connection, "_SETTLE", 0.0)
