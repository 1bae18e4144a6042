"""What the icon looks like and says in each state of the agent: pictures and words, no toolkit."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from agent.errors import ErrorId, table
from agent.expiry import Expiry
from agent.operations.messages import ReaderCondition
from agent.tray.messages import (
    Choice,
    Chosen,
    ProblemKind,
    TrayActivity,
    TrayCard,
    TrayProblem,
    TrayReader,
    TraySession,
    TrayState,
)
from agent.vocabulary import (
    ERRAND_WORDS,
    KIND_WORDS,
    SESSION_END_WORDS,
    SESSION_ENDS,
    VERB_WORDS,
    Errand,
    Verb,
)
from tray.menus import Item, Menu, separator

TITLE: Final = "HCA Card Agent"
SIMULATED: Final = "【模擬卡 SIMULATED】"

_TEXT_MAX: Final = 90
_ROW_MAX: Final = 150

_NO_MARKUP: Final = str.maketrans("<>&", "＜＞＆")
"""Some panels read a tooltip as markup and some do not: neither may find any, nor an escape shown as such."""


class Picture(Enum):
    """What the icon shows below a problem's badge."""

    NO_READER = "no-reader"
    READER = "reader"
    CARD = "card"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Face:
    """All that a desktop needs to show.

    Attributes:
        picture: the drawing.
        problem: whether it carries the badge of a problem.
        signing: whether it carries the badge of a signing session.
        tooltip: one short line for each thing to say, Traditional Chinese and English in each.
        menu: what opens on a click.
    """

    picture: Picture
    problem: bool
    tooltip: tuple[str, ...]
    menu: Menu
    signing: bool = False


_PICTURE_WORDS: Final = {
    Picture.NO_READER: "沒有讀卡機 · No card reader",
    Picture.READER: "讀卡機裡沒有卡片 · No card in the reader",
    Picture.CARD: "卡片已就緒 · Card ready",
    Picture.BUSY: "正在使用卡片 · The card is being used",
}

_CONDITION_WORDS: Final = {
    ReaderCondition.EMPTY: "沒有卡片 · no card",
    ReaderCondition.CARD: "有卡片 · card inserted",
    ReaderCondition.MUTE: "卡片沒有回應，請檢查方向 · the card does not answer: check which way it is in",
    ReaderCondition.BUSY: "卡片正由其他程式獨占 · another program holds the card",
    ReaderCondition.UNNAMEABLE: "名稱含有特殊字元，無法使用 · its name cannot be used here",
    ReaderCondition.UNAVAILABLE: "無法使用 · not available",
}

_ENDED: Final = "卡片的憑證已過期或廢止 · The card's certificate has expired or is revoked"

_USELESS: Final = {ReaderCondition.UNNAMEABLE, ReaderCondition.UNAVAILABLE}

_PROBLEM_WORDS: Final = {
    ProblemKind.PORT: "連接埠被其他程式占用 · A port is held by another program",
    ProblemKind.SERVICE: "智慧卡服務沒有執行 · The smart card service is not running",
    ProblemKind.TRUST: "瀏覽器尚未信任本機憑證 · Browsers do not trust the certificate yet",
    ProblemKind.RECORDS: "病歷的簽章期限快到了 · Records must be signed soon",
}


_PROBLEM_CHOICES: Final = {
    ProblemKind.PORT: Choice.SELF_TEST,
    ProblemKind.SERVICE: Choice.SELF_TEST,
    ProblemKind.TRUST: Choice.TRUST,
    ProblemKind.RECORDS: Choice.QUEUE,
}
"""What helps with each; the self-test says more where this program cannot mend it."""

_ASK_AGAIN: Final = Item(
    "ask again", "重新詢問未知網站 · Ask about unknown sites again", Chosen(choice=Choice.ASK_AGAIN)
)


def starting() -> Face:
    """Return the face before the daemon has written anything."""
    return Face(Picture.NO_READER, False, ("啟動中 · Starting",), (*_ending_items(),))


def face(state: TrayState) -> Face:
    """Return the face for a state."""
    shown = picture(state)
    problems = tuple(_problem_words(problem) for problem in state.problems)
    mute = any(reader.condition is ReaderCondition.MUTE for reader in state.readers)
    troubled = bool(problems) or mute or any(_pressing(card) for card in state.cards)
    summary = _summary(state, shown)
    endings = (f"{told.zh.rstrip('。')} · {told.en}" for card in state.cards if (told := _ending(card)))
    sessions = (f"連續簽章：{words}" for words in map(_session_words, state.sessions))
    tooltip = (summary, *(words.translate(_NO_MARKUP) for words in (*sessions, *problems, *endings)))
    return Face(shown, troubled, tooltip, _menu(state, problems), bool(state.sessions))


