"""The person at the terminal that the agent was started in: the same questions as the windows ask."""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Final, TypeVar, cast

from agent.expiry import Expiry
from agent.interaction import (
    CARD_PULLED,
    AnswerT,
    CardChoiceQuestion,
    CardQuestion,
    CardShown,
    ConsentQuestion,
    ConsentReply,
    DocumentShown,
    ErrandQuestion,
    ItemShown,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    Question,
    UnblockQuestion,
)
from agent.interaction.console import Console, open_console
from agent.interaction.terms import terms_words
from agent.origins.portals import named
from agent.terminal_text import decoded
from agent.vocabulary import ERRAND_LINES, ERRAND_WORDS, VERB_WORDS, Errand
from hca_card.model import PinStatus
from hca_card.pin import Pin

T = TypeVar("T")

_SECONDS: Final = 120.0
_ATTEMPTS: Final = 3
_PAGE: Final = 20
_NAME_MAX: Final = 120
_NO_PUK: Final = (
    "沒有 PUK 碼請按 Enter 離開，到 https://hca.nat.gov.tw 以用戶代碼解鎖，或撥 0800-364-422。\n"
    "No PUK: unblock at https://hca.nat.gov.tw with your user code, or call 0800-364-422;"
    " press Enter to leave.\n"
)


def _printable(text: str) -> str:
    # Card and page data are hostile: no escape sequence of theirs reaches the terminal.
    return "".join(character if character.isprintable() else "�" for character in text)


def _site(origin: str) -> tuple[str, str]:
    return named(_printable(origin))


def _consent_words(question: ConsentQuestion) -> str:
    zh = "、".join(VERB_WORDS[verb][0] for verb in question.verbs)
    en = ", ".join(VERB_WORDS[verb][1] for verb in question.verbs)
    site_zh, site_en = _site(question.origin)
    once = "它上次送來的 PIN 碼是錯的。 The last PIN it sent was wrong.\n" if question.once else ""
    ending = "" if question.ending is None else _expiry_words(question.ending.expiry)
    return (
        f"\n網站 {site_zh} 想要{zh}，是否允許？\nMay the site {site_en} {en}?\n"
        f"{ending}{once}{_document_words(question.document)}{_all_words(question)}"
    )


def _all_words(question: ConsentQuestion) -> str:
    if not question.unknown:
        return "[y/N] "
    return (
        "輸入 none：一段時間內拒絕所有未知網站，不再詢問。\n"
        "Type none to refuse all unknown sites for a while, unasked. [y/N/none] "
    )


def _reply(line: str, question: ConsentQuestion) -> ConsentReply:
    word = line.strip().lower()
    if word == "none" and question.unknown:
        return ConsentReply.NO_TO_UNKNOWN
    return _yes_or_no(line)


def _yes_or_no(line: str) -> ConsentReply:
    return ConsentReply.YES if line.strip().lower() in ("y", "yes", "是", "好") else ConsentReply.NO


def _pin_words(question: PinQuestion | KeypadQuestion) -> str:
    zh, en = VERB_WORDS[question.verb]
    who_zh, who_en = "您", "you"
    if question.origin is not None:
        site_zh, site_en = _site(question.origin)
        who_zh, who_en = f"網站 {site_zh} ", f"the site {site_en}"
    return (
        f"\n{_card_words(question.card)}\n{_expiry_words(question.card.expiry)}"
        f"{who_zh}要{zh}，請輸入 PIN 碼。\nTo let {who_en} {en}, enter the PIN.\n"
        f"{_document_words(question.document)}{_terms_words(question, who_zh.strip(), who_en)}"
        f"{_tries_words(question.status)}"
    )


def _terms_words(question: PinQuestion | KeypadQuestion, who_zh: str, who_en: str) -> str:
    if not isinstance(question, PinQuestion) or question.terms is None:
        return ""
    zh, en = terms_words(question.terms, who_zh, who_en, page=question.origin is not None, icon=False)
    items = question.terms.items
    return f"{zh}\n{en}\n{_item_rows(items) if len(items) <= _PAGE else ''}"


def _item_rows(items: Sequence[ItemShown], first: int = 0) -> str:
    return "".join(
        f"  {number}. {_both_ends(_printable(item.name))}  {_printable(item.kind)}  {item.size:,} bytes\n"
        for number, item in enumerate(items, first + 1)
    )


def _both_ends(name: str) -> str:
    return name if len(name) <= _NAME_MAX else f"{name[: _NAME_MAX // 2]}…{name[1 - _NAME_MAX // 2 :]}"


def _change_words(question: NewPinQuestion | UnblockQuestion, zh: str, en: str, status: PinStatus) -> str:
    if question.origin is None:
        who = f"{zh}。 You want to {en}.\n"
    else:
        site_zh, site_en = _site(question.origin)
        who = f"網站 {site_zh} 要{zh}。\nThe site {site_en} wants to {en}.\n"
    ending = _expiry_words(question.card.expiry)
    return f"\n{_card_words(question.card)}\n{ending}{who}{_tries_words(status)}"


