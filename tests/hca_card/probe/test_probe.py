"""The probe: it only ever reads, ends whatever the card answers, and its draft drives the card."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, product

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from hca_card import nhi, profile
from hca_card.errors import UnknownCardError
from hca_card.hca import HcaCard
from hca_card.model import CardKind, KeyUse, Personnel
from hca_card.pin import Pin
from hca_card.pin_block import PinEncoding, PinFormat
from hca_card.probe import Findings, Limits, OnlyReads, draft, masking, probe
from hca_card.probe.draft import pin_format
from hca_card.probe.only_reads import (
    ForbiddenCommandError,
    ProbeLimitError,
    require_reading,
)
from hca_card.probe.trace import Recorder, tell
from hca_card.profile_format import Profile
from hca_card.recognise import recognise
from hca_card.simulator import KINDS, templates
from hca_card.simulator.cards import HcaBlueprint, today
from hca_card.simulator.der import tlv
from hca_card.simulator.foreign_card import ForeignApplication, ForeignBlueprint, ForeignCard, ForeignWire
from hca_card.simulator.persons import (
    CITIZEN,
    CLINIC,
    DOCTOR,
    INSURED,
    card_info_record,
    current_validity,
    personnel_record,
)
from pcsc.apdu import Command, Response
from pcsc.errors import CardRemovedError
from pcsc.trace import Exchange
from pcsc.winscard import VirtualCard
from tests.support import foreign
from tests.support.cards import STRANGE, simulated, simulator_ca
from tests.support.script import CardChannel
from tests.support.wire import FORBIDDEN, Wiretap

# DER of a DigestInfo for SHA-256 (RFC 8017 §9.2, note 1).
SHA256_INFO = bytes.fromhex("3031300D060960864801650304020105000420")
KNOWN = (profile.reference(),)
ANSWERING = [kind for kind in KINDS if kind not in ("hpc-mute", "hpc-slow")]
FOREIGN = profile.parse(f"draft = true\n{foreign.PROFILE}")


def strange(**changes: object) -> VirtualCard:
    """A personnel card none of whose bytes are those of the reference profile."""
    card = replace(HcaBlueprint("000000335361", DOCTOR, wire=STRANGE), **changes)  # type: ignore[arg-type]
    return card.build(simulator_ca())


def probed(
    card: VirtualCard, recorder: Recorder | None = None, known: tuple[Profile, ...] = KNOWN, **limits: float
) -> tuple[Findings, str, bool]:
    tapped = Wiretap(card)
    atr = tapped.power_on()
    chosen = Limits(**limits)  # type: ignore[arg-type]
    channel = OnlyReads(tapped.transmit, chosen, recorder.observe if recorder else None)
    found = probe(channel, atr, known)
    drafted = draft(found, channel)
    tapped.assert_only_reads()
    assert len(tapped.sent) <= chosen.commands
    profile.parse(drafted.text)
    if recorder:
        tell(recorder, found)
    return found, drafted.text, drafted.complete


@pytest.mark.parametrize("kind", KINDS)
def test_every_simulated_card_is_only_read(kind: str, monkeypatch: pytest.MonkeyPatch):
    """No VERIFY, CHANGE, RESET RETRY, PUT, UPDATE or ERASE reaches any of them, whatever it answers."""
    monkeypatch.setattr("hca_card.simulator.faults.time.sleep", lambda _: None)
    card = simulated(kind)
    before = card.pin_tries, card.puk_tries
    found, _, _ = probed(card)
    assert found.ended is None
    assert (card.pin_tries, card.puk_tries) == before


@pytest.mark.parametrize(
    "kind", ["hpc", "hop", "hop-secondary", "hpc-expired", "hpc-locked", "hpc-terminated"]
)
def test_the_draft_for_an_hca_card_is_complete(kind: str):
    _, _, complete = probed(simulated(kind))
    assert complete


@pytest.mark.parametrize("kind", ["nhi", "nhi-new", "citizen", "hicos", "hicos-2", "hpc-hostile", "hpc-torn"])
def test_the_draft_for_any_other_card_is_a_draft_and_says_what_is_missing(kind: str):
    _, text, complete = probed(simulated(kind))
    assert not complete
    assert profile.parse(text).draft
    assert "FILL IN" in text


def test_the_draft_drives_a_card_that_nothing_else_knows():
    card = strange()
    with CardChannel(card) as channel:
        assert not isinstance(recognise(channel, channel.atr), HcaCard)
    _, text, complete = probed(card)
    assert complete
    # The one that ships is left out: only the draft knows this card.
    entry = profile.parse(text)
    assert entry.aid == STRANGE.aid and entry.pin.reference == 0x81
    with CardChannel(card) as channel:
        driven = recognise(channel, channel.atr, (entry,))
        assert isinstance(driven, HcaCard)
        assert (driven.kind, driven.serial) == (CardKind.PERSONNEL, "000000335361")
        holder = driven.metadata().holder
        assert isinstance(holder, Personnel) and holder.name == DOCTOR.name
        assert driven.info().activated
        assert driven.certificate_indexes() == (0, 1, 2, 3, 4)
        assert driven.pin_status().tries_left == 3
        driven.verify(Pin("123456"))
        signature = driven.sign(KeyUse.SIGNATURE, SHA256_INFO + hashlib.sha256(b"document").digest())
        public_key(driven.certificate(1).der).verify(signature, b"document", PKCS1v15(), hashes.SHA256())
        cipher = public_key(driven.certificate(2).der).encrypt(b"secret", PKCS1v15())
        assert driven.decipher(KeyUse.ENCRYPTION, cipher) == b"secret"
    assert channel.sent(0x20)[-1] == bytes.fromhex("0020FF81")
    with CardChannel(card) as channel:
        driven = recognise(channel, channel.atr, (entry,))
        driven.unblock_pin(Pin("12345678"), Pin("654321"))
        driven.verify(Pin("654321"))


def public_key(der: bytes) -> RSAPublicKey:
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, RSAPublicKey)
    return key


@pytest.mark.parametrize(
    ("changes", "kind", "indexes"),
    [
        ({"holder": CLINIC}, CardKind.INSTITUTION, (0, 1, 2, 3, 4)),
        ({"holder": CLINIC, "secondary": True}, CardKind.INSTITUTION_SECONDARY, (0, 1, 2, 3, 4)),
        ({"version": "1"}, CardKind.PERSONNEL, (0, 1)),
    ],
)
def test_the_draft_knows_what_kind_of_card_it_is(
    changes: dict[str, object], kind: CardKind, indexes: tuple[int]
):
    card = strange(**changes)
    _, text, complete = probed(card)
    assert complete
    with CardChannel(card) as channel:
        driven = recognise(channel, channel.atr, (profile.parse(text),))
        assert (driven.kind, driven.certificate_indexes()) == (kind, indexes)
        driven.metadata()


def test_files_without_short_identifiers_are_named_by_their_paths():
    card = strange(rewrite=lambda file: replace(file, sfi=None))
    _, text, complete = probed(card)
    assert complete
    entry = profile.parse(text)
    assert entry.files.basic.path == bytes.fromhex("3F00 5015 4601")
    with CardChannel(card) as channel:
        assert recognise(channel, channel.atr, (entry,)).metadata().holder == DOCTOR


# Second round: GET DATA, the NHI's family, the issuer


def test_what_get_data_gives_is_found_noted_and_masked():
    recorder = Recorder("test", "0")
    found, _, _ = probed(simulated("nhi"), recorder)
    [application] = found.applications
    assert application.aid == nhi.AID
    assert [name for name, _ in application.objects] == [0x0000, 0x1100, 0x2400]
    assert '"data": "00 CA 1100 00 00", "is": "57 bytes: Big5 text, perhaps"' in recorder.text()


def test_the_family_of_the_nhi_is_asked_for():
    tapped = Wiretap(simulated("hpc"))
    probe(OnlyReads(tapped.transmit), tapped.power_on(), KNOWN)
    asked = [command[5:21] for command in tapped.sent if command[1:4] == bytes.fromhex("A40400")]
    for last in ("1100", "2100", "3100"):
        assert bytes.fromhex(f"D158000001000000000000000000{last}") in asked


def test_the_issuer_tells_which_applications_there_are():
    """Selected by an empty name; GlobalPlatform's list 2F00 names an application that nothing else does."""
    answers = {
        "00A4040000": "6F10 8408A000000151000000 A5049F6501FF 9000",
        "80CA2F0000": "6109 4F07F0484341FFFF01 9000",
        "00A4040007F0484341FFFF0100": "6F09 8407F0484341FFFF01 9000",
    }

    def answer(command: bytes) -> bytes | None:
        return bytes.fromhex(found) if (found := answers.get(command.hex().upper())) else None

    found, _, _ = probed(Instead(simulated("hpc"), answer))
    assert bytes.fromhex("F0484341FFFF01") in [one.aid for one in found.applications]
    assert bytes.fromhex("A000000151000000") in found.listed


