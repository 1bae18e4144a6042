"""The Windows that the tests of its packages share: made when the first of them asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import wine
from tests.support.debian import Debian


@pytest.fixture(scope="session")
def trixie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """A machine with Wine and a smart card service, alone in its network; its display sockets are ours."""
    missing = [name for name in wine.TOOLS if shutil.which(name) is None]
    assert not missing, f"not installed: {', '.join(missing)}"
    with wine.machine(tmp_path_factory.getbasetemp()) as made:
        yield made


@pytest.fixture(scope="session")
def windows_python() -> Path:
    """A Windows Python with what the program and its tests need."""
    return wine.make_python(wine.KEPT / "python", tests=True)


@pytest.fixture(scope="session")
def windows_packages(
    trixie: Debian, windows_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Those of this source."""
    return wine.packages_of_this_source(trixie, windows_python, tmp_path_factory.mktemp("windows-packages"))