def _card_words(card: CardShown) -> str:
    simulated = "【模擬卡 SIMULATED】" if card.simulated else ""
    return _printable(f"{simulated}{card.holder}  {card.serial}  ({card.reader})")


def _expiry_words(told: Expiry | None) -> str:
    return "" if told is None else f"{told.zh}{told.next_zh}\n{told.en} {told.next_en}\n"


def _tries_words(status: PinStatus) -> str:
    left = status.tries_left
    return "" if left is None else f"還可以試 {left} 次。 Tries left: {left}.\n"


def _document_words(document: DocumentShown | None) -> str:
    if document is None:
        return ""
    name = _printable(document.name) and f"{_printable(document.name)}, "
    size = "" if document.size is None else f"{document.size:,} bytes, "
    return f"文件 Document: {name}{size}{document.hash} {document.digest.hex()}\n"


class TerminalInteraction:
    """Questions on a terminal, one at a time.

    Args:
        console: the terminal to use.
        seconds: how long each question waits.
    """

    def __init__(self, console: Console, *, seconds: float = _SECONDS) -> None:
        self._console = console
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._asked: Question[Any] | None = None
        self._thread = ThreadPoolExecutor(1, "terminal")

    @classmethod
    def open(cls) -> TerminalInteraction | None:
        """On the terminal this program was started in; None when there is none."""
        console = open_console()
        return None if console is None else cls(console)

    @property
    def available(self) -> bool:
        """Always: there is a terminal."""
        return True

    async def ask(self, question: Question[AnswerT]) -> AnswerT | None:
        """Put the question; a last try also takes the word "yes", after the warning that a mistake locks."""
        async with self._turn:
            self._asked = question
            try:
                return cast("AnswerT | None", await self._ask(question))
            finally:
                self._asked = None

    async def notify(self, zh: str, en: str, errand: Errand | None = None) -> None:
        """Write both sentences on lines of their own, and the command that does the errand."""
        told = errand is None or ERRAND_LINES[errand] in zh
        line = "" if told or errand is None else f"→ {ERRAND_LINES[errand]}\n"
        async with self._turn:
            self._console.write(f"{_printable(zh)}\n{_printable(en)}\n{line}")

    def cards_moved(self, readers: frozenset[str]) -> None:
        """Say at once that the card which is asked about was pulled out; the question waits for it."""
        if isinstance(self._asked, CardQuestion) and self._asked.card.reader not in readers:
            self._console.write("\n{}\n{}\n".format(*CARD_PULLED))

    async def _ask(self, question: Question[Any]) -> object:
        # Before its first word is there: what comes after that is an answer, and kept.
        await self._in_thread(self._console.forget_typed)
        match question:
            case ConsentQuestion():
                answer = await self._line(_consent_words(question))
                return None if answer is None else _reply(answer, question)
            case PinQuestion(terms=terms):
                if terms is not None and len(terms.items) > _PAGE and not await self._shown(terms.items):
                    return None
                return await self._secret(_pin_words(question), "PIN 碼 PIN: ", question.status)
            case KeypadQuestion():
                self._console.write(
                    _pin_words(question)
                    + "請在讀卡機的鍵盤輸入 PIN 碼。\nType the PIN on the reader's keypad.\n"
                )
                return None
            case NewPinQuestion(status=status):
                words = _change_words(question, "變更 PIN 碼", "change the PIN", status)
                return await self._pair(words, "目前的 PIN 碼 Present PIN: ", status, status)
            case UnblockQuestion(status=status, puk=puk):
                words = _change_words(question, "解鎖 PIN 碼", "unblock the PIN", puk) + _NO_PUK
                return await self._pair(words, "PUK: ", puk, status)
            case ErrandQuestion(errand=errand, off=off):
                zh, en = ERRAND_WORDS[errand]
                words = f"\n不要{zh}？ No longer: {en}?\n[y/N] " if off else f"\n要{zh}？ {en}?\n[y/N] "
                answer = await self._line(words)
                return None if answer is None else _yes_or_no(answer)
            case CardChoiceQuestion(cards=cards):
                return await self._choice(cards)
        raise TypeError(question)

    async def _choice(self, cards: tuple[CardShown, ...]) -> CardShown | None:
        rows = "".join(f"  {number}. {_card_words(card)}\n" for number, card in enumerate(cards, 1))
        answer = await self._line(f"\n要用哪一張卡片？ Which card?\n{rows}[1-{len(cards)}] ")
        if answer is None or not (answer.isascii() and answer.isdigit()) or len(answer) > 3:
            return None
        number = int(answer)
        return cards[number - 1] if 1 <= number <= len(cards) else None

    async def _shown(self, items: Sequence[ItemShown]) -> bool:
        """Show a long list as the person wants to see it; return whether they want to go on to the PIN."""
        numbered, first, wanted = list(enumerate(items, 1)), 0, ""
        while True:
            found = [each for each in numbered if wanted in each[1].name.casefold()]
            rows = "".join(_item_rows((item,), number - 1) for number, item in found[first : first + _PAGE])
            answer = await self._line(
                f"\n{len(found):,} / {len(items):,} 份文件 documents:\n{rows}"
                "按 Enter 輸入 PIN 碼；n 下一頁；/文字 尋找；q 取消。\n"
                "Enter goes on to the PIN; n shows the next page, /text searches, q cancels.\n> "
            )
            match answer and answer.strip().casefold():
                case "":
                    return True
                case None | "q":
                    return False
                case str(text) if text.startswith("/"):
                    first, wanted = 0, text[1:].strip()
                case _:
                    first = first + _PAGE if first + _PAGE < len(found) else 0

    async def _secret(self, words: str, prompt: str, status: PinStatus) -> Pin | None:
        async with self._unseen(words, status) as wanted:
            return await self._fitting(prompt, status) if wanted else None

    async def _pair(
        self, words: str, prompt: str, status: PinStatus, new: PinStatus
    ) -> tuple[Pin, Pin] | None:
        async with self._unseen(words, status) as wanted:
            first = await self._fitting(prompt, status) if wanted else None
            if first is None:
                return None
            second = await self._new_pin(new)
            if second is None:
                first.wipe()
                return None
            return first, second

    @asynccontextmanager
    async def _unseen(self, words: str, status: PinStatus) -> AsyncIterator[bool]:
        """Run the body with the question asked and echo off, which it is before the first word is there.

        Yields:
            Whether the person wants to go on: a last try needs a yes, which is seen.
        """
        wanted = not status.last_try or await self._confirmed_last_try(words)
        stack = ExitStack()
        try:
            await self._in_thread(lambda: stack.enter_context(self._console.unseen()))
            if not status.last_try:
                self._console.write(words)
            yield wanted
        finally:
            try:
                await self._in_thread(stack.close)
            except RuntimeError:  # this was closed meanwhile: nothing reads, and echo must still come back
                stack.close()

    async def _confirmed_last_try(self, words: str) -> bool:
        answer = await self._line(
            f"{words}只剩最後一次機會：再錯，卡片就會鎖住。要繼續請輸入完整的 yes。\n"
            "This is the last try: a mistake locks the card. To go on, type yes in full.\n> "
        )
        return answer is not None and answer.strip().lower() == "yes"

    async def _new_pin(self, status: PinStatus) -> Pin | None:
        for _ in range(_ATTEMPTS):
            new = await self._fitting("新的 PIN 碼 New PIN: ", status)
            if new is None:
                return None
            again = await self._pin("再輸入一次 Once more: ")
            if again is None:
                new.wipe()
                return None
            with again:
                if not again.wiped and hmac.compare_digest(new.octets, again.octets):
                    return new
            new.wipe()
            await self._again("兩次輸入的不一樣。\nThe two are not the same.\n")
        return None

    async def _fitting(self, prompt: str, status: PinStatus) -> Pin | None:
        for _ in range(_ATTEMPTS):
            pin = await self._pin(prompt)
            if pin is None or status.min_length <= len(pin) <= status.max_length:
                return pin
            pin.wipe()
            low, high = status.min_length, status.max_length
            await self._again(
                f"這裡要 {low} 到 {high} 個英數字，沒有送給卡片。\n"
                f"Here {low} to {high} characters are needed; nothing was sent to the card.\n"
            )
        return None

    async def _again(self, why: str) -> None:
        # What was typed ahead was meant for other questions than those that come now.
        await self._in_thread(self._console.forget_typed)
        self._console.write(why)

    async def _pin(self, prompt: str) -> Pin | None:
        line = await self._read(prompt, secret=True)
        if not line:
            return None
        try:
            return Pin(line)
        except ValueError:
            # Not ASCII: an empty PIN has a length that no card takes, so the person is asked again.
            return Pin("")
        finally:
            line[:] = bytes(len(line))

    async def _line(self, prompt: str) -> str | None:
        line = await self._read(prompt, secret=False)
        return None if line is None else decoded(line)

    async def _read(self, prompt: str, *, secret: bool) -> bytearray | None:
        self._console.write(prompt)
        stop = threading.Event()
        try:
            return await self._in_thread(
                lambda: self._console.read_line(secret=secret, seconds=self._seconds, stop=stop)
            )
        finally:
            stop.set()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Return what `work` does in the one thread of the console, after all that was begun there before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """End the reading thread, when what was begun there is done."""
        self._thread.shutdown(wait=False)