@pytest.mark.parametrize("chip", ["PV_J2D081", "PV_J3E082"])
def test_the_chips_of_hca_cards_are_a_hint(chip: str):
    atr = bytes.fromhex("3BF9180000 8131FE45") + chip.encode() + b"\0"
    found, text, _ = probed(Answering(atr, [b"\x6a\x82"]))
    assert chip.removeprefix("PV_") in found.chip
    assert found.chip in text
    with CardChannel(Answering(atr, [b"\x6a\x82"])) as channel, pytest.raises(UnknownCardError, match="chip"):
        recognise(channel, atr)


def test_records_parts_and_other_applications_come_into_the_draft():
    """The foreign card, read by the usual commands; keys and PIN are in no directory."""
    wire = ForeignWire(file_class=0, select_p2=0)
    chip = ForeignBlueprint("000000336001", wire).build(simulator_ca())
    chips_own = replace(FOREIGN, aid=FOREIGN.pin.aid)
    _, text, complete = probed(chip, known=(FOREIGN, chips_own))
    assert not complete
    for line in (
        "basic = { sfi = 5, records = [1, 255] }",
        "info = { sfi = 6, skip = 16, length = 24 }",
        "[commands]\nread_most = 128",
        'file = { sfi = 8, records = [1, 255], aid = "F0 46 4F 52 45 49 47 4E 02" }',
        'file = { sfi = 14, aid = "F0 46 4F 52 45 49 47 4E 02" }',
    ):
        assert line in text, line


