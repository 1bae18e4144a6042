"""A list is hostile: what is wrong with a name, a link or a row is told, and nothing outside is touched."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.batch import listing
from agent.batch.choice import Choice
from agent.batch.files import FaultyListError, FileBatch
from agent.batch.listing import Declared, Entry, Fault, Faulty, Listing, entries_of_folder
from agent.batch.manifest import LINE_MAX, entries_of_manifest
from agent.errors import AgentError, ErrorId
from hca_card.big5 import printable
from signing.formats import Level, SignatureFormat
from tests.support.batches import PLAIN, documents

posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and names of POSIX")


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    documents(tmp_path / "ward", 3)
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "ward"


def looked_at(
    ward: Path, *entries: Entry | Faulty, force: bool = False
) -> tuple[list[Declared], list[Faulty]]:
    found = Listing(ward.resolve(), (ward / "signed").resolve(), force=force)
    declared = list(found.declared(entries))
    found.check_outputs((each.line, each.output) for each in declared)
    return declared, found.faults


def faults(ward: Path, *entries: Entry | Faulty) -> list[Fault]:
    return [each.fault for each in looked_at(ward, *entries)[1]]


def entry(file: str, output: str = "", **options: object) -> Entry:
    return Entry(1, file, Choice(**{"format": SignatureFormat.PKCS1, **options}), output)  # type: ignore[arg-type]


def link_out(ward: Path) -> str:
    (ward / "link.txt").symlink_to(ward.parent / "secret.txt")
    return "link.txt"


def link_inside(ward: Path) -> str:
    (ward / "link.txt").symlink_to(ward / "00000.txt")
    return "link.txt"


def folder_link(ward: Path) -> str:
    (ward / "way").symlink_to(ward.parent)
    return "way/secret.txt"


def pipe(ward: Path) -> str:
    os.mkfifo(ward / "pipe")
    return "pipe"


def device(ward: Path) -> str:
    (ward / "null").symlink_to("/dev/zero")
    return "null"


def folder_itself(ward: Path) -> str:
    (ward / "more").mkdir()
    return "more"


def unreadable_name(ward: Path) -> str:
    (ward / "evil\x1b[2J.txt").write_text("x")
    return "evil\x1b[2J.txt"


def turned_name(ward: Path) -> str:
    (ward / "fdp.\u202etxt").write_text("x")
    return "fdp.\u202etxt"


def octets_name(ward: Path) -> str:
    name = os.fsdecode(b"\xb4\xfa.txt")  # Big5, which is no UTF-8
    (ward / name).write_text("x")
    return name


def large(ward: Path) -> str:
    with (ward / "large").open("wb") as file:
        file.truncate(listing.FILE_BYTES_MAX + 1)
    return "large"


HOSTILE: list[tuple[Callable[[Path], str], Fault]] = [
    (link_out, Fault.LINK),
    (link_inside, Fault.LINK),
    (folder_link, Fault.LINK),
    (pipe, Fault.NOT_A_FILE),
    (device, Fault.LINK),
    (folder_itself, Fault.NOT_A_FILE),
    (unreadable_name, Fault.NAME),
    (turned_name, Fault.NAME),
    (octets_name, Fault.NAME),
    (large, Fault.TOO_LARGE),
    (lambda ward: "../secret.txt", Fault.OUTSIDE),
    (lambda ward: "..\\secret.txt", Fault.OUTSIDE),
    (lambda ward: "more/../../secret.txt", Fault.OUTSIDE),
    (lambda ward: str(ward.parent / "secret.txt"), Fault.OUTSIDE),
    (lambda ward: str(ward / "00000.txt"), Fault.OUTSIDE),
    (lambda ward: "/dev/zero", Fault.OUTSIDE),
    (lambda ward: "missing.txt", Fault.MISSING),
    (lambda ward: "00000.txt/x", Fault.MISSING),
    (lambda ward: "x" * 300, Fault.NAME),
    (lambda ward: ".", Fault.NO_FILE),
    (lambda ward: "a\x00b", Fault.NAME),
]


@posix
@pytest.mark.parametrize(("make", "fault"), HOSTILE)
def test_a_file_outside_or_that_is_none_is_refused(
    ward: Path, make: Callable[[Path], str], fault: Fault
) -> None:
    name = make(ward)
    declared, found = looked_at(ward, entry(name), entry("00000.txt"))
    assert [each.fault for each in found] == [fault]
    assert found[0].name == printable(found[0].name)
    assert [each.file for each in declared] == ["00000.txt"]


@posix
@pytest.mark.parametrize("make", [link_out, folder_link, pipe, unreadable_name, octets_name])
def test_a_folder_that_holds_such_a_thing_is_refused_as_a_whole(
    ward: Path, make: Callable[[Path], str]
) -> None:
    make(ward)
    with (
        FileBatch(ward, ward / "signed", "ward") as batch,
        pytest.raises(FaultyListError) as info,
    ):
        batch.declare(entries_of_folder(ward, PLAIN, ward / "signed"), 100)
    assert len(info.value.faults) == 1
    with FileBatch(ward, ward / "signed", "ward") as batch:
        assert batch.counts() == (0, 0)


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("../out.sig", Fault.OUTSIDE),
        ("/tmp/out.sig", Fault.OUTSIDE),
        ("evil\x07.sig", Fault.NAME),
        (".", Fault.NO_FILE),
        (".hca-agent-batch.sqlite", Fault.SAME_OUTPUT),
        ("taken.sig", Fault.EXISTS),
        ("sub", Fault.EXISTS),
    ],
)
def test_an_output_that_is_elsewhere_or_taken_is_refused(ward: Path, output: str, fault: Fault) -> None:
    (ward / "signed" / "sub").mkdir(parents=True)
    (ward / "signed" / "taken.sig").write_text("somebody's")
    assert faults(ward, entry("00000.txt", output)) == [fault]


@posix
def test_an_output_does_not_follow_a_link_out_of_its_folder(ward: Path) -> None:
    (ward / "signed").mkdir()
    (ward / "signed" / "way").symlink_to(ward.parent)
    assert faults(ward, entry("00000.txt", "way/out.sig")) == [Fault.LINK]


def test_two_outputs_are_not_one_and_none_is_a_document(ward: Path) -> None:
    assert faults(ward, entry("00000.txt", "a.sig"), entry("00001.txt", "a.sig")) == [Fault.SAME_OUTPUT]
    found = Listing(ward.resolve(), ward.resolve(), force=True, aside=[ward.resolve() / "list.csv"])
    entries = [entry("00000.txt", "00001.txt"), entry("00001.txt"), entry("00002.txt", "list.csv")]
    declared = list(found.declared(entries))
    found.check_outputs((each.line, each.output) for each in declared)
    assert [each.fault for each in found.faults] == [Fault.OVER_INPUT, Fault.OVER_INPUT]
    if sys.platform in ("win32", "darwin"):
        assert faults(ward, entry("00000.txt", "a.sig"), entry("00001.txt", "A.SIG")) == [Fault.SAME_OUTPUT]


def test_the_format_and_the_digest_are_fixed_when_it_is_listed(ward: Path) -> None:
    (ward / "form.xml").write_text("<form/>")
    (ward / "note.PDF").write_bytes(b"%PDF-1.7")
    plain = Choice()
    declared, found = looked_at(
        ward, *(Entry(0, name, plain) for name in ("form.xml", "note.PDF", "00000.txt"))
    )
    assert not found
    assert [(each.choice.format, each.output) for each in declared] == [
        (SignatureFormat.XADES, "form.signed.xml"),
        (SignatureFormat.PADES, "note.signed.pdf"),
        (SignatureFormat.CADES, "00000.txt.p7s"),
    ]
    assert declared[2].digest == hashlib.sha256(b"record 0").digest()


@pytest.mark.parametrize(
    "options", [{"page": 2}, {"level": Level.B_LTA}, {"detached": False}, {"reason": "x"}]
)
def test_an_option_that_the_format_has_not_is_told(ward: Path, options: dict[str, object]) -> None:
    assert faults(ward, entry("00000.txt", **options)) == [Fault.OPTION]


def rows(folder: Path, name: str, text: str | bytes) -> list[Entry | Faulty]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(entries_of_manifest(path, Choice()))


@pytest.mark.parametrize(
    ("text", "faulty"),
    [
        ("name,format\na,b\n", [(1, Fault.COLUMN)]),
        ("file,file\na,b\n", [(1, Fault.COLUMN)]),
        ("format\ncades\n", [(1, Fault.COLUMN)]),
        ("file,format\n00000.txt,docx\n", [(2, Fault.OPTION)]),
        (
            "file,options\na.txt,pin=1234\n\nb.txt,page=one\nc.txt,level\n",
            [(2, Fault.OPTION), (4, Fault.OPTION), (5, Fault.OPTION)],
        ),
        ('file\n"a\nb.txt"\n"open\n', [(4, Fault.ROW)]),
        ("file\na.txt,b\n,\n", [(2, Fault.ROW)]),
        ('file,format\n"",cades\n', [(2, Fault.NO_FILE)]),
        ("file,options\na.txt,hash=SHA-1\n", []),
    ],
)
def test_rows_of_csv_that_cannot_be_used_are_told_by_line(
    tmp_path: Path, text: str, faulty: list[tuple[int, Fault]]
) -> None:
    found = rows(tmp_path, "list.csv", text)
    assert [(each.line, each.fault) for each in found if isinstance(each, Faulty)] == faulty


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"file": 3}',
        b'{"file": "a", "pin": "1234"}',
        b'{"file": "a", "options": []}',
        b'{"file": "\xff"}',
        b'{"file": "a", "options": {"level": "B-X"}}',
        b'{"file": "a", "options": {"detached": "perhaps"}}',
        b'{"file":' + b"[" * 5000,
        b'{"file": "' + b"a" * LINE_MAX + b'"}',
    ],
)
def test_rows_of_json_that_cannot_be_used_are_told_by_line(tmp_path: Path, line: bytes) -> None:
    found = rows(tmp_path, "list.jsonl", b'{"file": "first"}\n\n' + line + b'\n{"file": "last"}\n')
    assert [each.line for each in found if isinstance(each, Faulty)] == [3]
    assert [each.file for each in found if isinstance(each, Entry)] == ["first", "last"]


def test_sha1_is_for_old_portals_alone(ward: Path) -> None:
    (ward / "list.csv").write_text("file,format,options\n00000.txt,cms,hash=SHA-1\n")
    [row] = entries_of_manifest(ward / "list.csv", Choice())
    assert faults(ward, row) == [Fault.OPTION]


def test_a_million_rows_are_refused_without_being_read(tmp_path: Path) -> None:
    documents(tmp_path, 1)
    read = []

    def million():  # type: ignore[no-untyped-def]
        for number in range(1_000_000):
            read.append(number)
            yield Entry(number, "00000.txt", PLAIN, f"{number}.sig")

    with FileBatch(tmp_path, tmp_path / "signed", "x") as batch, pytest.raises(AgentError) as info:
        batch.declare(million(), 50)
    assert info.value.error_id == ErrorId.BATCH_TOO_MANY
    assert len(read) < 60


def test_a_million_faults_are_told_as_a_hundred(ward: Path) -> None:
    def bad():  # type: ignore[no-untyped-def]
        for number in range(1_000_000):
            yield Faulty(number, "", Fault.ROW)

    found = Listing(ward, ward / "signed", force=False)
    assert not list(found.declared(bad()))
    assert len(found.faults) == 100


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("x")
    with FileBatch(tmp_path, tmp_path / "signed", "x") as batch, pytest.raises(AgentError) as info:
        batch.declare(entries_of_folder(tmp_path, PLAIN, tmp_path / "signed"), 50)
    assert info.value.error_id == ErrorId.BATCH_EMPTY
