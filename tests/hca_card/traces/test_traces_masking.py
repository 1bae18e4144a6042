"""No byte of a PIN goes on from a trace: not where it is expected, and not where it is not."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from hca_card.pin import Pin
from hca_card.pin_block import PinEncoding, PinFormat
from hca_card.traces.dealings import Talk
from hca_card.traces.failures import TraceError, UnknownTraceError
from hca_card.traces.imported import import_traces
from hca_card.traces.report import report
from hca_card.traces.secrets import MASK, PinShape, Secrets, shape_of
from tests.support import trace_writers as write
from tests.support.cards import simulated
from tests.support.traced_profiles import nowhere

PIN = "739164"
PIN_HEX = PIN.encode().hex(" ")
BCD = "73 91 64"
SELECT = "-> 00 A4 04 00 05 F0 00 00 00 01\n<- 90 00\n"
VERIFY = f"-> 00 20 00 01 06 {PIN_HEX}\n<- 90 00\n"


def told(folder: Path, log: str | bytes) -> list[str]:
    """All that is said and written of a trace."""
    file = folder / "trace"
    file.write_bytes(log.encode() if isinstance(log, str) else log)
    with import_traces([file], "0") as imported:
        made = report(imported)
    return [made.drafted.text, made.copy, *map(" · ".join, made.sentences), str(made.notes)]


UNEXPECTED = {
    "of another class": SELECT + f"-> 80 20 00 01 06 {PIN_HEX}\n<- 90 00\n",
    "padded": SELECT + f"-> 00 20 00 01 08 {PIN_HEX} FF FF\n<- 90 00\n",
    "packed": SELECT + f"-> 00 20 00 01 08 26 {BCD} FF FF FF FF\n<- 90 00\n",
    "with extended length": SELECT + f"-> 00 20 00 01 00 00 06 {PIN_HEX}\n<- 90 00\n",
    "with a wrong length": SELECT + f"-> 00 20 00 01 09 {PIN_HEX}\n<- 67 00\n",
    "in pieces": SELECT
    + f"-> 10 20 00 01 03 {PIN_HEX[:8]}\n<- 90 00\n-> 00 20 00 01 03 {PIN_HEX[9:]}\n<- 90 00\n",
    "in pieces that end": SELECT + f"-> 10 20 00 01 06 {PIN_HEX}\n<- 90 00\n-> 00 B0 00 00 10\n<- 6A 82\n",
    "after a procedure byte": SELECT + f"-> 00 20 00 01 06\n<- 20\n-> {PIN_HEX}\n<- 90 00\n",
    "after its header": SELECT + f"-> 00 20 00 01 06\n-> {PIN_HEX}\n<- 90 00\n",
    "on the next line": SELECT + f"-> 00 20 00 01 06\n   {PIN_HEX}\n<- 90 00\n",
    "changed": SELECT + f"-> 00 24 00 01 0C {PIN_HEX} {PIN_HEX}\n<- 90 00\n",
    "reset with a code": SELECT + f"-> 00 2C 00 01 0E 31 31 31 31 32 32 32 32 {PIN_HEX}\n<- 90 00\n",
    "in PUT DATA": SELECT + f"-> 00 DA 01 00 06 {PIN_HEX}\n<- 90 00\n",
    "in UPDATE BINARY": SELECT + f"-> 00 D6 00 00 06 {PIN_HEX}\n<- 90 00\n",
    "in ENVELOPE": SELECT + f"-> 00 C2 00 00 0B 00 20 00 01 06 {PIN_HEX}\n<- 90 00\n",
    "under secure messaging": SELECT + f"-> 0C 20 00 01 06 {PIN_HEX}\n<- 90 00\n",
    "packed, as if it were a command": SELECT + "[login] -> 73 91 64 99\n<- 90 00\n",
    "in the words of a log": SELECT + f"verify PIN: {PIN}\nPIN -> {PIN_HEX}\nPIN={PIN}\n",
    "in a SELECT before": f"-> 00 A4 04 00 0B F0 01 02 03 04 {PIN_HEX}\n<- 90 00\n" + VERIFY,
    "in a SELECT after": VERIFY + f"-> 00 A4 04 00 0B F0 01 02 03 04 {PIN_HEX}\n<- 90 00\n",
    "packed in a SELECT": f"-> 00 A4 04 00 08 F0 01 02 03 04 {BCD}\n<- 90 00\n" + VERIFY,
    "in an answer to SELECT": f"-> 00 A4 04 00 05 F0 00 00 00 01\n<- 6F 08 84 06 {PIN_HEX} 90 00\n" + VERIFY,
    "in what GET DATA asks": VERIFY + f"-> 00 CA 01 00 06 {PIN_HEX}\n<- 30 00 90 00\n",
    "in MANAGE SECURITY ENVIRONMENT": f"-> 00 22 41 B6 08 84 06 {PIN_HEX}\n<- 90 00\n"
    + VERIFY
    + f"-> 00 2A 9E 9A 14 {'00 ' * 20}00\n<- {'11 ' * 128}90 00\n",
    "in a file": VERIFY + f"-> 00 B0 81 00 06\n<- {PIN_HEX} 90 00\n",
    "in a wrong try": SELECT + f"-> 00 20 00 01 06 {PIN_HEX}\n<- 63 C2\n",
    "without an answer": SELECT + f"-> 00 20 00 01 06 {PIN_HEX}\n",
}  # fmt: skip


@pytest.mark.parametrize("where", UNEXPECTED)
def test_a_pin_is_masked_wherever_it_stands(tmp_path: Path, where: str) -> None:
    texts = told(tmp_path, UNEXPECTED[where])
    nowhere(PIN, *texts)
    # And none of its halves, as a command's first bytes would show them.
    assert not any("37 33 39 31" in text or "739164" in text.replace(" ", "") for text in texts)


def test_a_pin_typed_on_the_reader_is_understood_without_being_there(tmp_path: Path) -> None:
    recorded = write.Recorded(simulated("hpc"))
    recorded.transmit(bytes.fromhex("00A404000AF04843414147454E540100"))
    messages = write.by_apdu(recorded)
    messages += write.keypad_entry(bytes.fromhex("00200001"), b"\xff" * 8, b"\x90\x00")
    told_words = "\n".join(told(tmp_path, write.usbmon_pcap(messages)))
    blocks = write.by_blocks(recorded)
    answer = b"\x00\x00\x02\x90\x00\x92"  # and where the reader takes blocks, it answers one
    blocks += write.keypad_entry(bytes.fromhex("00200001"), b"\xff" * 8, answer)
    assert "讀卡機的鍵盤" in "\n".join(told(tmp_path, write.usbmon_pcap(blocks)))
    assert "讀卡機的鍵盤" in told_words
    assert "stored_length = 8, pad = 0xFF" in told_words


@pytest.mark.parametrize(
    ("encoding", "stored", "pad"),
    [
        (PinEncoding.ASCII, 0, 0xFF),
        (PinEncoding.ASCII, 8, 0xFF),
        (PinEncoding.ASCII, 8, 0x00),
        (PinEncoding.ASCII, 16, 0x20),
        (PinEncoding.BCD, 0, 0xFF),
        (PinEncoding.BCD, 8, 0xFF),
        (PinEncoding.HALF_NIBBLE_BCD, 0, 0xFF),
        (PinEncoding.HALF_NIBBLE_BCD, 8, 0xFF),
        (PinEncoding.HALF_NIBBLE_BCD, 8, 0x00),
        (PinEncoding.ISO_9564, 0, 0xFF),
    ],
)
@pytest.mark.parametrize("pin", ["123456", "7391645", "739164"])
def test_how_a_pin_is_written_is_read_from_its_block(
    encoding: PinEncoding, stored: int, pad: int, pin: str
) -> None:
    block = PinFormat(6, 8, encoding, stored, pad).encode(Pin(pin))
    found = shape_of(block)
    assert found is not None
    assert (found.encoding, found.stored_length) == (encoding, stored)
    assert not stored or found.pad == pad
    again = PinFormat(6, 8, found.encoding, found.stored_length, found.pad).encode(Pin(pin))
    assert again == block


def test_what_says_nothing_of_the_pin_may_stand_before_it() -> None:
    assert shape_of(b"\x00\x80739164\xff\xff") == PinShape(PinEncoding.ASCII, 10, 0xFF, prefix=b"\x00\x80")
    # A count of its characters is not the same before every PIN.
    assert shape_of(b"\x06739164") is None
    assert shape_of(bytes.fromhex("9A5F1D03C2EE7781")) is None


def test_a_pin_of_eight_characters_shows_no_padding() -> None:
    found = shape_of(b"12345678")
    assert found is not None and found.full and not found.stored_length


@pytest.mark.parametrize(
    "text",
    [PIN, PIN_HEX, PIN_HEX.upper(), PIN_HEX.replace(" ", ""), PIN_HEX.replace(" ", ":"), BCD, "F7F3F9F1F6F4",
     "26739164FFFFFFFF", f"{PIN}8", f"x{PIN}y"],
)  # fmt: skip
def test_a_text_is_cleaned_of_every_spelling(text: str) -> None:
    secrets = Secrets()
    secrets.learn(PIN.encode())
    shown = secrets.clean(f"before {text} after")
    assert MASK in shown and shown.startswith("before ") and shown.endswith(" after")
    nowhere(PIN, shown)
    assert repr(secrets) == "Secrets(…)"
    secrets.forget()
    assert secrets.clean(PIN) == PIN


def test_pins_that_are_nothing_but_zeros_do_not_blot_out_identifiers() -> None:
    secrets = Secrets()
    secrets.learn(b"000000")
    assert secrets.clean("aid = A0 00 00 00 63") == "aid = A0 00 00 00 63"
    assert secrets.clean("30 30 30 30 30 30") != "30 30 30 30 30 30"


def test_a_fault_of_this_program_shows_nothing_of_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trace"
    file.write_text(SELECT + VERIFY)

    def broken(self: Talk, raw: bytes) -> None:
        raise RuntimeError(f"no idea what {raw!r} is")

    monkeypatch.setattr(Talk, "command", broken)
    with pytest.raises(TraceError) as caught, import_traces([file], "0"):
        pass
    assert "RuntimeError" in in_no_frame(caught.value)


def test_no_error_has_bytes_of_the_trace_in_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "trace"
    file.write_bytes(f"PIN: {PIN}".encode() + bytes(8))
    with pytest.raises(UnknownTraceError) as unknown, import_traces([file], "0"):
        pass
    in_no_frame(unknown.value)
    file.write_text(SELECT + VERIFY)

    def broken(*_: object) -> None:
        raise KeyError(PIN.encode())

    monkeypatch.setattr("hca_card.traces.report.explain", broken)
    with pytest.raises(TraceError) as caught, import_traces([file], "0") as imported:
        report(imported)
    assert "KeyError" in in_no_frame(caught.value)


def in_no_frame(error: BaseException) -> str:
    """The traceback with its frames' variables, in which the PIN is not."""
    assert error.__context__ is None and error.__cause__ is None
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    # The variables of the tests themselves are theirs.
    ours = [part for part in shown.split("  File ") if __file__ not in part]
    nowhere(PIN, *ours)
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename != __file__:
            nowhere(PIN, f"{step.tb_frame.f_locals}")
        step = step.tb_next
    return shown


def test_pins_are_forgotten_once_everything_is_written(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_text(SELECT + VERIFY)
    with import_traces([file], "0") as imported:
        assert imported.secrets.hidden_in(PIN.encode())
    assert not imported.secrets.hidden_in(PIN.encode())


def test_a_draft_that_would_need_the_bytes_of_the_pin_is_none(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_text(UNEXPECTED["in a SELECT before"])
    with import_traces([file], "0") as imported:
        drafted = report(imported).drafted
    assert not drafted.complete and "looks like the PIN" in drafted.missing[-1]