def test_what_is_in_data_objects_comes_into_the_draft_as_it_is_wrapped():
    """Identity, records and certificates by GET DATA alone; the draft reads the card's public data."""
    number = "000000336001"
    validity = current_validity(today())
    own = simulator_ca().identities([*templates.personnel(number, validity)])
    info = card_info_record(validity, activated=True, terminated=False)
    objects = {
        0x0101: f"211{number}".encode(),
        0x0102: personnel_record(DOCTOR, "2"),
        0x0103: info,
        0x0104: b"\x7f" + tlv(0x21, tlv(0x53, own[0].certificate)),
        0x0105: zlib.compress(own[1].certificate),
    }
    application = ForeignApplication(objects={(name, b""): content for name, content in objects.items()})
    chip = ForeignCard(ForeignWire(file_class=0, select_p2=0), {FOREIGN.aid: application}, ())
    _, text, _ = probed(chip, known=(FOREIGN,))
    for line in (
        "file = { object = 0x0101 }",
        "basic = { object = 0x0102 }",
        "info = { object = 0x0103 }",
        "file = { object = 0x0104, within = [0x7F21, 0x53] }",
        'file = { object = 0x0105, compression = "zlib" }',
    ):
        assert line in text, line
    entry = profile.parse(text.replace("draft = true", ""))
    with CardChannel(chip) as channel:
        card = recognise(channel, channel.atr, (entry,))
        assert (card.kind, card.serial, card.metadata().holder) == (CardKind.PERSONNEL, number, DOCTOR)
        assert [one.der for one in card.certificates()] == [one.certificate for one in own]


def test_without_a_text_that_says_what_the_card_is_its_certificate_and_records_do():
    """Records in data objects, and no identity anywhere."""
    number, validity = "000000336001", current_validity(today())
    own = simulator_ca().identities([*templates.personnel(number, validity)])
    objects = {
        0x0102: personnel_record(DOCTOR, "2"),
        0x0103: card_info_record(validity, activated=True, terminated=False),
        0x0104: own[0].certificate,
    }
    application = ForeignApplication(objects={(name, b""): content for name, content in objects.items()})
    chip = ForeignCard(ForeignWire(file_class=0, select_p2=0), {FOREIGN.aid: application}, ())
    _, text, _ = probed(chip, known=(FOREIGN,))
    assert "沒有 [identity]" in text and "FILL IN: identity" not in text
    entry = profile.parse(text.replace("draft = true", ""))
    with CardChannel(chip) as channel:
        card = recognise(channel, channel.atr, (entry,))
        assert (card.kind, card.serial, card.metadata().holder) == (CardKind.PERSONNEL, number, DOCTOR)


