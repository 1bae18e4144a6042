"""Windows of ours on one real screen: none covers another that asks; a card that is pulled is told."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from pathlib import Path

import pytest

from agent.config import ConsentSettings
from agent.interaction import CardShown, ConsentQuestion, PinQuestion
from agent.interaction.dialogs import Dialogs
from agent.vocabulary import Verb
from hca_card.model import CardKind, PinStatus
from tests.support.agent import PORTAL, running_agent
from tests.support.screen import Screen
from tests.support.waiting import until_async

pytestmark = pytest.mark.slow

CARD = CardShown("Reader 0", CardKind.PERSONNEL, "000000123456", "王小明", True)
PIN = PinQuestion(PORTAL, CARD, PinStatus(3, 6, 8), Verb.LOGIN)
NONCE = "bm9uY2Utb2YtYXQtbGVhc3QtMzItYnl0ZXMtZm9yLXRlc3Rz"


async def seen(screen: Screen, *parts: str) -> None:
    """Return when exactly the windows whose titles hold these are on the screen."""

    def right() -> bool:
        titles = sorted(screen.titles())
        return len(titles) == len(parts) and all(any(part in each for each in titles) for part in parts)

    await until_async(right, lambda: f"{parts}: {screen.titles()}")


async def test_a_notice_and_about_leave_while_a_pin_is_asked_and_come_back(person: Dialogs, screen: Screen):
    about = asyncio.create_task(person.show_about())
    await person.notify("說一聲", "a word")
    await seen(screen, "開放程式", "通知")
    asked = asyncio.create_task(person.ask(PIN))
    await seen(screen, "請輸入 PIN")
    another = Dialogs(ConsentSettings(seconds=110))  # as those of the tray, or of another process
    await another.notify("再一聲", "another word")
    await asyncio.sleep(2)  # it may not come meanwhile
    await seen(screen, "請輸入 PIN")
    await to_thread(screen.await_window, "請輸入 PIN")
    await to_thread(screen.type, "123456")
    await to_thread(screen.key, "Return")
    assert (pin := await asked) is not None
    assert pin.octets == b"123456"
    await seen(screen, "開放程式", "通知", "通知")
    about.cancel()
    await another.close()


async def test_a_second_question_waits_for_the_answer_to_the_first(person: Dialogs, screen: Screen):
    ending = asyncio.create_task(person.confirm_end(again=False))
    await seen(screen, "要結束")
    asked = asyncio.create_task(Dialogs(ConsentSettings(seconds=110)).ask(ConsentQuestion(PORTAL, Verb.READ)))
    await to_thread(screen.await_window, "要結束")
    await seen(screen, "要結束")
    await to_thread(screen.key, "Escape")
    assert not await ending
    await to_thread(screen.await_window, "允許這個網站")
    await to_thread(screen.key, "alt+y")
    assert await asked


async def test_a_card_that_is_pulled_while_its_pin_is_asked_is_told_at_once_and_waited_for(
    person: Dialogs, screen: Screen, tmp_path: Path
):
    async with asyncio.timeout(100), running_agent(tmp_path, interaction=person) as agent:  # type: ignore[arg-type]
        await agent.notices_shown()
        await person.close()  # the notice of a new certificate
        async with agent.page() as page:
            asked = asyncio.create_task(page.call("authenticate", nonce=NONCE))
            await to_thread(screen.await_window, "請輸入 PIN")
            await to_thread(screen.type, "12345")
            (reader,) = agent.readers
            card = reader.card
            assert card is not None
            reader.remove()
            await seen(screen, "卡片已拔出")
            await to_thread(screen.type, "6")
            await to_thread(screen.key, "Return")
            reader.insert(card)
            await to_thread(screen.await_window, "請輸入 PIN")
            assert not asked.done(), "nothing was sent"
            # Nothing that is typed in the window's first moment counts, which is long on a busy machine.
            for _ in range(8):
                await to_thread(screen.key, "ctrl+a")
                await to_thread(screen.type, "123456")
                await to_thread(screen.key, "Return")
                done, _ = await asyncio.wait([asked], timeout=5)
                if done:
                    break
            assert (await asked)["format"].startswith("web-eid:1")
