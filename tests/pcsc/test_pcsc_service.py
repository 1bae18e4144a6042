"""Where contexts come from: the system's service, wherever there is one, or a virtual one."""

from __future__ import annotations

import sys

import pytest

from pcsc import service
from pcsc.errors import ServiceUnavailableError
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard


def test_a_machine_whose_service_does_not_run_says_so() -> None:
    winscard = VirtualWinscard()
    winscard.stop_service()
    with pytest.raises(ServiceUnavailableError):
        Service(winscard).context()


def test_a_machine_without_pcsc_at_all_says_the_service_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(ServiceUnavailableError, match="cannot be loaded"):
        Service.system().context()


def test_the_systems_library_is_loaded_at_the_first_context_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[VirtualWinscard] = []

    def load() -> VirtualWinscard:
        loaded.append(VirtualWinscard())
        return loaded[-1]

    monkeypatch.setattr(service, "system", load)
    systems = Service.system()
    assert not loaded
    with systems.context(), systems.context():
        assert len(loaded) == 1


def test_only_readers_of_this_process_are_virtual() -> None:
    assert Service(VirtualWinscard()).virtual
    assert not Service.system().virtual


def test_a_context_sees_only_the_readers_that_its_service_is_for() -> None:
    winscard = VirtualWinscard()
    winscard.add_reader("Maker A 00 00")
    winscard.add_reader("Maker B 01 00")
    with Service(winscard, only="Maker B").context() as context:
        assert context.readers() == ["Maker B 01 00"]
    with Service(winscard).context() as context:
        assert context.readers() == ["Maker A 00 00", "Maker B 01 00"]
