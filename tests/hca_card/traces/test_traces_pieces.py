"""The readers of traces and the card that comes out of one, piece by piece, without a file of anybody's."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest

from hca_card.certificate import describe
from hca_card.model import KeyUse
from hca_card.pin_block import PinEncoding
from hca_card.pkcs15_directory import AID as PKCS15_AID
from hca_card.traces import captures, ccid, explaining, text, usb
from hca_card.traces.captures import CutError, packets
from hca_card.traces.ccid import Reader
from hca_card.traces.contents import contents
from hca_card.traces.dealings import CUT, Dealing, Talk
from hca_card.traces.failures import TraceError, out_of_reach
from hca_card.traces.imported import CARDS_MOST, Imported
from hca_card.traces.parts import parts_of
from hca_card.traces.recorded_card import RecordedCard
from hca_card.traces.secrets import PinShape, Secrets
from hca_card.traces.understanding import Understood
from pcsc.apdu import Command, Response
from tests.support.software_card import signature_certificate

FCP = bytes.fromhex("62 0A 82 01 01 83 02 4301 88 01 50")
FOLDER = bytes.fromhex("62 08 82 01 38 83 02 4300 00")[:10]


class Noted:
    """A sink that keeps all it is given."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self.told.append((name, *given))


def done(ins: int, p1: int, p2: int, data: bytes = b"", answer: bytes = b"", sw: int = 0x9000) -> Dealing:
    return Dealing(bytes((0, ins, p1, p2)), data=data, answer=answer, length=len(answer), sw=sw)


def recorded(*dealings: Dealing) -> RecordedCard:
    card = RecordedCard(b";")
    for dealing in dealings:
        card.learn(dealing)
    card.reset()
    return card


def answer(
    card: RecordedCard, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = 256
) -> Response:
    return card.send(Command(0, ins, p1, p2, data, le=le))


# --------------------------------------------------------------------------------------------- the card


def test_a_file_that_was_read_is_found_by_its_path_its_name_and_its_short_identifier() -> None:
    card = recorded(
        done(0xA4, 8, 0, bytes.fromhex("4300 4301"), FCP),
        done(0xB0, 0, 0, answer=b"content of the file"),
    )
    assert answer(card, 0xA4, 8, 0, bytes.fromhex("4300 4301")) == Response(FCP, 0x9000)
    assert answer(card, 0xB0, 0, 0).data == b"content of the file"
    assert answer(card, 0xB0, 0, 11, le=4) == Response(b"the ", 0x9000)
    assert answer(card, 0xB0, 0, 200).sw == 0x6B00
    assert answer(card, 0xA4, 0, 0, bytes.fromhex("4301")).sw == 0x9000
    card.reset()
    assert answer(card, 0xB0, 0x80 | 0x0A, 0).data == b"content of the file"
    assert answer(card, 0xA4, 0, 0, bytes.fromhex("4399")).sw == 0x6A82


def test_what_was_never_asked_is_not_answered() -> None:
    card = recorded(done(0xA4, 0, 0, bytes.fromhex("4301")), done(0xB0, 0, 0, sw=0x6982))
    assert answer(card, 0xB0, 0, 0).sw == 0x6A82
    answer(card, 0xA4, 0, 0, bytes.fromhex("4301"))
    assert answer(card, 0xB0, 0, 0).sw == 0x6982
    assert answer(card, 0xB2, 1, 4).sw == 0x6A83
    assert answer(card, 0xCA, 1, 1).sw == 0x6A88
    assert answer(card, 0x84, 0, 0).sw == 0x6D00
    assert card.send(Command(0, 0x20, 0, 1, b"123456", secret=True)).sw == 0x6D00
    with pytest.raises(AttributeError):
        _ = card.pin  # type: ignore[attr-defined]
    card.before_end(lambda: pytest.fail("there is nothing to undo"))


