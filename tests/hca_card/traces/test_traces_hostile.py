"""Traces that are cut, of something else, too large, or of two cards: a sentence each, and bounded memory."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hca_card import profile
from hca_card.probe import trace
from hca_card.traces.drafting import draft
from hca_card.traces.failures import (
    ContactlessError,
    MixedCardsError,
    SeveralCardsError,
    TraceError,
    UnknownTraceError,
)
from hca_card.traces.imported import TracedCard, import_traces
from hca_card.traces.report import report
from tests.support import trace_writers as write
from tests.support.cards import simulated
from tests.support.traced_profiles import PIN, nowhere

TWO_GIGABYTES = 2 * 1024**3
MEMORY_MOST = 24 * 1024 * 1024

FILES: dict[str, Callable[[write.Recorded], bytes]] = {
    "arrows": write.arrows,
    "OpenSC": write.opensc,
    "macOS, JSON": write.macos_json,
    "pcap, extended APDUs": lambda one: write.usbmon_pcap(write.by_extended_apdu(one)),
    "pcapng, blocks of T=1": lambda one: write.usbpcap_pcapng(write.by_blocks(one)),
}


@pytest.fixture(scope="module")
def recorded() -> write.Recorded:
    return of_kind("hpc")


def of_kind(kind: str) -> write.Recorded:
    one = write.Recorded(simulated(kind))
    write.vendors_program(one.transmit, PIN.encode())
    return one


def look(file: Path, number: int | None = None) -> tuple[TracedCard, str]:
    """The card of a trace, and all that is said and written of it."""
    with import_traces([file], "0") as imported:
        traced = imported.choose(number)
        profile.parse(draft(traced.card, traced.understood).text)
        made = report(imported, number)
        texts = [made.drafted.text, made.copy, *map(" · ".join, made.sentences + made.notes)]
        return traced, "\n".join(texts)


@pytest.mark.parametrize("name", FILES)
def test_a_trace_that_is_cut_gives_what_is_before_the_cut(
    recorded: write.Recorded, tmp_path: Path, name: str
) -> None:
    whole, file = FILES[name](recorded), tmp_path / "trace"
    for at in range(1, 10):
        file.write_bytes(whole[: len(whole) * at // 10])
        try:
            _, said = look(file)
        except UnknownTraceError:
            assert at == 1  # nothing of a card is in it yet
        else:
            nowhere(PIN, said)


def test_a_capture_that_is_cut_says_so(recorded: write.Recorded, tmp_path: Path) -> None:
    whole, file = write.usbmon_pcapng(write.by_apdu(recorded)), tmp_path / "trace"
    file.write_bytes(whole[:-20])
    assert "擷取檔不完整" in look(file)[1]
    short = write.usbmon_pcap([(False, write.by_apdu(recorded)[0][1])])
    file.write_bytes(short + short[24:56] + bytes(9))
    with pytest.raises(UnknownTraceError):
        look(file)


OTHERS = {
    "nothing": b"",
    "a letter": "親愛的 people, -> this is no trace; SW: engineer".encode(),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
    "JSON": b'{"eventMessage": "the weather is fine", "pid": 1}',
    "a network's packets": write.usbmon_pcap([]).replace(b"\xdc\0\0\0", b"\x01\0\0\0") + bytes(16),
    "a capture of nothing": write.usbmon_pcapng([]),
    "another program's capture": write.usbmon_pcap([(True, b"\x80mouse"), (False, b"\x6fmoves")]),
    "a capture whose block lies": write.usbmon_pcapng([])[:32] + b"\x06\0\0\0\xfc\xff\xff\xff" + bytes(64),
    "bytes without an end": b"-> 00 20 00 01 06\n" + (b"31 " * 16 + b"\n") * 8000,
    "lines without an end": b"-> " + b"00 " * 400_000,
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_trace_is_told_as_that(tmp_path: Path, what: str) -> None:
    file = tmp_path / "trace"
    file.write_bytes(OTHERS[what])
    with pytest.raises(UnknownTraceError):
        look(file)


@pytest.mark.parametrize(
    "name",
    [pytest.param("arrows", marks=pytest.mark.slow), "pcap, extended APDUs", "pcapng, blocks of T=1"],
)
def test_two_gigabytes_take_no_more_memory(recorded: write.Recorded, tmp_path: Path, name: str) -> None:
    file = tmp_path / "trace"
    file.write_bytes(FILES[name](recorded))
    os.truncate(file, TWO_GIGABYTES)
    tracemalloc.start()
    try:
        traced, said = look(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert traced.understood.keys and peak < MEMORY_MOST
    nowhere(PIN, said)


def test_a_long_day_takes_no_more_memory_than_a_short_one(
    recorded: write.Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "LINES_MAX", 100)  # of the masked copy
    file, once = tmp_path / "trace", write.arrows(recorded) + b"\n"
    peaks = []
    for times in (3, 12):
        file.write_bytes(once * times)
        tracemalloc.start()
        try:
            with import_traces([file], "0") as imported:
                traced = imported.choose()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert traced.understood.commands == times * len(recorded.exchanges)
    assert peaks[1] < 1.2 * peaks[0]


CONTACTLESS = {
    "by its ATR": "ATR: 3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00 6A\n"
    "-> 00 A4 04 00 05 F0 01 02 03 04\n<- 90 00",
    "by its commands": "-> FF CA 00 00 00\n<- 04 01 02 03 90 00\n"
    "-> FF 82 00 00 06 FF FF FF FF FF FF\n<- 90 00",
}


@pytest.mark.parametrize("how", CONTACTLESS)
def test_a_contactless_card_is_told_as_that(tmp_path: Path, how: str) -> None:
    file = tmp_path / "trace"
    file.write_text(CONTACTLESS[how])
    with pytest.raises(ContactlessError):
        look(file)


def test_two_cards_in_two_readers_are_two(recorded: write.Recorded, tmp_path: Path) -> None:
    """The same kind of card in two slots of a reader, and their packets in turns."""
    other, file = of_kind("hop"), tmp_path / "trace"
    pairs = zip(write.by_apdu(recorded), write.by_apdu(other, slot=1), strict=False)
    file.write_bytes(write.usbmon_pcapng([message for pair in pairs for message in pair]))
    with pytest.raises(SeveralCardsError, match="1, 2"):
        look(file)
    first, second = (look(file, number)[0] for number in (1, 2))
    assert first.understood.keys and second.understood.commands
    # Basic data and the holder's own certificate; those of the authorities are the same.
    for sfi in (0x03, 0x0B):
        held = [{one.content for one in each.card.files if one.sfi == sfi} for each in (first, second)]
        assert held[0] and held[1] and held[0].isdisjoint(held[1])
    with pytest.raises(SeveralCardsError):
        look(file, 3)


def test_two_readers_that_a_log_names_are_two(recorded: write.Recorded, tmp_path: Path) -> None:
    file, other = tmp_path / "trace", of_kind("hop")
    file.write_bytes(write.opensc(recorded, "Reader A") + b"\n" + write.opensc(other, "Reader B"))
    with pytest.raises(SeveralCardsError, match="1, 2"):
        look(file)
    assert all(look(file, number)[0].understood.keys for number in (1, 2))


def test_an_answer_that_a_log_cut_is_no_answer(recorded: write.Recorded, tmp_path: Path) -> None:
    """The service's log ends what is longer than its line in the middle, and does not say so."""
    file, lines = tmp_path / "trace", write.pcscd(recorded).split(b"\n")
    cut = [
        b"SW: ".join((line.split(b"SW: ")[0], b"30 82 03 FD " * 40)) if b"SW: 30 82" in line else line
        for line in lines
    ]
    file.write_bytes(b"\n".join(cut))
    traced, said = look(file)
    assert "紀錄有缺" in said and "certificates" in said and traced.understood.keys


