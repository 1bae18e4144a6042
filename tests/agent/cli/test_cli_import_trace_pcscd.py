"""Traces that others' programs make of themselves: OpenSC's tools at a card in a real PC/SC service."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import trace_writers as write
from tests.support.cards import simulated
from tests.support.pcscd import PrivatePcscd, pcscd_fixture
from tests.support.traced_profiles import PIN, WRITERS, everything_in, nowhere, signs_with
from tests.support.waiting import LIMIT, until

pytestmark = [
    pytest.mark.pcscd,
    pytest.mark.skipif(shutil.which("pkcs15-tool") is None, reason="OpenSC is not installed"),
]

pcscd = pcscd_fixture(scope="module", options=("--debug", "--apdu"))

HOLD = """
import pickle, sys, threading
from pcsc.vpcd import VpcdClient
from tests.support.cards import simulated
from tests.support.trace_writers import Recorded
from tests.support.waiting import until
card = Recorded(simulated("hpc"))
client = VpcdClient(card, port=int(sys.argv[1]))
threading.Thread(target=client.run, daemon=True).start()
until(lambda: client.connected, "the reader does not take the card")
print("held", flush=True)
sys.stdin.read()
with open(sys.argv[2], "wb") as file:
    pickle.dump((card.atr, card.exchanges), file)
"""


@pytest.fixture(scope="module")
def traces(pcscd: PrivatePcscd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what was recorded while the card was read and a document was signed."""
    folder = tmp_path_factory.mktemp("traces")
    (folder / "document").write_bytes(b"document")
    holder = pcscd.popen(
        [sys.executable, "-c", HOLD, str(pcscd.ports[0]), str(folder / "exchanges")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        until(
            lambda: not pcscd.run(["opensc-tool", "--atr"], capture_output=True).returncode,
            lambda: f"no card in the reader:\n{pcscd.log}",
        )

        def record(name: str, *words: str) -> None:
            done = pcscd.run(["env", "-C", str(folder), "OPENSC_DEBUG=9", *words], capture_output=True)
            assert done.returncode == 0, done.stderr[-2000:]
            (folder / name).write_bytes(done.stderr)

        record("pkcs15.log", "pkcs15-tool", "--dump", "--verify-pin", "--pin", PIN)
        record(
            "pkcs11.log", "pkcs11-tool", "--login", "--pin", PIN, "--sign", "--mechanism", "SHA256-RSA-PKCS",
            "--id", "01", "--input-file", "document", "--output-file", "signature",
        )  # fmt: skip
        (folder / "pcscd.log").write_text(pcscd.log)
        holder.communicate(timeout=LIMIT)
        yield folder
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("name", ["pcscd.log", "pkcs11.log", "pkcs15.log"])
def test_what_openscs_tools_and_the_service_log_becomes_a_profile(
    invoke, traces: Path, tmp_path: Path, name: str
) -> None:
    log = (traces / name).read_text()
    assert PIN.encode().hex(" ") in log  # this is what must not go on
    target = tmp_path / "made"
    result = invoke("card", "import-trace", traces / name, "-o", target)
    assert result.exit_code == 0, result.output
    assert "設定檔草稿已完整" in result.stdout, result.output
    signs_with((target / "profile.toml").read_text("utf-8"), "hop")
    nowhere(PIN, result.output, *everything_in(tmp_path))


@pytest.mark.parametrize(
    "writer",
    ["APDUPlay", "macOS", "macOS, JSON", "usbmon, pcapng", "usbmon, blocks of T=1", "USBPcap"],
)
def test_the_same_dealings_recorded_by_others_become_a_profile_too(
    invoke, traces: Path, tmp_path: Path, writer: str
) -> None:
    recorded = write.Recorded(simulated("hpc"))
    recorded.atr, recorded.exchanges = pickle.loads((traces / "exchanges").read_bytes())
    (tmp_path / "trace").write_bytes(WRITERS[writer](recorded))
    told_by_none = () if writer != "APDUPlay" else ("--atr", recorded.atr.hex())
    result = invoke("card", "import-trace", tmp_path / "trace", "-o", tmp_path / "made", *told_by_none)
    assert "設定檔草稿已完整" in result.stdout, result.output
    signs_with((tmp_path / "made" / "profile.toml").read_text("utf-8"), "hop")
    (tmp_path / "trace").unlink()
    nowhere(PIN, result.output, *everything_in(tmp_path))