def test_what_the_card_is_may_stand_in_a_file_with_a_short_identifier():
    number = "000000336001"
    own = simulator_ca().identities([*templates.personnel(number, current_validity(today()))])
    application = ForeignApplication(files={0x09: f"211{number}".encode(), 0x0B: own[0].certificate})
    chip = ForeignCard(ForeignWire(file_class=0, select_p2=0), {FOREIGN.aid: application}, ())
    _, text, complete = probed(chip, known=(FOREIGN,))
    assert not complete
    identity = profile.parse(text).identity
    assert identity is not None
    assert (identity.sfi, identity.fci_tag, identity.length, identity.serial) == (9, 0, 15, (3, 15))


# What the draft is tried on


def read(kind: str) -> Findings:
    card = simulated(kind)
    return probe(OnlyReads(card.transmit), card.power_on(), KNOWN)


def test_what_fits_into_no_profile_is_left_to_be_filled_in():
    found = read("hpc")
    found.applications = [replace(one, aid=one.aid[:2]) for one in found.applications]
    with CardChannel(simulated("hpc")) as channel:
        drafted = draft(found, channel)
        assert channel.count == 0
    assert not drafted.complete
    assert drafted.missing == ("identity", "files: basic", "files: info", "certificates", "pin", "keys")
    assert profile.parse(drafted.text).aid == bytes.fromhex("F000000000")


def test_a_draft_that_does_not_find_the_card_again_says_so():
    found = read("hpc")
    with CardChannel(simulated("citizen")) as channel:
        drafted = draft(found, channel)
    assert (drafted.complete, drafted.missing) == (False, ("the application is not found again",))
    assert "FILL IN: the application is not found again" in drafted.text
    assert profile.parse(drafted.text).draft


def test_a_draft_that_reads_nothing_says_what_went_wrong():
    def pulled(_: bytes) -> bytes:
        raise CardRemovedError

    drafted = draft(read("hpc"), OnlyReads(pulled))
    assert not drafted.complete
    assert drafted.missing == (f"tried on the card: {CardRemovedError()}",)
    assert profile.parse(drafted.text).draft


@pytest.mark.parametrize(
    "form",
    [
        PinFormat(6, 8, PinEncoding.ASCII),
        PinFormat(4, 8, PinEncoding.ASCII_NUMERIC, 8, 0xFF),
        PinFormat(4, 8, PinEncoding.BCD, 8, 0x00, b"\x01\x2a"),
    ],
)
def test_a_pin_is_sent_as_the_draft_writes_it(form: PinFormat):
    usual = "format = { min_length = 6, max_length = 8, stored_length = 8, pad = 0xFF }"
    assert usual in foreign.PROFILE
    entry = profile.parse(foreign.PROFILE.replace(usual, f"format = {pin_format(form)}"))
    assert entry.pin.format == form


# What is not sent


@pytest.mark.parametrize("ins", sorted(FORBIDDEN))
def test_what_costs_a_try_or_changes_the_card_is_refused_before_it_is_sent(ins: int):
    classes = (0x00, 0x04, 0x0C, 0x10, 0x80, 0x84, 0x90, 0x01, 0xFF)
    contents = (b"", b"123456", bytes(16))
    ends = ((0, 1, None), (0xFF, 0, 256), (0, 0, 0xC8))
    sent: list[bytes] = []
    channel = OnlyReads(lambda raw: sent.append(raw) or b"\x90\x00")  # type: ignore[func-returns-value]
    for cla, data, (p1, p2, le) in product(classes, contents, ends):
        with pytest.raises(ForbiddenCommandError):
            channel.send(Command(cla, ins, p1, p2, data, le))
    assert not sent


@pytest.mark.slow
def test_the_list_is_short():
    """Of all commands without data, and all with two bytes, only the reading ones pass."""
    passed = set()
    for cla in range(256):
        for ins in range(256):
            for data in (b"", b"\x3f\x00"):
                for le in (None, 256, 0xC8):
                    try:
                        require_reading(bytes((cla, ins, 0, 0)) + Command(0, 0, 0, 0, data, le).encode()[4:])
                    except ForbiddenCommandError:
                        continue
                    passed.add((cla, ins))
    assert passed == {(0, 0xA4), (0, 0xB0), (0, 0xB2), (0, 0xC0), (0x80, 0xC0), (0x80, 0xA4), (0x80, 0xB0)}


