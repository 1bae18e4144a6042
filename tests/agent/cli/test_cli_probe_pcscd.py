"""`card probe` at cards in a real PC/SC service, one of them not of our making: what reaches the card."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from hca_card import profile
from pcsc.winscard import VirtualCard
from tests.support.pcscd import PrivatePcscd, pcscd_fixture
from tests.support.waiting import LIMIT
from tests.support.wire import Wiretap, assert_only_reads

pytestmark = pytest.mark.pcscd

pcscd = pcscd_fixture(scope="module")

FOREIGN = "jcecard"


class Foreign:
    """The OpenPGP and PIV card of the package jcecard."""

    def __init__(self, folder: Path) -> None:
        from jcecard.main import OpenPGPCard

        self._card = OpenPGPCard(storage_path=folder / "card.json")

    def power_on(self) -> bytes:
        self._card.power_on()
        return bytes(self._card.get_atr())

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        return bytes(self._card.process_apdu(command))


def probe_in_service(kind: str, port: int, reader: str, folder: str) -> tuple[list[bytes], int, str]:
    """What reached the card, the command's exit code and what it printed; runs beside the service."""
    os.environ["HCA_AGENT_HOME"] = folder
    from agent.cli.program import program
    from pcsc.service import Service
    from pcsc.vpcd import VpcdClient
    from tests.support.cards import simulated
    from tests.support.waiting import until

    inside: VirtualCard = Foreign(Path(folder)) if kind == FOREIGN else simulated(kind)
    card = Wiretap(inside)
    client = VpcdClient(card, port=port)
    serving = threading.Thread(target=client.run, daemon=True)
    serving.start()
    try:
        with Service.system().context() as context:
            until(lambda: context.states([reader])[0].present, "no card in the reader")
        target = Path(folder) / kind
        result = CliRunner().invoke(program, ["card", "probe", "--reader", reader, "-o", str(target)])
        return list(card.sent), result.exit_code, result.output
    finally:
        client.stop()
        serving.join(LIMIT)
        # The service sees late that it is gone, and the next card must not be taken for this one.
        with Service.system().context() as context:
            until(lambda: not context.states([reader])[0].present, "the card stays in the reader")


@pytest.mark.parametrize("kind", [FOREIGN, "hpc", "nhi", "citizen", "hicos", "hpc-hostile", "hpc-torn"])
def test_nothing_but_reading_reaches_the_card(pcscd: PrivatePcscd, kind: str, tmp_path: Path):
    if kind == FOREIGN:
        pytest.importorskip("jcecard")
    sent, code, told = pcscd.call(
        probe_in_service, kind, pcscd.ports[0], pcscd.readers[0], str(tmp_path), timeout=90
    )
    assert code == 0, told
    assert_only_reads(sent)
    drafted = profile.load(tmp_path / kind / "profile.toml")
    assert drafted.draft is (kind != "hpc")
    assert kind != FOREIGN or "D2 76 00 01 24 01  OpenPGP card" in told
    assert (tmp_path / kind / "trace.jsonl").read_text("utf-8").count("\n") > 20