def test_a_card_that_was_only_there_is_no_second_one(recorded: write.Recorded, tmp_path: Path) -> None:
    file = tmp_path / "trace"
    idle = write.Recorded(simulated("nhi"))
    idle.transmit(bytes.fromhex("00A4000002 3F00"))
    file.write_bytes(write.usbmon_pcap(write.by_apdu(idle, slot=1) + write.by_apdu(recorded)))
    assert look(file)[0].number == 2


@pytest.mark.parametrize("in_turns", [False, True])
def test_two_cards_that_cannot_be_told_apart_are_refused(
    recorded: write.Recorded, tmp_path: Path, in_turns: bool
) -> None:
    file, other = tmp_path / "trace", of_kind("hop")
    both = write.Recorded(simulated("hpc"))
    both.exchanges = recorded.exchanges + other.exchanges
    if in_turns:
        pairs = zip(recorded.exchanges, other.exchanges, strict=False)
        both.exchanges = [exchange for pair in pairs for exchange in pair]
    file.write_bytes(write.arrows(both))
    with pytest.raises(MixedCardsError):
        look(file)


def test_a_file_that_is_rewritten_meanwhile_is_no_second_card(tmp_path: Path) -> None:
    file, read = tmp_path / "trace", "-> 00 B0 83 00 02\n<- 41 4{} 90 00\n"
    file.write_text("-> 00 A4 04 00 05 F0 00 00 00 01\n<- 90 00\n" + read.format(1) + read.format(2))
    assert look(file)[0].card.files[0].content == b"AA"


def test_one_card_in_two_files_is_one(recorded: write.Recorded, tmp_path: Path) -> None:
    half = len(recorded.exchanges) // 2
    files = [tmp_path / "one.pcap", tmp_path / "two.log"]
    for file, exchanges in zip(files, (recorded.exchanges[:half], recorded.exchanges[half:]), strict=True):
        part = write.Recorded(simulated("hpc"))
        part.exchanges = exchanges
        file.write_bytes(
            write.usbmon_pcap(write.by_apdu(part)) if file.suffix == ".pcap" else write.pcscd(part)
        )
    with import_traces(files, "0") as imported:
        traced = imported.choose()
        assert draft(traced.card, traced.understood).complete
    assert len(imported.cards) == 1


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_whatever_is_in_a_trace_ends_in_a_sentence(
    recorded: write.Recorded, tmp_path: Path, data: st.DataObject, name: str
) -> None:
    whole, file = bytearray(FILES[name](recorded)), tmp_path / "trace"
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    file.write_bytes(whole)
    try:
        look(file)
    except TraceError as error:
        assert type(error) is not TraceError, error  # a fault of the program