@pytest.mark.parametrize(
    "raw",
    [
        "80 A4 04 00 02 3F00",  # not the form that HiCOS takes
        "80 B0 00 00 00",
        "80 B0 81 00 C8",
        "00 CA 02 00 00",
        "00 CA 01 00 02 0000 00",
        "00 CA 21 00 00",
        "80 CA 21 00 02 0000 00",
        "00 CA 30 00 02 0000 00",
        "80 CA 9F 7F 02 0000 00",
        "00 B0 00 00 01 AA",
        "80 CA 11 00 00",
        "00 A4 04 00 11 " + "00" * 17,
        "00 A4 04 00 00 00 01 AA",  # extended length
        "00",
    ],
)
def test_other_forms_of_the_reading_commands_are_refused(raw: str):
    with pytest.raises(ForbiddenCommandError):
        require_reading(bytes.fromhex(raw))


def test_a_channel_that_only_reads_promises_nothing_for_the_end():
    with pytest.raises(ForbiddenCommandError):
        OnlyReads(lambda _: b"\x90\x00").before_end(lambda: None)


# Where it ends


def test_a_card_that_answers_everything_for_ever_is_left():
    class Generous:
        def power_on(self) -> bytes:
            return b"\x3b\x00"

        def power_off(self) -> None: ...

        def transmit(self, command: bytes) -> bytes:
            return bytes(254) + b"\x61\xff"

    found, _, complete = probed(Generous(), commands=700)
    assert isinstance(found.ended, ProbeLimitError)
    assert not complete


def test_a_slow_card_ends_the_probe_by_the_clock():
    seconds = count(step=0.2)
    card = simulated("hpc")
    channel = OnlyReads(card.transmit, Limits(seconds=10), clock=lambda: next(seconds))
    found = probe(channel, card.power_on(), KNOWN)
    assert isinstance(found.ended, ProbeLimitError)
    assert found.commands <= 52
    assert not draft(found, channel).complete


def test_a_card_that_gives_too_much_ends_the_probe():
    card = simulated("hpc")
    found = probe(OnlyReads(card.transmit, Limits(received=5000)), card.power_on(), KNOWN)
    assert isinstance(found.ended, ProbeLimitError)


def test_a_card_pulled_in_the_middle_leaves_what_was_read():
    card = simulated("hpc")
    sent = count()

    def transmit(raw: bytes) -> bytes:
        if next(sent) == 40:
            raise CardRemovedError
        return card.transmit(raw)

    channel = OnlyReads(transmit)
    found = probe(channel, card.power_on(), KNOWN)
    assert isinstance(found.ended, CardRemovedError)
    assert found.applications


def test_a_card_that_knows_no_short_identifiers_is_asked_once():
    def answer(command: bytes) -> bytes | None:
        return b"\x6d\x00" if command[1] == 0xB0 and command[2] & 0x80 else None

    found, _, _ = probed(tapped := Wiretap(Instead(simulated("hpc"), answer)))
    asked = [command for command in tapped.sent if command[1] == 0xB0 and command[2] & 0x80]
    # Of each application only the first short identifier is asked for.
    assert 0 < len(asked) <= len(found.applications) + 2
    assert {command[2] for command in asked} == {0x81}
    assert found.ended is None and not any(one.files for one in found.applications)


def test_a_directory_that_is_not_found_a_second_time_is_left_out_of_the_trace():
    selected = count()

    def answer(command: bytes) -> bytes | None:
        again = command[1] == 0xA4 and command[5:7] == b"\x50\x31" and next(selected)
        return b"\x6a\x82" if again else None

    found, _, _ = probed(Instead(simulated("hpc"), answer))
    assert found.directory is not None and found.structures == {}
    assert read("hpc").structures.keys() > {"ODF", "CERTIFICATES"}


@pytest.mark.parametrize("kind", ["hpc-hostile", "hpc-torn"])
def test_a_bad_card_ends_the_probe_with_sentences(kind: str):
    found, _, _ = probed(simulated(kind))
    assert found.notes
    for zh, en in found.notes:
        assert zh and en


class Instead:
    """A card that answers some commands in a way of its own."""

    def __init__(self, card: VirtualCard, answer: Callable[[bytes], bytes | None]) -> None:
        self._card, self._answer = card, answer

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None: ...

    def transmit(self, command: bytes) -> bytes:
        answer = self._answer(command)
        return self._card.transmit(command) if answer is None else answer


