from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.config import CardSettings, Config
from agent.errors import AgentError, ErrorId, error_id, table
from agent.interaction.scripted import Headless, ScriptedInteraction
from agent.paths import Paths
from agent.vocabulary import Verb
from hca_card import profile
from hca_card.errors import PinCancelledError, PinWrongError
from hca_card.pin import Pin
from pcsc.errors import CommunicationError
from pcsc.pinpad import GET_FEATURE_REQUEST
from pcsc.virtual import KeypadPrompt, VirtualWinscard
from pcsc.virtual.keypad import FEATURES
from signing.hashes import Hash
from tests.support.log import Log
from tests.support.operations import OWN, PIN, PORTAL, agent

DOCUMENT = "同意書".encode()
RIGHT = PIN.encode()


@pytest.mark.parametrize("kind", ["hpc", "citizen"])
async def test_a_keypad_is_used_and_the_person_told_who_wants_it(tmp_path: Path, kind: str) -> None:
    async with agent(tmp_path, kind, keypad=lambda _entry: RIGHT) as world:
        done = await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        await world.operations.verify(DOCUMENT, done.signature, done.certificate, done.hash)
        assert not world.pins_asked()
        assert world.person is not None
        [shown] = world.person.keypads
        assert (shown.origin, shown.verb, shown.card.serial) == (
            PORTAL.origin,
            Verb.SIGN,
            (await world.operations.card(PORTAL)).metadata.serial,
        )
        assert (await world.operations.readers(PORTAL))[0].pin_pad


