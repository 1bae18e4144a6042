"""What of these tests the inner loop leaves out: whole documents, and judges that are other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

_LONG = ("formats", "verification")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if any(here / folder in item.path.parents for folder in _LONG):
            item.add_marker(pytest.mark.slow)