@pytest.mark.parametrize("ins", [0xA4, 0xB0])
def test_a_card_that_asks_for_a_form_that_is_not_on_the_list_does_not_get_it_and_ends_one_step(
    ins: int,
):
    def answer(command: bytes) -> bytes | None:
        return b"\x6c\x10" if command[:2] == bytes((0x80, ins)) else None

    found, _, _ = probed(Instead(simulated("hicos"), answer))
    assert found.ended is None
    assert any("a probe may not send" in en for _, en in found.notes)


class Answering:
    """Answers what it is told to, then that again."""

    def __init__(self, atr: bytes, answers: list[bytes]) -> None:
        self._atr, self._answers, self._next = atr, answers, count()

    def power_on(self) -> bytes:
        return self._atr

    def power_off(self) -> None: ...

    def transmit(self, command: bytes) -> bytes:
        return self._answers[next(self._next) % len(self._answers)]


STATUS = st.sampled_from(
    ["9000", "6100", "61FF", "6C00", "6C10", "6282", "6285", "6981", "6982", "6E00", "6A82"]
)
ANSWER = st.one_of(
    st.binary(max_size=8),
    st.builds(lambda data, sw: data + bytes.fromhex(sw), st.binary(max_size=256), STATUS),
    st.builds(
        lambda tag, length, data, sw: bytes((tag, length)) + data + bytes.fromhex(sw),
        st.sampled_from([0x30, 0x61, 0x6F, 0x62, 0xA0, 0x84]),
        st.integers(0, 255),
        st.binary(max_size=200),
        STATUS,
    ),
)


@given(atr=st.binary(max_size=33), answers=st.lists(ANSWER, min_size=1, max_size=12))
@settings(max_examples=60)
@pytest.mark.slow
def test_no_answer_makes_it_send_a_forbidden_command_or_run_for_ever(atr: bytes, answers: list[bytes]):
    recorder = Recorder("test", "0")
    _, text, _ = probed(Answering(atr, answers), recorder, commands=300, step_commands=60)
    assert recorder.text()
    assert profile.parse(text)


class Lying:
    """A card some of whose answers are changed."""

    def __init__(self, card: VirtualCard, change: Callable[[bytes], bytes], every: int) -> None:
        self._card, self._change, self._every, self._sent = card, change, every, count(1)

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None: ...

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        return self._change(answer) if next(self._sent) % self._every == 0 else answer


@given(
    kind=st.sampled_from(["hpc", "hop", "citizen", "hicos", "hicos-2"]),
    every=st.integers(1, 9),
    position=st.integers(0, 300),
    octet=st.integers(0, 255),
    cut=st.booleans(),
)
@settings(max_examples=60)
@pytest.mark.slow
def test_a_card_that_lies_here_and_there_is_only_read(
    kind: str, every: int, position: int, octet: int, cut: bool
):
    def change(answer: bytes) -> bytes:
        at = position % len(answer)
        return answer[:at] if cut else answer[:at] + bytes((octet,)) + answer[at + 1 :]

    probed(Lying(simulated(kind), change, every), Recorder("test", "0"), commands=600)


# What leaves this machine

PERSONAL = [
    *(getattr(DOCTOR, name) for name in ("name", "english_name", "birth", "id_number")),
    *(getattr(CLINIC, name) for name in ("code", "name", "address", "telephone", "owner")),
    *(getattr(INSURED, name) for name in ("name", "id_number", "birth")),
    CITIZEN.name,
    "000000335361", "335361", "000000335401",
]  # fmt: skip
NUMBERS = [f"{number:016}" for number in (1, 3, 4)] + [f"{number:012}" for number in (1, 2)]
"""Card numbers that stand in application identifiers too when they are written in hexadecimal digits."""


@pytest.mark.parametrize("kind", ANSWERING)
def test_neither_trace_nor_draft_holds_personal_data(kind: str):
    recorder = Recorder("hca-agent card probe", "0")
    _, text, _ = probed(simulated(kind), recorder)
    told = (recorder.text() + text).upper().replace(" ", "")
    for secret in PERSONAL:
        for coded in (secret, *(secret.encode(codec).hex() for codec in ("cp950", "utf-8", "utf-16-be"))):
            assert coded.upper().replace(" ", "") not in told, secret
    assert [number for number in NUMBERS if number.encode().hex() in told] == []