async def test_a_wrong_pin_on_the_keypad_costs_one_try(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", keypad=lambda _entry: b"999999") as world:
        with pytest.raises(PinWrongError):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert world.tries == 2


async def test_the_cancel_key_spends_nothing(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", keypad=lambda _entry: None) as world:
        with pytest.raises(PinCancelledError) as caught:
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert error_id(caught.value) == "pin.cancelled"
        assert world.tries == 3


async def test_the_last_try_is_asked_for_on_the_screen_where_it_can_be_explained(tmp_path: Path) -> None:
    def never(_entry: object) -> bytes:
        raise AssertionError

    async with agent(tmp_path, "hpc-last-try", keypad=never) as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert world.pins_asked()[0].status.last_try


async def test_headless_calls_nobody_to_the_keypad(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", keypad=lambda _entry: RIGHT, interaction=Headless()) as world:
        with pytest.raises(AgentError) as caught:
            await world.operations.sign(OWN, Hash.SHA_256, document=DOCUMENT)
        assert caught.value.error_id == "pin.unavailable"


async def test_the_keypad_can_be_switched_off(tmp_path: Path) -> None:
    config = Config(card=CardSettings(keypad=False))
    async with agent(tmp_path, "hpc", keypad=lambda _entry: b"999999", config=config) as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert len(world.pins_asked()) == 1


async def test_a_pin_from_a_page_does_not_go_by_the_keypad(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", keypad=lambda _entry: b"999999") as world:
        kept = await world.operations.keep_pin(PORTAL, Pin(PIN))
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT, kept=kept)
        assert world.tries == 3


async def test_another_program_cannot_sign_after_a_pin_from_the_keypad(tmp_path: Path) -> None:
    async with agent(tmp_path, "hpc", keypad=lambda _entry: RIGHT) as world:
        await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert world.other_program_signs() == 0x6982


async def test_a_pin_changed_on_the_keypad_is_dropped_when_the_visit_ends(tmp_path: Path) -> None:
    typed = dict(zip(KeypadPrompt, (RIGHT, b"654321", b"654321"), strict=True))
    async with agent(tmp_path, "hpc", keypad=typed.get) as world:
        await world.operations.change_pin(PORTAL)
        change, drop = bytes.fromhex("00240001"), bytes.fromhex("0020FF01")
        assert [apdu[:4] for apdu in world.apdus].index(change) < world.apdus.index(drop)


async def test_a_card_whose_pin_is_padded_is_never_offered_a_keypad(tmp_path: Path) -> None:
    """A keypad sends the digits that were typed and nothing after them."""
    folder = Paths(tmp_path / "home", tmp_path / "machine").profiles
    folder.mkdir(parents=True, mode=0o700)
    text = (Path(profile.__file__).parent / "profiles" / "reference.toml").read_text("utf-8")
    plain = 'max_length = 8, encoding = "ascii" }'
    assert text.count(plain) == 1
    padded = text.replace(plain, 'max_length = 8, encoding = "ascii", stored_length = 8 }')
    (folder / "padded.toml").write_text(padded.replace('"reference"', '"padded"', 1), "utf-8")

    def never(_prompt: KeypadPrompt) -> bytes:
        raise AssertionError("nobody is called to the keypad")

    async with agent(tmp_path, "hpc", keypad=never) as world:
        with pytest.raises(PinWrongError):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert world.person is not None
        assert not world.person.keypads
        assert world.pins_asked()
        assert bytes.fromhex("00200001 08 313233343536FFFF") in world.apdus


def no_keypad(monkeypatch: pytest.MonkeyPatch, answer: int | str) -> None:
    """Have the virtual reader claim a keypad that it does not have: a return code, or octets in its place."""

    def control(_card: object, code: int, _data: list[int]) -> tuple[int, list[int]]:
        if code == GET_FEATURE_REQUEST:
            return 0, list(FEATURES)
        return (answer, []) if isinstance(answer, int) else (0, list(bytes.fromhex(answer)))

    monkeypatch.setattr(VirtualWinscard, "SCardControl", lambda _self, *arguments: control(*arguments))
    monkeypatch.setattr("pcsc.connection._SETTLE", 0)


def unexpected(_entry: object) -> bytes:
    raise AssertionError("there is no keypad")


@pytest.mark.parametrize("answer", [0x80100016, 0x8010001F, "6D00", "6B80", "6F00", ""])
async def test_a_keypad_that_is_none_costs_no_try_and_the_pin_is_asked_on_the_screen_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int | str, caplog: Log
) -> None:
    no_keypad(monkeypatch, answer)
    async with agent(tmp_path, "hpc", keypad=unexpected) as world:
        for _ in range(2):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert world.person is not None
        assert len(world.person.keypads) == 1
        assert len(world.pins_asked()) == 2
        assert world.tries == 3
        (view,) = await world.operations.readers(PORTAL)
        assert (view.pin_pad, view.keypad_failed) == (False, True)
    assert "keypad does not work" in caplog.text
    assert "card.keypad" in table()[ErrorId.READER_KEYPAD].next_zh


async def test_a_keypad_that_is_none_is_found_when_the_pin_is_changed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_keypad(monkeypatch, "6D00")
    person = ScriptedInteraction(pairs=[(PIN, "654321")])
    async with agent(tmp_path, "hpc", interaction=person, keypad=unexpected) as world:
        await world.operations.change_pin(OWN)
        assert len(person.keypads) == 1 and world.tries == 3


async def test_a_keypad_that_fails_after_it_may_have_spent_a_try_is_not_followed_by_a_second_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcsc.connection._SETTLE", 0)
    real = VirtualWinscard.SCardControl

    def lose_the_answer(
        self: VirtualWinscard, card: Any, code: int, data: list[int]
    ) -> tuple[int, list[int]]:
        answer = real(self, card, code, data)
        return answer if code == GET_FEATURE_REQUEST else (0x80100016, [])

    monkeypatch.setattr(VirtualWinscard, "SCardControl", lose_the_answer)
    async with agent(tmp_path, "hpc", keypad=lambda _entry: b"999999") as world:
        with pytest.raises(CommunicationError):
            await world.operations.sign(PORTAL, Hash.SHA_256, document=DOCUMENT)
        assert not world.pins_asked() and world.tries == 2