def test_the_answer_of_a_later_selection_says_what_an_earlier_one_left_out() -> None:
    path = bytes.fromhex("4300 4301")
    card = recorded(done(0xA4, 8, 0, path), done(0xA4, 8, 0, path, FCP))
    assert [(file.fci, file.sfi) for file in card.files] == [(FCP, 0x0A)]
    torn = recorded(done(0xA4, 8, 0, path), done(0xA4, 8, 0, path, b"\x62\x05\x88"))
    assert [file.sfi for file in torn.files] == [0]


@pytest.mark.parametrize(
    ("fci", "inside"),
    [
        pytest.param(bytes.fromhex("62 03 82 01 38"), True, id="a folder by its descriptor"),
        pytest.param(bytes.fromhex("6F 04 84 02 F048"), True, id="a folder by its name"),
        pytest.param(bytes.fromhex("62 03 82 01 01"), False, id="a file"),
    ],
)
def test_what_is_selected_next_is_inside_of_a_folder_and_beside_a_file(fci: bytes, inside: bool) -> None:
    card = recorded(done(0xA4, 0, 0, bytes.fromhex("5000"), fci), done(0xA4, 0, 0, bytes.fromhex("5001")))
    assert [file.path.hex() for file in card.files] == ["5000", "50005001" if inside else "5001"]


def test_the_parent_can_be_selected() -> None:
    card = recorded(
        done(0xA4, 8, 0, bytes.fromhex("5000 5001 5002")),
        done(0xB0, 0, 0, answer=b"of a file"),
        done(0xA4, 3, 0),
        done(0xA4, 0, 0, bytes.fromhex("5009")),
    )
    assert card.files[-1].path.hex() == "3f0050005009"
    alone = recorded(done(0xA4, 3, 0), done(0xA4, 0, 0, bytes.fromhex("5009")))
    assert alone.files[-1].path.hex() == "3f005009"


def test_the_parent_of_a_folder_of_an_application_is_the_application() -> None:
    card = recorded(
        done(0xA4, 4, 0, PKCS15_AID),
        done(0xA4, 1, 0, bytes.fromhex("5100")),
        done(0xA4, 3, 0),
        done(0xA4, 3, 0),  # nothing is above it
        done(0xA4, 2, 0, bytes.fromhex("5009")),
        done(0xB0, 0, 0, answer=b"content"),
    )
    found = card.files[-1]
    assert (found.application, found.path.hex(), found.content) == (PKCS15_AID, "5009", b"content")
    for how, data in ((4, PKCS15_AID), (1, bytes.fromhex("5100")), (3, b""), (2, bytes.fromhex("5009"))):
        assert answer(card, 0xA4, how, 0, data).sw == 0x9000
    assert answer(card, 0xB0, 0, 0).data == b"content"


def test_records_are_kept_by_their_number_and_a_refusal_with_its_status() -> None:
    card = recorded(
        done(0xB2, 1, 4),  # of no file that is known
        done(0xA4, 0, 0, bytes.fromhex("4302")),
        done(0xB2, 1, 4, answer=b"first"),
        done(0xB2, 2, 4, sw=0x6A83),
    )
    answer(card, 0xA4, 0, 0, bytes.fromhex("4302"))
    assert answer(card, 0xB2, 1, 4) == Response(b"first", 0x9000)
    assert card.files[-1].refused == 0x6A83


@pytest.mark.parametrize(
    "read",
    [
        pytest.param((), id="nothing"),
        pytest.param(
            (done(0xA4, 0, 0, b"\x50\x32"), done(0xB0, 0, 0, answer=b"\x30\x7f")), id="half of EF.TokenInfo"
        ),
    ],
)
def test_a_directory_that_was_selected_and_not_read_says_nothing(read: tuple[Dealing, ...]) -> None:
    card = recorded(done(0xA4, 4, 0, PKCS15_AID), *read)
    parts = parts_of(card, Understood())
    assert (parts.directory, parts.pin, parts.key(KeyUse.SIGNATURE)) == (None, None, None)


def test_an_answer_to_select_that_lies_hides_no_identity_in_a_file() -> None:
    aid, der = b"\xf0\0\0\0\1", signature_certificate()
    number = describe(der).serial_number
    assert number is not None and number.lstrip("0") == "335361"
    card = recorded(
        done(0xA4, 4, 0, aid, b"\x6f\x20\x84\x01"),
        done(0xB0, 0x8A, 0, answer=der),
        done(0xB0, 0x89, 0, answer=b"211335361"),
    )
    found = parts_of(card, Understood()).identity
    assert found is not None
    identity, where = found
    assert (identity.serial, where) == ((3, 9), "file = { sfi = 9 }")


