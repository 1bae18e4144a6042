"""Card profiles from the folders of administrator and person: what is used, what is left out and why."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from agent import profiles
from agent.config import Config
from agent.interaction.scripted import ScriptedInteraction
from agent.operations import Caller, open_operations
from agent.paths import Paths
from hca_card import profile
from hca_card.model import CardKind
from hca_card.probe import OnlyReads, draft, probe
from hca_card.simulator.cards import HcaBlueprint
from hca_card.simulator.persons import DOCTOR
from pcsc.service import Service
from pcsc.virtual import VirtualWinscard
from signing.hashes import Hash
from signing.verify import verify
from tests.support.cards import STRANGE, simulator_ca
from tests.support.log import Log

REFERENCE = (Path(profile.__file__).parent / "profiles" / "reference.toml").read_text(encoding="utf-8")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "home", tmp_path / "machine")
    for folder in (made.profiles, made.machine_profiles):
        folder.mkdir(parents=True, mode=0o755)
        folder.chmod(0o755)
    return made


def write(folder: Path, name: str, **changes: str) -> Path:
    """The reference profile under another name, with these replacements."""
    text = REFERENCE.replace('"reference"', f'"{name}"', 1)
    for old, new in changes.items():
        assert f"{old} = " in text
        text = text.replace(f"{old} = ", new, 1)
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)
    return file


def names(paths: Paths) -> list[str]:
    return [one.name for one in profiles.load(paths)]


def test_without_folders_there_is_the_one_that_ships(tmp_path: Path):
    assert names(Paths(tmp_path / "no", tmp_path / "none")) == ["reference"]


def test_the_administrators_come_first_then_the_persons_then_the_one_that_ships(paths: Paths):
    write(paths.profiles, "alpha")
    write(paths.machine_profiles, "omega")
    assert names(paths) == ["omega", "alpha", "reference"]


def test_a_folder_that_is_both_is_read_once(tmp_path: Path):
    both = Paths(tmp_path, tmp_path)
    both.profiles.mkdir(mode=0o700)
    write(both.profiles, "alpha")
    assert names(both) == ["alpha", "reference"]


def test_a_bad_file_is_named_with_its_key_and_keeps_no_other_from_being_used(paths: Paths, caplog: Log):
    bad = write(paths.profiles, "bad", tries="tried = ")
    write(paths.profiles, "good")
    with caplog.at_level(logging.WARNING):
        assert names(paths) == ["good", "reference"]
    assert str(bad) in caplog.text and "pin has the unknown key 'tried'" in caplog.text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe", "codec"),
        (b"name = ", "is not TOML"),
        (b"a = " + b"[" * 20_000, "nested too deeply"),
        (b"#" * (profiles.BYTES_MAX + 1), "at most"),
    ],
)
def test_what_is_no_profile_is_no_error_but_of_its_own(paths: Paths, content: bytes, sentence: str):
    (paths.profiles / "odd.toml").write_bytes(content)
    (found,) = profiles.look(paths)
    assert found.profile is None and "odd.toml" in found.trouble and sentence in found.trouble
    assert names(paths) == ["reference"]


def test_a_draft_is_read_and_never_used(paths: Paths):
    write(paths.profiles, "unfinished", tries="tries = ", aid="draft = true\naid = ")
    (found,) = profiles.look(paths)
    assert found.profile is not None and found.profile.draft
    assert names(paths) == ["reference"]


def test_a_name_given_twice_counts_once(paths: Paths):
    write(paths.machine_profiles, "same")
    write(paths.profiles, "same")
    first, second = profiles.look(paths)
    assert first.profile is not None
    assert second.profile is None and "taken" in second.trouble


def test_a_file_that_begins_with_a_byte_order_mark_is_read(paths: Paths):
    file = write(paths.profiles, "alpha")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert names(paths) == ["alpha", "reference"]


def test_a_folder_that_cannot_be_read_is_named(paths: Paths):
    paths.machine_profiles.rmdir()
    paths.machine_profiles.write_text("")
    (fault,) = (one for one in profiles.look(paths) if one.profile is None)
    assert str(paths.machine_profiles) in fault.trouble


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_what_others_could_have_written_is_not_used(paths: Paths):
    file = write(paths.profiles, "alpha")
    for place in (file, paths.profiles):
        before = place.stat().st_mode
        for mode in (0o020, 0o002):
            place.chmod(before | mode)
            (found,) = profiles.look(paths)
            assert found.profile is None and "can be written by others" in found.trouble
        place.chmod(before)
    assert names(paths) == ["alpha", "reference"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_somebody_else_is_not_used(paths: Paths):
    os.chown(write(paths.profiles, "alpha"), 12345, 12345)
    assert names(paths) == ["reference"]


def test_a_flood_of_files_is_not_read_to_its_end(paths: Paths):
    for number in range(profiles.FILES_MAX + 5):
        (paths.profiles / f"{number:03}.toml").write_text("")
    found = profiles.look(paths)
    assert len(found) == profiles.FILES_MAX + 1
    assert "more than" in found[-1].trouble


async def test_a_probed_draft_in_the_administrators_folder_drives_the_card(paths: Paths):
    card = HcaBlueprint("000000335361", DOCTOR, wire=STRANGE).build(simulator_ca())
    channel = OnlyReads(card.transmit)
    drafted = draft(probe(channel, card.power_on(), ()), channel)
    assert drafted.complete
    file = paths.machine_profiles / "probed.toml"
    file.write_text(drafted.text, encoding="utf-8")
    file.chmod(0o644)
    winscard = VirtualWinscard()
    winscard.add_reader("ACS ACR39U 00 00").insert(card)
    person = ScriptedInteraction(pins=["123456"])
    caller = Caller(None, "test")
    async with open_operations(Service(winscard), person, Config(), paths) as operations:
        shown = await operations.card(caller)
        assert (shown.metadata.kind, shown.metadata.serial) == (CardKind.PERSONNEL, "000000335361")
        assert shown.metadata.holder == DOCTOR
        assert (await operations.pin_status(caller)).tries_left == 3
        assert len(await operations.certificates(caller)) == 5
        signed = await operations.sign(caller, Hash.SHA_256, document=b"document")
    verify(signed.certificate, b"document", signed.signature, Hash.SHA_256)