def test_a_card_that_gives_its_data_whatever_is_asked_for_tells_nothing_of_it():
    card = simulated("nhi")
    card.power_on()
    card.transmit(bytes.fromhex("00 A4 04 00 10") + nhi.AID + b"\0")
    basic = card.transmit(bytes.fromhex("00 CA 11 00 02 00 00 00"))
    assert b"000000000001" in basic

    recorder = Recorder("hca-agent card probe", "0")
    probed(Instead(card, lambda command: basic if command[1] == 0xCA else None), recorder)
    assert "57 bytes" in recorder.text()
    for digits in (b"0000000000", INSURED.id_number.encode()):
        assert digits.hex().upper() not in recorder.text().upper().replace(" ", "")


@pytest.mark.parametrize(
    "fci",
    [
        b"\x6f\x0e\xa5\x0c\x81\x0aA123456789",
        b"\x6f\x0e\xa5\x0c\x84\x0aA123456789",
        b"\x6f\x0c\x81\x0aA123456789",
        b"\x6f\x0f\x50\x0dA1 234 567 89",
    ],
)
def test_a_number_is_masked_wherever_a_maker_puts_it(fci: bytes):
    told = masking.fci(fci)
    assert b"A123456789".hex().upper() not in told
    assert "234" not in told


def test_who_signed_their_own_certificate_is_not_told():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, CLINIC.name)])
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    told = masking.certificate(made.public_bytes(Encoding.DER))
    assert told is not None
    assert (told["selfSigned"], told["issuer"]) == (True, "")


def test_the_trace_still_tells_what_a_profile_is_made_of():
    recorder = Recorder("hca-agent card probe", "0")
    probed(simulated("hpc"), recorder)
    text = recorder.text()
    for told in ("F04843414147454E5401", "3F0050154402", "15 bytes: ASCII digits", "159 bytes", "keyUsage"):
        assert told in text
    head = text.splitlines()[0]
    assert "masked" in head and "PINs" in head


def test_of_the_cards_production_the_trace_tells_what_many_cards_share():
    content = bytes(range(42))
    told = "00 01 02 03 04 05 06 07 08 09 <32 bytes more>"
    assert masking.cplc(b"\x9f\x7f\x2a" + content) == masking.cplc(content) == told
    assert masking.cplc(content[:-1]) == "<41 bytes: Big5 text, perhaps>"


def test_a_directory_file_is_told_as_a_tree_of_some_depth():
    deep = tlv(0x30, tlv(0x02, b"\x05"))
    assert masking.structure(deep) == "30{02=05}"
    for _ in range(13):
        deep = tlv(0x30, deep)
    told = masking.structure(deep)
    assert told == "30{" * 12 + "30=<5 bytes: BER-TLV, 1 objects>" + "}" * 12


def test_a_trace_counts_what_was_sent_and_never_tells_a_secret():
    recorder = Recorder("test", "0")
    recorder.step("the PIN")
    verify = Command(0x00, 0x20, 0x00, 0x01, b"123456", secret=True)
    recorder.observe(Exchange.of(verify, Response(b"", 0x63C2), 0.0))
    recorder.observe(Exchange.of(Command(0x00, 0x88, 0x00, 0x00, b"123456"), Response(b"", 0x6982), 0.0))
    assert recorder.count == 2
    _, step, *exchanges = map(json.loads, recorder.text().splitlines())
    assert step["step"] == "the PIN"
    assert [(each["n"], each["command"], each["sw"]) for each in exchanges] == [
        (1, "00 20 00 01 <secret>", "63C2"),
        (2, "00 88 00 00 06 <6 bytes>", "6982"),
    ]
    assert "123456" not in recorder.text() and "31 32 33" not in recorder.text()


def test_a_file_of_records_is_told_with_their_number():
    recorder = Recorder("test", "0")
    chip = ForeignBlueprint("000000336001", ForeignWire(file_class=0, select_p2=0)).build(simulator_ca())
    probed(chip, recorder, known=(FOREIGN,))
    files = [line for line in map(json.loads, recorder.text().splitlines()) if line.get("file") == {"sfi": 5}]
    assert [(line["records"], line["size"]) for line in files] == [(2, len(personnel_record(DOCTOR, "2")))]