def test_where_a_content_was_is_written_as_a_profile_names_places() -> None:
    card = recorded(
        done(0xA4, 4, 0, b"\xf0\0\0\0\1"),
        done(0xA4, 8, 0, bytes.fromhex("3F00 5000 5001")),
        done(0xB0, 0, 0, answer=b"whole path"),
        done(0xA4, 4, 0, b"\xf0\0\0\0\1"),
        done(0xA4, 1, 0, bytes.fromhex("5100")),
        done(0xA4, 2, 0, bytes.fromhex("5101")),
        done(0xB0, 0, 0, answer=b"in a folder of the application"),
        done(0xCA, 1, 2, answer=b"even"),
        done(0xCB, 0x3F, 0xFF, bytes.fromhex("5C017F"), b"odd"),
    )
    assert {one.data: dict(one.place) for one in contents(card)} == {
        b"whole path": {"path": '"3F 00 50 00 50 01"'},
        b"in a folder of the application": {"path": '"3F FF 51 00 51 01"'},
        b"even": {"object": "0x0102"},
        b"odd": {"object": "0x3FFF", "object_data": '"5C 01 7F"', "object_ins": "0xCB"},
    }


# ------------------------------------------------------------------------------------ command by command


def told(*spoken: tuple[str, str]) -> tuple[list[Dealing], Talk]:
    dealings: list[Dealing] = []
    talk = Talk(Secrets(), dealings.append)
    for way, octets in spoken:
        getattr(talk, way)(bytes.fromhex(octets))
    talk.end()
    return dealings, talk


def test_an_answer_that_is_torn_is_counted_and_belongs_to_nothing() -> None:
    dealings, talk = told(("command", "00 B0 00 00 02"), ("response", "90"), ("response", "AABB 9000"))
    assert talk.torn == 1
    assert [dealing.answer for dealing in dealings] == [b"\xaa\xbb"]


def test_a_command_that_comes_again_with_the_length_that_the_card_named_is_one() -> None:
    dealings, _ = told(
        ("command", "00 B0 00 00 00"),
        ("response", "6C02"),
        ("command", "00 B0 00 00 02"),
        ("response", "AABB 9000"),
    )
    assert [(dealing.answer, dealing.sw) for dealing in dealings] == [(b"\xaa\xbb", 0x9000)]


# ---------------------------------------------------------------------------------------- readers of USB


def message(kind: int, data: bytes = b"", *, slot: int = 0, status: int = 0, last: int = 0) -> bytes:
    return bytes((kind,)) + struct.pack("<IBBBBB", len(data), slot, 0, status, 0, last)[:9] + data


def heard(*messages: tuple[bytes, bool]) -> list[tuple[Any, ...]]:
    sink: Any = Noted()
    reader = Reader("1.2", sink)
    for octets, incoming in messages:
        reader.message(octets, incoming=incoming)
    return list(sink.told)


def secure(operation: int, kind: int, block: int, frame: bytes, messages: int = 0) -> bytes:
    """PIN_VERIFY or PIN_MODIFY of CCID with a VERIFY or CHANGE REFERENCE DATA behind it."""
    head = bytearray(15 if operation == 0 else {0: 18, 1: 19, 2: 19, 3: 20}[messages])
    head[0], head[2], head[3] = operation, kind, block
    if operation == 1:
        head[11] = messages
    return message(0x69, bytes(head) + bytes.fromhex("00 20 00 01") + bytes((len(frame),)) + frame)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (secure(0, 2, 0x08, b"\xff" * 8), PinShape(PinEncoding.ASCII, 8, 0xFF)),
        (secure(0, 2, 0x00, b""), PinShape(PinEncoding.ASCII, 0, 0xFF)),
        (secure(0, 1, 0x47, b"\x20" + b"\xff" * 7), PinShape(PinEncoding.ISO_9564, 0, 0xFF)),
        (secure(0, 1, 0x04, b"\x00" * 4), PinShape(PinEncoding.BCD, 4, 0x00)),
        (secure(0, 0, 0x08, b""), None),
        (secure(1, 2, 0x08, b"", 0), None),
        (secure(1, 2, 0x08, b"", 3), None),
    ],
)
def test_how_a_keypad_writes_a_pin_stands_in_the_readers_own_command(
    given: bytes, shape: PinShape | None
) -> None:
    assert heard((given, False)) == [("keypad", "1.2/0", bytes.fromhex("00200001"), shape)]