def picture(state: TrayState) -> Picture:
    """Return the picture: work before cards, cards before readers; one reader with a card is enough."""
    conditions = {reader.condition for reader in state.readers}
    if state.working:
        return Picture.BUSY
    if ReaderCondition.CARD in conditions:
        return Picture.CARD
    if ReaderCondition.BUSY in conditions:
        return Picture.BUSY
    return Picture.READER if conditions - _USELESS else Picture.NO_READER


def clean(text: str, most: int = _TEXT_MAX) -> str:
    """Return text of devices and pages for a line of a menu, without what is invisible or turns words."""
    shown = "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character)[0] in "CZ" and character != " "
        else character
        for character in text
    )
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _site(origin: str) -> str:
    """Return a site for a line of a menu; a long one with its end, for that says whose it is."""
    shown = clean(origin, len(origin))
    return shown if len(shown) <= _TEXT_MAX else f"{shown[:16]}…{shown[17 - _TEXT_MAX :]}"


def _summary(state: TrayState, shown: Picture) -> str:
    words = _PICTURE_WORDS[shown]
    mute = any(reader.condition is ReaderCondition.MUTE for reader in state.readers)
    if mute and shown is Picture.READER:
        words = _CONDITION_WORDS[ReaderCondition.MUTE]
    if shown is Picture.CARD and _all_ended(state):
        words = _ENDED
    has_card = shown in (Picture.CARD, Picture.BUSY)
    return f"{SIMULATED}{words}" if has_card and _any_simulated(state) else words


def _all_ended(state: TrayState) -> bool:
    """Return whether every card that could be used is known to be of no more use."""
    ended = {card.reader for card in state.cards if card.ended}
    return all(reader.name in ended for reader in state.readers if reader.condition is ReaderCondition.CARD)


def _ending(card: TrayCard) -> Expiry | None:
    """Return what is to be said of a certificate that is still good."""
    return None if card.ended else card.expiry


def _pressing(card: TrayCard) -> bool:
    """Return whether the certificate has ended, or nearly."""
    told = card.expiry
    return card.ended or (told is not None and told.pressing)


def _any_simulated(state: TrayState) -> bool:
    return state.simulated or any(card.simulated for card in state.cards)


def _problem_words(problem: TrayProblem) -> str:
    detail = f"（{clean(problem.detail)}）" if problem.detail else ""
    return f"{_PROBLEM_WORDS[problem.kind]}{detail}"


def _session_words(session: TraySession) -> str:
    left, until = f"{session.left:,}", f"{session.until.astimezone():%H:%M}"
    return f"還可以簽 {left} 份，到 {until} · {left} signatures left, until {until}"


def _session_items(session: TraySession) -> Iterator[Item]:
    """Yield who signs, how many more for how long, and what stops it."""
    key = f"session {session.number}"
    who = "本機的程式 · a program of this computer" if session.origin is None else _site(session.origin)
    yield Item(key, f"✍ 連續簽章 Signing session {clean(session.number)}: {who}")
    yield Item(f"{key} left", f"　　{_session_words(session)}")
    stop = Chosen(choice=Choice.STOP_SESSION, session=session.number)
    yield Item(f"{key} stop", "　　停止連續簽章 · Stop signing", stop)


def _menu(state: TrayState, problems: tuple[str, ...]) -> Menu:
    about = Item(
        "about", f"關於 {TITLE} {clean(state.version)} · About", Chosen(choice=Choice.ABOUT), default=True
    )
    troubles = tuple(
        Item(f"problem {number}", f"⚠ {words}", Chosen(choice=_PROBLEM_CHOICES[problem.kind]))
        for number, (words, problem) in enumerate(zip(problems, state.problems, strict=True))
    )
    return (
        about,
        separator("after about"),
        *(item for session in state.sessions for item in _session_items(session)),
        *troubles,
        *_reader_items(state),
        separator("after readers"),
        *_queue_items(state),
        Item("self-test", "自我檢測 · Self-test", Chosen(choice=Choice.SELF_TEST)),
        _errand(Errand.SITES),
        *((_ASK_AGAIN,) if state.silence else ()),
        _errand(Errand.TRUST),
        _errand(Errand.AUTOSTART),
        *((_errand(Errand.UPDATE),) if state.updates else ()),
        Item("activity", "最近的活動 · Recent activity", items=_activity_items(state)),
        _errand(Errand.REPORT),
        Item("log-folder", "開啟記錄資料夾 · Open log folder", Chosen(choice=Choice.LOG_FOLDER)),
        separator("before the end"),
        *_ending_items(),
    )


def _queue_items(state: TrayState) -> tuple[Item, ...]:
    """Return how many records wait, and what has them signed."""
    queue = state.queue
    if queue is None:
        return ()
    until = "" if queue.due is None else f"，最早 {queue.due.astimezone():%m-%d %H:%M} 到期"
    zh, en = (
        f"待簽病歷 {queue.waiting}、待補簽 {queue.owed}",
        f"{queue.waiting} records wait, {queue.owed} owed",
    )
    return (
        Item("records", f"{zh}{until} · {en}"),
        *((_errand(Errand.QUEUE),) if queue.waiting or queue.owed else ()),
    )


