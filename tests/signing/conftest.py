"""What of these tests the inner loop leaves out: whole documents, and judges that are other programs."""

from __future__ import annotations

import pytest

_LONG = ("tests/signing/formats/", "tests/signing/verification/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(_LONG):
            item.add_marker(pytest.mark.slow)