@pytest.mark.parametrize(
    "given",
    [
        message(0x69, bytes(5)),
        message(0x69, b"\x07" + bytes(20)),
        message(0x69, bytes(16)),
        message(0x6F, bytes.fromhex("00A40000"), slot=ccid._SLOTS_MOST),
    ],
)
def test_what_is_no_pin_entry_or_of_a_slot_that_no_reader_has_is_passed_over(given: bytes) -> None:
    assert heard((given, False)) == []


def test_a_reader_that_asks_for_more_time_has_not_answered_yet() -> None:
    command = message(0x6F, bytes.fromhex("00B0000002"))
    waiting, answered = message(0x80, status=0x80), message(0x80, bytes.fromhex("AABB9000"))
    assert [what for what, *_ in heard((command, False), (waiting, True), (answered, True))] == [
        "command",
        "response",
    ]


def pcapng(*blocks: tuple[int, bytes]) -> io.BytesIO:
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack("<IIHHII", 1, 20, usb.USBPCAP, 0, 0, 20)
    rest = b""
    for kind, content in blocks:
        body = content + bytes(-len(content) % 4)
        size = 12 + len(body)
        rest += struct.pack("<II", kind, size) + body + struct.pack("<I", size)
    return io.BytesIO(section + interface + rest)


def test_a_simple_packet_holds_its_length_alone() -> None:
    [packet] = packets(pcapng((3, struct.pack("<I", 4) + b"data")))
    assert (packet.link, packet.data, packet.whole) == (usb.USBPCAP, b"data", True)
    [packet] = packets(pcapng((3, struct.pack("<I", 400) + b"data")))
    assert not packet.whole


@pytest.mark.parametrize("file", [pcapng((6, b"")), pcapng((3, b""))])
def test_a_packet_that_is_shorter_than_its_head_is_a_cut(file: io.BytesIO) -> None:
    with pytest.raises(CutError):
        list(packets(file))


def test_a_file_that_ends_in_the_head_of_a_block_is_cut() -> None:
    with pytest.raises(CutError):
        list(packets(io.BytesIO(pcapng().getvalue() + b"\x06\x00\x00")))
    assert captures.is_capture(pcapng().getvalue()[:4])


def usbpcap(data: bytes, *, incoming: bool = False) -> bytes:
    head = usb._USBPCAP_HEAD
    return head.pack(head.size, 0, 0, 0, int(incoming), 1, 2, 0x82 if incoming else 2, 3, len(data)) + data


def read_usb(*data: bytes, cut: int = 0) -> list[tuple[Any, ...]]:
    sink: Any = Noted()
    blocks = [(6, struct.pack("<IIIII", 0, 0, 0, len(one), len(one) + cut) + one) for one in data]
    usb.read(pcapng(*blocks), sink)
    return list(sink.told)


def test_packets_that_were_recorded_in_part_are_left_out_and_that_is_said() -> None:
    command = usbpcap(message(0x6F, bytes.fromhex("00B0000002")))
    assert [what for what, *_ in read_usb(command)] == ["command"]
    [(what, _, words)] = read_usb(command, cut=5)
    assert what == "note" and "parts of packets" in words


def test_a_packet_without_a_whole_head_and_a_message_without_an_end_are_passed_over() -> None:
    endless = b"\x6f" + struct.pack("<I", 0x7FFFFFFF) + bytes(5 + usb._MESSAGE_MOST)
    command = usbpcap(message(0x6F, bytes.fromhex("00B0000002")))
    assert [what for what, *_ in read_usb(b"short", usbpcap(endless), command)] == ["command"]


