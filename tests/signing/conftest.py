"""What these tests share, and what the inner loop leaves out: whole documents, judges of other makers."""

from __future__ import annotations

import pytest

from tests.support.outside_world import Authority

_LONG = ("tests/signing/formats/", "tests/signing/verification/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(_LONG):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that openssl is, with its files in a folder of its own."""
    return Authority(tmp_path_factory.mktemp("authority"))
