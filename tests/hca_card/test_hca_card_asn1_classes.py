"""asn1crypto's tables are whole before anybody reads them, in whichever thread."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from asn1crypto import core

import hca_card  # noqa: F401
from hca_card import asn1_classes

READERS = (
    "agent.certificate_status",
    "hca_card.certificate",
    "signing.asn1",
    "signing.cms.build",
    "signing.revocation",
    "signing.timestamp",
    "signing.trust",
    "signing.verification.reading",
)


def test_a_thread_that_comes_second_waits_for_the_table_of_the_first() -> None:
    """A table that takes long to make: with asn1crypto's own list the second thread goes on without it."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(dict[Any, Any]):
        def items(self) -> Any:
            begun.set()
            assert go_on.wait(30)
            return super().items()

    class Kind(core.Enumerated):
        _map = Slow({1: "one", 2: "two"})

    made: list[object] = []

    def make() -> None:
        made.append(Kind("two").native)

    threads = [threading.Thread(target=make) for _ in range(2)]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    threads[1].join(0.2)  # long enough to go wrong: it would end with an error
    assert threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert made == ["two", "two"]


def test_a_tag_of_its_own_is_understood_as_before() -> None:
    class Tagged(core.Integer):
        explicit = (2, 3)  # context-specific

    assert Tagged(5).dump().hex() == "a303020105"
    assert Tagged.load(bytes.fromhex("a303020105")).native == 5


@pytest.mark.slow
@pytest.mark.parametrize("module", READERS)
def test_whoever_reads_asn1_has_it_so(module: str) -> None:
    program = f"import {module}; from asn1crypto import core; print(type(core._SETUP_CLASSES).__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["_Ready"]


def test_what_is_loaded_already_is_made_ready_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = core._SETUP_CLASSES
    asn1_classes.make_ready_for_threads()
    assert core._SETUP_CLASSES is ready
    monkeypatch.setattr(core, "_SETUP_CLASSES", {})
    asn1_classes.make_ready_for_threads()
    assert type(core._SETUP_CLASSES) is type(ready)