# ------------------------------------------------------------------------------------------------- logs


def read_text(octets: bytes) -> list[tuple[Any, ...]]:
    sink: Any = Noted()
    text.read(io.BytesIO(octets), sink)
    return list(sink.told)


def test_a_command_of_which_a_log_leaves_out_the_end_is_none_and_that_is_said() -> None:
    told = read_text(b"APDU: 00 D6 00 00 20 01 02 ...\nSW: 90 00\nAPDU: 00 B0 00 00 02\nSW: 41 42 90 00\n")
    commands = [one[2] for one in told if one[0] == "command"]
    assert commands == [bytes.fromhex("00B0000002")]
    assert ("note", *CUT) in told


def test_a_log_may_be_in_utf_16_and_in_colours() -> None:
    plain = "APDU: 00 A4 00 00\nSW: 90 00\n"
    expected = read_text(plain.encode())
    assert [what for what, *_ in expected] == ["command", "response"]
    assert read_text(b"\xff\xfe" + plain.encode("utf-16-le")) == expected
    assert read_text(plain.replace("APDU", "\x1b[31mAPDU\x1b[0m").encode()) == expected


# ----------------------------------------------------------------------------------------- what is left


def test_what_is_raised_while_a_trace_is_read_keeps_nothing_of_it() -> None:
    def raising(error: Exception) -> Callable[[], None]:
        def work() -> None:
            raise error

        return work

    with pytest.raises(OSError, match="No such file") as caught:
        out_of_reach(raising(FileNotFoundError(2, "No such file", "trace")))
    assert caught.value.filename == "trace"
    with pytest.raises(TraceError, match=r"^KeyError$"):
        out_of_reach(raising(KeyError("00 20 00 01 06 31 32 33")))
    assert out_of_reach(lambda: 1) == 1


def test_a_pin_is_found_beside_characters_that_grow_when_they_are_made_small() -> None:
    secrets = Secrets()
    secrets.learn(b"PASSWORD")
    assert "word" not in secrets.clean("İ İ password").lower()
    assert secrets.clean("İ nothing") == "İ nothing"


def test_more_cards_and_slots_than_anybody_has_are_not_kept() -> None:
    imported = Imported("0")
    for number in range(CARDS_MOST + 3):
        imported.reset(f"slot {number}", b";" + bytes((number,)))
    assert len(imported.cards) == CARDS_MOST
    for number in range(100):
        imported.command(f"other {number}", bytes.fromhex("00B0000002"))
        imported.response(f"other {number}", bytes.fromhex("9000"))
    assert len(imported.cards) == CARDS_MOST


def test_the_atr_may_be_told_after_the_first_commands() -> None:
    imported = Imported("0")
    imported.command("A", bytes.fromhex("00A40000024301"))
    imported.response("A", bytes.fromhex("9000"))
    imported.command("A", bytes.fromhex("00B0000002"))
    imported.present("A", b";\x00")
    assert [card.card.atr for card in imported.cards] == [b";\x00"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (None, "not known"),
        (PinShape(PinEncoding.ASCII, 8, 0xFF), "padded with FF to 8"),
        (PinShape(PinEncoding.ASCII, 0, 0xFF, full=True), "fills the block"),
        (PinShape(PinEncoding.BCD, 0, 0xFF), "not padded"),
    ],
)
def test_how_a_pin_was_written_is_said_in_words(shape: PinShape | None, words: str) -> None:
    assert words in explaining._shape(shape)[1]


def test_of_many_files_the_first_are_named_and_the_others_counted() -> None:
    dealings = []
    for number in range(explaining._FILES_MOST + 2):
        dealings.append(done(0xA4, 8, 0, bytes((0x50, number))))
        dealings.append(done(0xB0, 0, 0, answer=b"content"))
    said = [english for _, english in explaining._files(recorded(*dealings))]
    assert "and 2 more files" in said
    assert len([each for each in said if "was read, " in each]) == explaining._FILES_MOST
