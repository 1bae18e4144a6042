"""Card profiles: strict keys, clear sentences."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hca_card import profile, profile_schema
from hca_card.errors import CardDataError
from hca_card.hca import HcaCard
from hca_card.profile import ProfileError
from hca_card.profile_channel import ProfileChannel
from hca_card.profile_files import ProfileFiles
from hca_card.profile_format import Commands, DropBy, FilePlace
from hca_card.recognise import recognise
from pcsc.apdu import Command
from tests.support.cards import simulated
from tests.support.script import CardChannel, ScriptedChannel

REFERENCE = (Path(profile.__file__).parent / "profiles" / "reference.toml").read_text(encoding="utf-8")


def test_the_reference_profile_is_read():
    card = profile.reference()
    assert card.aid == b"\xf0HCAAGENT\x01"
    assert card.identity.fci_tag == 0x53
    assert card.records["personnel-2"].fields["id_number"] == (148, 158)
    assert card.pin.drop is DropBy.VERIFY_FF
    assert [entry.file.sfi for entry in card.certificates] == [10, 11, 12, 13, 14]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "reference"', "", "the profile lacks the key 'name'"),
        ('name = "reference"', 'name = "x"\ncolour = 3', "unknown key 'colour'"),
        ("tries = 3", "tried = 3", "the profile: pin has the unknown key 'tried'"),
        ("tries = 3", "tries = true", "tries must be a number"),
        ("tries = 3", 'tries = "3"', "tries must be a number"),
        ("reference = 0x01", "reference = 256", "one byte"),
        ('drop = "verify-ff"', 'drop = "hope"', "drop must be one of verify-ff, select, reset"),
        ('aid = "F0', 'aid = "G0', "aid must be hexadecimal"),
        ('aid = "F0 48 43 41 41 47 45 4E 54 01"', 'aid = "F0"', "5 to 16 bytes"),
        ("fci_tag = 0x53", "", "exactly one of fci_tag and sfi"),
        ("fci_tag = 0x53", "fci_tag = 0x53\nsfi = 3", "exactly one of fci_tag and sfi"),
        ("fci_tag = 0x53", "fci_tag = 0x53\nfile = { object = 0x0101 }", "exactly one of fci_tag and sfi"),
        ("serial = [3, 15]", "serial = [3, 16]", "beyond its length"),
        ("serial = [3, 15]", "serial = [15, 3]", "must be a range"),
        ("serial = [3, 15]", 'serial = "3-15"', "must be a range"),
        ("category = [158, 159]", "category = [158, 160]", "personnel-2 has a range beyond its length"),
        ("owner = [252, 292]", "boss = [252, 292]", "institution must have the fields"),
        ('"personnel-1" = {', '"personnel-3" = {', "unknown record 'personnel-3'"),
        ("file = { sfi = 11 }", "file = { sfi = 31 }", "certificate 1 needs"),
        ("file = { sfi = 11 }", 'file = { sfi = 11, path = "4301" }', "certificate 1 needs"),
        ("file = { sfi = 11 }", 'file = { path = "43" }', "certificate 1 needs"),
        ("index = 1", "index = 0", "certificates names one of them twice"),
        ("min_length = 6", "min_length = 0", "min_length"),
        ("[files]", "[files", "is not TOML"),
        ("[[keys]]", "[keys]", "is not TOML"),
    ],
)
def test_a_wrong_profile_says_what_is_wrong(old: str, new: str, sentence: str):
    assert old in REFERENCE
    with pytest.raises(ProfileError) as caught:
        profile.parse(REFERENCE.replace(old, new, 1))
    assert sentence in str(caught.value)


def test_a_profile_file_that_is_missing_or_no_text_is_named(tmp_path: Path):
    with pytest.raises(ProfileError, match=r"none\.toml: cannot be read"):
        profile.load(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match=r"bad\.toml"):
        profile.load(bad)


def test_the_published_schema_is_current():
    assert profile_schema.PATH.read_bytes() == profile_schema.schema(), (
        "run: python -m hca_card.profile_schema"
    )


def test_every_key_of_the_schema_is_explained():
    def keys(table: Any) -> Iterator[tuple[str, Any]]:
        for name, value in table.get("properties", {}).items():
            yield name, value
            yield from keys(value)
            yield from keys(value.get("items", {}))

    found = list(keys(json.loads(profile_schema.schema())))
    assert len(found) > 60
    assert [name for name, value in found if not value.get("description")] == []


@pytest.mark.parametrize("text", ["true", "false"])
def test_a_draft_says_so(text: str):
    assert profile.parse(f"draft = {text}\n{REFERENCE}").draft is (text == "true")
    with pytest.raises(ProfileError, match="draft must be true or false"):
        profile.parse(f"draft = 1\n{REFERENCE}")


def test_a_draft_recognises_no_card():
    drafted = profile.parse(f"draft = true\n{REFERENCE}")
    with CardChannel(simulated("hpc")) as channel:
        assert not isinstance(recognise(channel, channel.atr, (drafted,)), HcaCard)
    with CardChannel(simulated("hpc")) as channel:
        assert isinstance(recognise(channel, channel.atr, (replace(drafted, draft=False),)), HcaCard)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "reference"', "name = 3", "must be text"),
        ("fci_tag = 0x53", "sfi = 31", "sfi must be 1 to 30"),
    ],
)
def test_a_value_of_another_shape_is_named(old: str, new: str, sentence: str) -> None:
    assert old in REFERENCE
    with pytest.raises(ProfileError) as caught:
        profile.parse(REFERENCE.replace(old, new, 1))
    assert sentence in str(caught.value)


def test_a_file_that_is_no_profile_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(REFERENCE.replace("tries = 3", "tried = 3", 1), "utf-8")
    with pytest.raises(ProfileError, match=r"wrong\.toml: the profile: pin has the unknown key"):
        profile.load(file)


def test_a_profile_that_is_nested_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_text: str) -> None:
        raise RecursionError

    monkeypatch.setattr("tomllib.loads", endless)
    with pytest.raises(ProfileError, match="nested too deeply"):
        profile.parse(REFERENCE)


def test_the_simulated_cards_say_what_they_are_where_the_reference_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert profile.reference_identity().fci_tag == 0x53
    without = replace(profile.reference(), identity=None)
    monkeypatch.setattr(profile, "reference", lambda: without)
    with pytest.raises(ProfileError, match="no identity"):
        profile.reference_identity()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("certificates", "must be a list"), ("records", "must be a table"), ("puk", "must be a table")],
)
def test_a_number_is_no_list_and_no_table(name: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**tomllib.loads(REFERENCE), name: 3}
    monkeypatch.setattr("tomllib.loads", lambda _text: table)
    with pytest.raises(ProfileError, match=sentence):
        profile.parse(REFERENCE)


def files(*script: tuple[str, str]) -> tuple[ProfileFiles, ScriptedChannel]:
    channel = ScriptedChannel(script)
    return ProfileFiles(channel, profile.reference()), channel


def test_a_plain_file_is_read_as_it_stands_and_looked_at_by_its_beginning() -> None:
    place = FilePlace(sfi=10)
    found, channel = files(("00 B0 8A 00 03", "AA BB CC 9000"), ("00 B0 8A 00 04", "AA BB CC DD 9000"))
    assert found.read(place, size=3) == b"\xaa\xbb\xcc"
    assert found.begins_as(place, b"\xaa\xbb\xcc\xdd")
    channel.__exit__(None, None, None)
    assert found.begins_as(FilePlace(object=0x0101), b"\xaa") is None


@pytest.mark.parametrize(("select", "same"), [("9000", True), ("6A82", False)])
def test_a_file_with_a_path_is_selected_before_it_is_looked_at(select: str, same: bool) -> None:
    script = [("00 A4 00 00 02 43 01 00", select)] + [("00 B0 00 00 02", "AA BB 9000")] * same
    found, _ = files(*script)
    assert found.begins_as(FilePlace(path=b"\x43\x01"), b"\xaa\xbb") is same


def test_records_of_a_file_with_a_path_are_read_from_it() -> None:
    place = FilePlace(path=b"\x43\x01", records=(1, 3))
    script = [
        ("00 A4 00 00 02 43 01 00", "9000"),
        ("00 B2 01 04 00", "AA 9000"),
        ("00 B2 02 04 00", "BB 9000"),
    ]
    assert files(*script)[0].read(place) == b"\xaa\xbb"


def test_what_is_shorter_or_longer_than_the_profile_says_is_the_cards_fault() -> None:
    place = FilePlace(object=0x0101)
    for answer, size in (("AA 9000", 2), ("AA BB 9000", 1)):
        with pytest.raises(CardDataError, match="the card gave"):
            files(("00 CA 01 01 00", answer))[0].read(place, size=size)
    assert files(("00 CA 01 01 00", "AA FF 00 9000"))[0].read(place, size=1) == b"\xaa"
    piece = FilePlace(object=0x0101, length=3)
    with pytest.raises(CardDataError, match="where the profile says 3"):
        files(("00 CA 01 01 00", "AA 9000"))[0].read(piece)


def test_only_the_class_may_differ_and_a_chain_ends_where_it_is_refused() -> None:
    with ScriptedChannel([("80 B0 8A 00 01", "AA 9000")]) as channel:
        assert ProfileChannel(channel, Commands(read_class=0x80)).send(Command(0, 0xB0, 0x8A, 0, le=1)).ok
    with ScriptedChannel([("10 2A 9E 9A 02 00 00", "6884")]) as channel:
        refused = ProfileChannel(channel, Commands(chain=2)).send(Command(0, 0x2A, 0x9E, 0x9A, bytes(3)))
        assert refused.sw == 0x6884


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("file = { sfi = 11 }", "file = { parts = [{ sfi = 1 }], sfi = 11 }", "needs parts alone"),
        (
            "file = { sfi = 11 }",
            f"file = {{ parts = [{', '.join(['{ sfi = 1 }'] * 40)}] }}",
            "has more than",
        ),
        ("[[keys]]", "[[keys]]\nenvironment_p1 = 256", "a reference must be one byte"),
        ("[[keys]]", f'[[keys]]\nindicator = "{"00" * 9}"', "indicator 8"),
    ],
)
def test_what_no_card_takes_is_a_sentence(old: str, new: str, sentence: str) -> None:
    assert old in REFERENCE
    with pytest.raises(ProfileError) as caught:
        profile.parse(REFERENCE.replace(old, new, 1))
    assert sentence in str(caught.value)