def _errand(errand: Errand, reader: str | None = None) -> Item:
    """Return the item of an errand; one that is about a card stands below its reader."""
    indent, key = ("", errand.value) if reader is None else ("　　", f"{errand.value} {reader}")
    label = f"{indent}{' · '.join(ERRAND_WORDS[errand])}"
    return Item(key, label, Chosen(choice=Choice(errand.value), reader=reader))


def _ending_items() -> tuple[Item, ...]:
    return (
        Item("restart", "重新啟動 · Restart", Chosen(choice=Choice.RESTART)),
        Item("quit", "結束 · Quit", Chosen(choice=Choice.QUIT)),
    )


def _reader_items(state: TrayState) -> tuple[Item, ...]:
    if not state.readers:
        return (Item("no reader", _PICTURE_WORDS[Picture.NO_READER]),)
    known = {card.reader: card for card in state.cards}
    return tuple(
        item
        for reader in state.readers
        for item in _one_reader(reader, known.get(reader.name), state.simulated)
    )


def _one_reader(reader: TrayReader, card: TrayCard | None, simulated: bool) -> tuple[Item, ...]:
    virtual = "（虛擬 virtual）" if reader.virtual else ""
    title = Item(f"reader {reader.name}", f"讀卡機 Reader: {clean(reader.name)}{virtual}")
    has_card = reader.condition is ReaderCondition.CARD
    mark = SIMULATED if has_card and (simulated or (card is not None and card.simulated)) else ""
    words = _CONDITION_WORDS[reader.condition]
    if card is not None:
        zh, en = KIND_WORDS[card.kind]
        words = f"{zh} {clean(card.number)} · {en}"
        if card.ended:
            words = f"{words}（憑證已過期或廢止 expired or revoked）"
    condition = Item(f"card {reader.name}", f"　　{mark}{words}")
    if not has_card:
        return (title, condition)
    pin = (_errand(each, reader.name) for each in (Errand.CHANGE_PIN, Errand.UNBLOCK_PIN))
    return (title, condition, *_expiry_items(card), _tries(reader, card), *pin)


def _expiry_items(card: TrayCard | None) -> tuple[Item, ...]:
    """Return that the certificate ends, or has ended, and where to renew it."""
    told = None if card is None else card.expiry
    if card is None or told is None or card.revoked:
        return ()
    mark = "⚠ " if told.pressing else ""
    return (
        Item(f"ends {card.reader}", f"　　{mark}{told.zh} {told.en}"),
        Item(f"renew {card.reader}", f"　　{told.next_zh} {told.next_en}"),
    )


def _tries(reader: TrayReader, card: TrayCard | None) -> Item:
    """Return the tries as last read; choosing it asks the card, which opening a menu never does."""
    label = "　　查詢 PIN 碼剩餘次數 · Ask the card how many PIN tries are left"
    if card is not None and card.tries_left is not None and card.asked is not None:
        left, at = card.tries_left, f"{card.asked.astimezone():%H:%M}"
        label = (
            f"　　PIN 碼還可以試 {left} 次 · {left} PIN {'try' if left == 1 else 'tries'} left ({at})"
            if left
            else f"　　PIN 碼已鎖住 · The PIN is locked ({at})"
        )
    return Item(f"tries {reader.name}", label, Chosen(choice=Choice.TRIES, reader=reader.name))


def _activity_items(state: TrayState) -> tuple[Item, ...]:
    if not state.activity:
        return (Item("nothing", "還沒有紀錄 · Nothing has been recorded yet"),)
    return tuple(Item(f"activity {number}", activity(row)) for number, row in enumerate(state.activity))


def activity(row: TrayActivity) -> str:
    """Return one row of the audit log in words, the time first."""
    zh, en = VERB_WORDS[row.verb]
    who = "本機 this computer" if row.origin is None else _site(row.origin)
    mark = SIMULATED if row.simulated else ""
    words = f"{row.time.astimezone():%m-%d %H:%M}  {who}  {mark}{zh}：{_result(row, en)}"
    return clean(words, _ROW_MAX)


def _result(row: TrayActivity, en: str) -> str:
    if row.result == "ok":
        return f"開始 · {en}: begun" if row.verb is Verb.SESSION else f"完成 · {en}: done"
    if row.result in SESSION_ENDS:
        why_zh, why_en = SESSION_END_WORDS[SESSION_ENDS[row.result]]
        return f"結束，{why_zh} · {en}: {why_en}"
    try:
        error = table()[ErrorId(row.result)]
    except ValueError:
        return f"{clean(row.result)} · {en}"
    return f"{error.zh} · {en}: {error.en}"
