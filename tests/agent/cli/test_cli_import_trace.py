"""From a trace to a profile that drives another card of the same kind, and no byte of the PIN anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hca_card import profile
from pcsc.service import Service
from tests.support import trace_writers as write
from tests.support.cards import simulated
from tests.support.command_line import answer
from tests.support.foreign import makers_program
from tests.support.openssl import openssl_program
from tests.support.traced_profiles import PIN, WRITERS, everything_in, nowhere, signs_with


@pytest.fixture(scope="module")
def recorded() -> write.Recorded:
    one = write.Recorded(simulated("hpc"))
    write.vendors_program(one.transmit, PIN.encode())
    return one


@pytest.mark.parametrize("writer", WRITERS)
def test_a_trace_becomes_a_profile_for_another_card(
    invoke, recorded: write.Recorded, tmp_path: Path, writer: str
) -> None:
    trace, target = tmp_path / "trace", tmp_path / "made"
    trace.write_bytes(WRITERS[writer](recorded))
    result = invoke("card", "import-trace", trace, "-o", target)
    assert result.exit_code == 0, result.output
    assert "設定檔草稿已完整" in result.stdout
    signs_with((target / "profile.toml").read_text("utf-8"), "hop")
    trace.unlink()
    nowhere(PIN, result.output, *everything_in(tmp_path))


def test_a_card_that_nobody_knows_works_once_its_makers_program_was_recorded(
    invoke, home: Path, tmp_path: Path
) -> None:
    card = ("--simulate", "hpc-foreign")
    unknown = invoke("card", *card)
    assert unknown.exit_code == 1 and "card.unknown" in unknown.stderr
    recorded = write.Recorded(simulated("hpc-foreign"))
    makers_program(recorded.transmit, PIN.encode())
    trace, target = tmp_path / "trace.pcap", tmp_path / "made"
    trace.write_bytes(write.usbmon_pcap(write.by_blocks(recorded)))
    assert invoke("card", "import-trace", trace, "-o", target).exit_code == 0
    (home / "profiles").mkdir(mode=0o700)
    shutil.move(target / "profile.toml", home / "profiles")
    assert invoke("card", "profiles").exit_code == 0
    shown = invoke("card", *card)
    assert shown.exit_code == 0 and "測試人員卡" in shown.stdout, shown.output
    judged_by_openssl(invoke, tmp_path, *card)
    trace.unlink()
    nowhere(PIN, *everything_in(tmp_path))


def test_importing_touches_no_card(
    invoke, recorded: write.Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one command leaves the program: the smart card service is not even asked for."""

    def asked(*_: object) -> None:
        raise AssertionError("the smart card service was asked")

    monkeypatch.setattr(Service, "__init__", asked)
    monkeypatch.setattr(Service, "context", asked)
    (tmp_path / "trace").write_bytes(write.arrows(recorded))
    assert invoke("card", "import-trace", tmp_path / "trace", "-o", tmp_path / "made").exit_code == 0


def test_what_was_understood_is_told_as_json(invoke, recorded: write.Recorded, tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(write.pcscd(recorded))
    told = answer(invoke("card", "import-trace", tmp_path / "trace", "--json", "-o", tmp_path / "made"))
    assert told["complete"] and told["missing"] == [] and Path(told["profile"]).is_file()
    words = "\n".join(one["zh"] for one in told["understood"])
    for part in (
        "選取了應用程式 F0 48 43 41",
        "5 張憑證",
        "00 20 00 01",
        "ASCII",
        "00 22 41 B6",
        "DigestInfo",
    ):
        assert part in words
    head = json.loads(Path(told["trace"]).read_text("utf-8").partition("\n")[0])
    assert head["trace"] == "hca-agent card import-trace" and head["masked"]


def test_the_answer_to_reset_can_be_given(invoke, tmp_path: Path) -> None:
    """A card that says nothing of itself is known by it, and APDUPlay does not tell it."""
    recorded = write.Recorded(simulated("hpc-foreign"))
    makers_program(recorded.transmit, PIN.encode())
    (tmp_path / "trace").write_bytes(write.apduplay(recorded))
    words = ("card", "import-trace", tmp_path / "trace", "-o", tmp_path / "made", "--force")
    without = invoke(*words)
    assert without.exit_code == 0 and "--atr" in without.stderr
    assert profile.load(tmp_path / "made" / "profile.toml").draft
    assert "完整" in invoke(*words, "--atr", recorded.atr.hex(" ")).stdout
    assert not profile.load(tmp_path / "made" / "profile.toml").draft
    assert invoke(*words, "--atr", "90 00").exit_code == 2


def test_what_cannot_be_used_is_a_sentence_and_leaves_nothing(invoke, tmp_path: Path) -> None:
    trace, target = tmp_path / "trace", tmp_path / "made"
    for content, expected in (
        ("dear people", "trace.unknown"),
        ("-> FF CA 00 00 00\n<- 04 01 02 03 90 00", "trace.contactless"),
    ):
        trace.write_text(content)
        result = invoke("card", "import-trace", trace, "-o", target)
        assert result.exit_code == 1 and f"({expected}" in result.stderr
        assert not target.exists()


def test_results_are_not_overwritten_unasked(invoke, recorded: write.Recorded, tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(write.arrows(recorded))
    words = ("card", "import-trace", tmp_path / "trace", "-o", tmp_path / "made")
    assert [invoke(*words).exit_code, invoke(*words).exit_code, invoke(*words, "--force").exit_code] == [
        0,
        2,
        0,
    ]


def judged_by_openssl(invoke, folder: Path, *card: str) -> None:
    document, certificate, signature = (folder / name for name in ("document", "signer.pem", "document.sig"))
    document.write_text("document")
    assert invoke("certs", *card, "--index", "1", "-o", certificate).exit_code == 0
    words = ("sign", document, "--format", "pkcs1", "--pin-stdin", *card, "-o", signature)
    signed = invoke(*words, input=f"{PIN}\n")
    assert signed.exit_code == 0, signed.output
    openssl = openssl_program()
    key = subprocess.run(
        [openssl, "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True
    ).stdout
    (folder / "key.pem").write_bytes(key)
    words = ("dgst", "-sha256", "-verify", folder / "key.pem", "-signature", signature, document)
    assert b"Verified OK" in subprocess.run([openssl, *words], capture_output=True, check=False).stdout
    signature.unlink()
