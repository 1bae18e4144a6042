"""Each window on a real X server, filled by keyboard alone, with its answer as the agent gets it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from asyncio import to_thread
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.config import (
    Config,
    ConsentSettings,
    HipkiSettings,
    OriginSettings,
    PortSettings,
    ServiSignSettings,
)
from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    ConsentQuestion,
    ConsentReply,
    DocumentShown,
    ItemShown,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    SessionTerms,
    UnblockQuestion,
)
from agent.interaction.dialog_messages import SiteShown
from agent.interaction.dialogs import Dialogs
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.agent import running_agent
from tests.support.log import Log
from tests.support.screen import Hurry, Screen, window_processes
from tests.support.waiting import until_async

pytestmark = pytest.mark.slow

PORTAL = "https://euservice.mohw.gov.tw"
CARD = CardShown("Reader 0", CardKind.PERSONNEL, "000000123456", "王小明", True)
OTHER = CardShown("Reader 1", CardKind.INSTITUTION, "000000654321", "測試醫院", True)
ALLOW, NO = "alt+y", "alt+n"
PIN = "a5Zq81xW"
ANY_PORTS = Config(
    origins=OriginSettings(),
    ports=PortSettings(native=0),
    hipki=HipkiSettings(port=0),
    servisign=ServiSignSettings(ports=(0,)),
)
NONCE = "bm9uY2Utb2YtYXQtbGVhc3QtMzItYnl0ZXMtZm9yLXRlc3Rz"


def outside_of(number: int) -> bytes:
    """What other programs can see of a process: its words and its environment."""
    process = Path(f"/proc/{number}")
    limits = (process / "limits").read_text()
    assert [row.split()[4:6] for row in limits.splitlines() if row.startswith("Max core")] == [["0", "0"]]
    seen = (process / "cmdline").read_bytes()
    # Only root can look at all: the process has made itself undumpable.
    with contextlib.suppress(PermissionError):
        seen += (process / "environ").read_bytes()
    return seen


def pin_request(tries: int = 3, document: DocumentShown | None = None) -> PinQuestion:
    return PinQuestion(PORTAL, CARD, PinStatus(tries, 6, 8), Verb.LOGIN, document)


@pytest.mark.parametrize(
    ("keys", "allowed"),
    [
        ((ALLOW,), True),
        (("Tab", "space"), True),
        (("Tab", "Return"), True),
        ((NO,), False),
        (("Return",), False),
        (("space",), False),
        (("Escape",), False),
        (("Tab", "Tab", "Return"), False),
    ],
)
async def test_only_pressing_the_button_that_allows_is_a_yes(
    person: Dialogs, screen: Screen, keys: tuple[str, ...], allowed: bool
):
    asked = asyncio.create_task(person.ask(ConsentQuestion(PORTAL, Verb.LOGIN, also=(Verb.READ,))))
    title = await to_thread(screen.await_window, "登入")
    assert "log in with the card" in title
    await to_thread(screen.key, *keys)
    assert bool(await asked) is allowed


async def test_a_batch_of_ten_thousand_is_shown_searched_and_agreed_to_by_keyboard(
    person: Dialogs, screen: Screen
):
    items = tuple(
        ItemShown(f"{number:05}-{'n' * 200}.xml", number, "emr", bytes(32)) for number in range(10_000)
    )
    terms = SessionTerms("7f3a90c1", len(items), 7200, items)
    question = PinQuestion(None, CARD, PinStatus(3, 6, 8), Verb.SESSION, terms=terms)
    asked = asyncio.create_task(person.ask(question))
    await to_thread(screen.await_window, "連續簽章")
    await to_thread(screen.key, "alt+f")
    await to_thread(screen.type, "09999")
    await to_thread(screen.key, "Down", "End", "Home", "Return")
    assert not asked.done()
    await to_thread(screen.type, "123456")
    await to_thread(screen.key, "Return")
    pin = await asked
    assert pin.octets == b"123456"


async def test_what_was_being_typed_when_the_window_came_neither_allows_nor_fills_in(
    person: Dialogs, screen: Screen
):
    for ask, expected in (
        (person.ask(ConsentQuestion(PORTAL, Verb.SIGN)), ConsentReply.YES),
        (person.ask(pin_request()), b"123456"),
    ):
        await to_thread(screen.await_none)
        asked = asyncio.create_task(ask)  # type: ignore[var-annotated,arg-type]
        seen, hurry = None, Hurry()
        while not asked.done() and (seen is None or time.monotonic() < seen + 1.5):
            await hurry(screen.key, "8", ALLOW, "Return", "space")
            if seen is None and await to_thread(screen.titles):
                seen = time.monotonic()
        if not hurry.kept:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            continue
        assert not asked.done()
        await to_thread(screen.await_window, "")
        if expected is ConsentReply.YES:
            await to_thread(screen.key, ALLOW)
            assert await asked is expected
        else:
            await to_thread(screen.type, "123456")
            await to_thread(screen.key, "Return")
            pin = await asked
            assert pin.octets == expected


async def test_nobody_answering_is_neither_yes_nor_no(screen: Screen):
    windows = Dialogs(ConsentSettings(seconds=2))
    assert await windows.ask(ConsentQuestion(PORTAL, Verb.READ)) is None
    assert await windows.ask(pin_request()) is None


async def test_alt_u_refuses_all_unknown_sites_where_that_is_offered(person: Dialogs, screen: Screen):
    for unknown, reply in ((True, ConsentReply.NO_TO_UNKNOWN), (False, ConsentReply.NO)):
        asked = asyncio.create_task(person.ask(ConsentQuestion(PORTAL, Verb.READ, unknown=unknown)))
        await to_thread(screen.await_window, "讀取")
        await to_thread(screen.key, "alt+u")
        if not unknown:
            await asyncio.sleep(0.5)  # nothing may be answered meanwhile
            assert not asked.done()
            await to_thread(screen.key, "Escape")
        assert await asked is reply


async def test_whoever_stops_waiting_closes_the_window(person: Dialogs, screen: Screen):
    asked = asyncio.create_task(person.ask(pin_request()))
    await to_thread(screen.await_window, "PIN")
    assert len(window_processes()) == 1
    asked.cancel()
    await to_thread(screen.await_none)
    await until_async(lambda: not window_processes())


async def test_a_window_that_is_killed_is_a_no(person: Dialogs, screen: Screen):
    asked = asyncio.create_task(person.ask(ConsentQuestion(PORTAL, Verb.READ)))
    await to_thread(screen.await_window, "讀取")
    (number,) = window_processes()
    os.kill(number, 9)
    assert await asked is ConsentReply.NO


async def test_a_pin_is_typed_and_seen_nowhere_but_in_the_answer(
    person: Dialogs, screen: Screen, caplog: Log, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    asked = asyncio.create_task(person.ask(pin_request(document=DocumentShown(12, "SHA-256", bytes(32)))))
    await to_thread(screen.await_window, "PIN")
    (number,) = window_processes()
    await to_thread(screen.type, PIN)
    everything = outside_of(number)
    assert b"window\0pin\0" in everything
    await to_thread(screen.key, "Return")
    pin = await asked
    assert pin is not None
    assert pin.octets == PIN.encode()
    for secret in (PIN, PIN.encode().hex(), PIN.encode("utf-16-le").decode("latin-1")):
        assert secret.encode("latin-1") not in everything
        assert secret not in caplog.text
        assert secret not in "".join(capfd.readouterr())
    for value in (b"000000123456", "王小明".encode()):
        assert value not in everything


async def test_enter_on_a_pin_that_is_too_short_sends_nothing(person: Dialogs, screen: Screen):
    asked = asyncio.create_task(person.ask(pin_request()))
    await to_thread(screen.await_window, "PIN")
    await to_thread(screen.type, "12345")
    await to_thread(screen.key, "Return", "alt+o")
    await asyncio.sleep(0.3)  # nothing may be answered meanwhile
    assert not asked.done()
    await to_thread(screen.type, "6789")  # the ninth is more than a card takes
    await to_thread(screen.key, "alt+o")
    pin = await asked
    assert pin is not None
    assert pin.octets == b"12345678"


async def test_characters_that_no_pin_has_are_not_taken(person: Dialogs, screen: Screen):
    asked = asyncio.create_task(person.ask(pin_request()))
    await to_thread(screen.await_window, "PIN")
    await to_thread(screen.type, "１２é密a1")
    await to_thread(screen.key, "Caps_Lock")
    await to_thread(screen.type, "3456")
    await to_thread(screen.key, "Caps_Lock", "Return")
    pin = await asked
    assert pin is not None
    assert pin.octets == b"a13456"


async def test_the_last_try_needs_a_yes_of_its_own(person: Dialogs, screen: Screen):
    asked = asyncio.create_task(person.ask(pin_request(tries=1)))
    await to_thread(screen.await_window, "PIN")
    await to_thread(screen.type, "123456")
    await to_thread(screen.key, "Return", "alt+o")
    await asyncio.sleep(0.3)  # nothing may be answered meanwhile
    assert not asked.done()
    await to_thread(screen.key, "alt+k")
    await to_thread(screen.type, "123456")
    await to_thread(screen.key, "Return")
    pin = await asked
    assert pin is not None
    assert pin.octets == b"123456"


async def test_a_new_pin_is_typed_twice_alike(person: Dialogs, screen: Screen):
    asked = asyncio.create_task(person.ask(NewPinQuestion(None, CARD, PinStatus(3, 6, 8))))
    await to_thread(screen.await_window, "變更 PIN")
    for text, key in (("123456", "Return"), ("abcdef", "Tab"), ("abcdeg", "Return")):
        await to_thread(screen.type, text)
        await to_thread(screen.key, key)
    await asyncio.sleep(0.3)  # nothing may be answered meanwhile
    assert not asked.done()
    await to_thread(screen.key, "BackSpace")
    await to_thread(screen.type, "f")
    await to_thread(screen.key, "Return")
    pair = await asked
    assert pair is not None
    assert [pin.octets for pin in pair] == [b"123456", b"abcdef"]


async def test_a_puk_and_a_new_pin_unblock(person: Dialogs, screen: Screen):
    request = UnblockQuestion(None, CARD, PinStatus(0, 6, 8), PinStatus(10, 8, 8))
    asked = asyncio.create_task(person.ask(request))
    await to_thread(screen.await_window, "解鎖")
    for text in ("12345678", "654321", "654321"):
        await to_thread(screen.type, text)
        await to_thread(screen.key, "Return")
    pair = await asked
    assert pair is not None
    assert [pin.octets for pin in pair] == [b"12345678", b"654321"]


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [(("Return",), CARD), (("Down", "Return"), OTHER), (("Up", "alt+o"), OTHER), (("Escape",), None)],
)
async def test_a_card_is_chosen_with_the_arrows(
    person: Dialogs, screen: Screen, keys: tuple[str, ...], chosen: CardShown | None
):
    asked = asyncio.create_task(person.ask(CardChoiceQuestion(PORTAL, (CARD, OTHER))))
    await to_thread(screen.await_window, "哪一張")
    await to_thread(screen.key, *keys)
    assert await asked == chosen


async def test_the_keypad_window_stays_until_the_keypad_has_answered(person: Dialogs, screen: Screen):
    shown = asyncio.create_task(person.ask(KeypadQuestion(PORTAL, CARD, PinStatus(3, 6, 8), Verb.LOGIN)))
    await to_thread(screen.await_window, "請看讀卡機")
    await to_thread(screen.type, "123456")
    assert not shown.done()
    shown.cancel()
    await to_thread(screen.await_none)


async def test_one_site_is_removed_and_one_allowed_by_keyboard(person: Dialogs, screen: Screen):
    new_year = datetime(2030, 1, 1, tzinfo=UTC)
    kept = {
        origin: SiteShown(origin=origin, allowed=True, verbs=(Verb.READ,), until=new_year)
        for origin in (PORTAL, "https://b.example")
    }
    typed: list[str] = []

    def allow(address: str) -> tuple[bool, str, str]:
        typed.append(address)
        kept["https://c.example"] = SiteShown(origin="https://c.example", allowed=True)
        return True, "允許到明天", "allowed until tomorrow"

    shown = asyncio.create_task(person.show_origins(lambda: tuple(kept.values()), kept.pop, allow))
    await to_thread(screen.await_window, "允許的網站")
    await to_thread(screen.key, "Tab", "Return")
    await until_async(lambda: len(kept) == 1)
    assert PORTAL not in kept
    await asyncio.sleep(1.2)  # other rows are where these were: the guarded moment begins anew
    await to_thread(screen.await_window, "允許的網站")
    await to_thread(screen.key, "Tab", "space")
    await until_async(lambda: not kept)
    await asyncio.sleep(1.2)  # the guarded moment
    await to_thread(screen.await_window, "允許的網站")
    await to_thread(screen.key, "shift+Tab", "shift+Tab")
    await to_thread(screen.type, "https://c.example/page")
    await to_thread(screen.key, "Return")
    await until_async(lambda: typed == ["https://c.example/page"], lambda: str(typed))
    await asyncio.sleep(1.2)  # the list comes anew, and with it the guarded moment
    await to_thread(screen.await_window, "允許的網站")
    await to_thread(screen.key, "Escape")
    await shown


async def test_about_closes_and_a_notice_takes_no_key(person: Dialogs, screen: Screen):
    shown = asyncio.create_task(person.show_about())
    await to_thread(screen.await_window, "HCA Card Agent 0.")
    await person.notify("說一聲", "a word")  # and does not wait until it is closed
    await to_thread(screen.await_window, "通知")
    await to_thread(screen.key, "Escape")
    await asyncio.wait_for(shown, 30)
    await person.close()


@pytest.mark.parametrize(
    ("keys", "ends"), [(("alt+q",), True), (("Return",), False), (("Escape",), False), (("alt+c",), False)]
)
async def test_only_pressing_quit_ends_the_program(
    person: Dialogs, screen: Screen, keys: tuple[str, ...], ends: bool
):
    asked = asyncio.create_task(person.confirm_end(again=False))
    await to_thread(screen.await_window, "要結束")
    await to_thread(screen.key, *keys)
    assert await asked is ends


async def test_consent_and_pin_by_keyboard_alone_log_in_on_a_running_agent(
    person: Dialogs, screen: Screen, tmp_path: Path
):
    async with running_agent(tmp_path, interaction=person, config=ANY_PORTS) as agent:  # type: ignore[arg-type]
        await agent.notices_shown()
        await person.close()  # the notice of a new certificate
        async with agent.page(PORTAL) as page:
            asked = asyncio.create_task(page.call("authenticate", nonce=NONCE))
            await to_thread(screen.await_window, "登入嗎")
            await to_thread(screen.key, ALLOW)
            await to_thread(screen.await_window, "請輸入 PIN")
            await to_thread(screen.type, "123456")
            await to_thread(screen.key, "Return")
            token = await asked
            assert token["format"].startswith("web-eid:1")


async def test_a_page_that_goes_away_takes_its_window_along(person: Dialogs, screen: Screen, tmp_path: Path):
    async with running_agent(tmp_path, interaction=person, config=ANY_PORTS) as agent:  # type: ignore[arg-type]
        await agent.notices_shown()
        await person.close()
        async with agent.page(PORTAL) as page:
            await page.send("authenticate", nonce=NONCE)
            await to_thread(screen.await_window, "登入嗎")
            closing = asyncio.create_task(page.socket.close())
            await to_thread(screen.await_none)
            await closing
