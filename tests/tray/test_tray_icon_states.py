"""What the icon shows and says in each state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from agent.operations.messages import ReaderCondition
from agent.tray.messages import (
    Choice,
    Chosen,
    ProblemKind,
    TrayActivity,
    TrayCard,
    TrayProblem,
    TrayQueue,
    TrayReader,
    TraySession,
    TrayState,
)
from agent.vocabulary import SESSION_ENDS, VERB_WORDS, Verb
from hca_card.model import CardKind
from tests.support.tray import tray_state
from tray import icon_states
from tray.drawing import SIZES, argb, pixels
from tray.icon_states import Face, Picture, face
from tray.menus import Item, default_of

READER = "ACS ACR39U 00 00"
NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)


def reader(condition: ReaderCondition, name: str = READER, *, virtual: bool = False) -> TrayReader:
    return TrayReader(name=name, condition=condition, virtual=virtual)


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days, minutes=5)


def card(
    *,
    simulated: bool = False,
    tries_left: int | None = None,
    revoked: bool = False,
    ends: datetime | None = None,
) -> TrayCard:
    return TrayCard(
        reader=READER,
        kind=CardKind.PERSONNEL,
        number="********5361",
        simulated=simulated,
        tries_left=tries_left,
        asked=None if tries_left is None else NOON,
        ends=ends,
        revoked=revoked,
    )


def state(
    *conditions: ReaderCondition,
    working: bool = False,
    problems: tuple[TrayProblem, ...] = (),
    cards: tuple[TrayCard, ...] = (),
    activity: tuple[TrayActivity, ...] = (),
    simulated: bool = False,
    silence: bool = False,
    updates: bool = False,
    sessions: tuple[TraySession, ...] = (),
    queue: TrayQueue | None = None,
) -> TrayState:
    return tray_state(
        version="0.1.0",
        simulated=simulated,
        working=working,
        readers=tuple(
            reader(condition, READER if number == 0 else f"{READER} {number}")
            for number, condition in enumerate(conditions)
        ),
        cards=cards,
        problems=problems,
        activity=activity,
        silence=silence,
        updates=updates,
        sessions=sessions,
        queue=queue,
    )


def labels(shown: Face) -> list[str]:
    return [item.label for item in shown.menu if not item.is_separator]


def find(shown: Face, key: str) -> Item:
    return next(item for item in shown.menu if item.key == key)


EMPTY, CARD = ReaderCondition.EMPTY, ReaderCondition.CARD
MUTE, BUSY, GONE = ReaderCondition.MUTE, ReaderCondition.BUSY, ReaderCondition.UNAVAILABLE
PORT = TrayProblem(kind=ProblemKind.PORT, detail="56445 HCAServiSign (4242)")
SERVICE = TrayProblem(kind=ProblemKind.SERVICE)
TRUST = TrayProblem(kind=ProblemKind.TRUST)
SESSION = TraySession(number="7f3a90c1", origin="https://ward.example.tw", left=230, until=NOON)
OWN_SESSION = TraySession(number="00c1d2e3", origin=None, left=1900, until=NOON)


@pytest.mark.parametrize(
    ("given", "picture", "problem", "words"),
    [
        pytest.param(state(), Picture.NO_READER, False, "沒有讀卡機", id="no reader"),
        pytest.param(state(GONE), Picture.NO_READER, False, "沒有讀卡機", id="a reader that is going"),
        pytest.param(state(EMPTY), Picture.READER, False, "沒有卡片", id="a reader"),
        pytest.param(state(CARD), Picture.CARD, False, "卡片已就緒", id="a card"),
        pytest.param(
            state(CARD, cards=(card(revoked=True),)),
            Picture.CARD,
            True,
            "已過期或廢止",
            id="a card that is revoked",
        ),
        pytest.param(
            state(CARD, cards=(card(ends=in_days(-2)),)),
            Picture.CARD,
            True,
            "已過期或廢止",
            id="a card that has expired",
        ),
        pytest.param(
            state(CARD, CARD, cards=(card(revoked=True),)),
            Picture.CARD,
            True,
            "卡片已就緒",
            id="another card beside it",
        ),
        pytest.param(state(EMPTY, CARD), Picture.CARD, False, "卡片已就緒", id="a card in the other reader"),
        pytest.param(state(CARD, working=True), Picture.BUSY, False, "正在使用卡片", id="at work"),
        pytest.param(state(BUSY), Picture.BUSY, False, "正在使用卡片", id="held by another program"),
        pytest.param(state(BUSY, CARD), Picture.CARD, False, "卡片已就緒", id="one held, one free"),
        pytest.param(state(MUTE), Picture.READER, True, "沒有回應", id="a card put in the wrong way"),
        pytest.param(state(MUTE, CARD), Picture.CARD, True, "卡片已就緒", id="a good card beside a mute one"),
        pytest.param(
            state(CARD, problems=(PORT,)),
            Picture.CARD,
            True,
            "56445 HCAServiSign (4242)",
            id="a port conflict",
        ),
        pytest.param(
            state(problems=(SERVICE,)), Picture.NO_READER, True, "智慧卡服務沒有執行", id="no service"
        ),
        pytest.param(state(EMPTY, problems=(TRUST,)), Picture.READER, True, "尚未信任", id="not trusted"),
        pytest.param(
            state(CARD, working=True, problems=(TRUST,)),
            Picture.BUSY,
            True,
            "正在使用卡片",
            id="work in spite",
        ),
    ],
)
def test_each_state_has_its_picture_and_its_words(
    given: TrayState, picture: Picture, problem: bool, words: str
) -> None:
    shown = face(given)
    assert (shown.picture, shown.problem) == (picture, problem)
    assert words in "\n".join(shown.tooltip)
    assert all(" · " in line for line in shown.tooltip), "each line says it in both languages"


def test_the_menu_says_everything_in_chinese_first() -> None:
    shown = face(state(CARD, problems=(PORT,), cards=(card(tries_left=3),)))
    for wanted in ("自我檢測", "允許的網站", "最近的活動", "開啟記錄資料夾", "重新啟動", "結束"):
        (label,) = [label for label in labels(shown) if wanted in label]
        zh, en = label.split(" · ")
        assert zh == wanted and en.isascii()


def test_a_double_click_means_about_and_only_that() -> None:
    shown = face(state(CARD))
    item = default_of(shown.menu)
    assert item is not None and item.chosen is not None
    assert item.chosen.choice is Choice.ABOUT
    assert sum(item.default for item in shown.menu) == 1


def test_every_choice_can_be_chosen_somewhere() -> None:
    records = TrayQueue(waiting=1, owed=0, due=NOON)
    shown = face(state(CARD, silence=True, updates=True, sessions=(SESSION,), queue=records))
    assert {item.chosen.choice for item in shown.menu if item.chosen is not None} == set(Choice)


def test_open_sessions_are_seen_and_each_has_its_stop() -> None:
    shown = face(state(CARD, sessions=(SESSION, OWN_SESSION)))
    assert shown.signing and not face(state(CARD)).signing
    at = f"{NOON.astimezone():%H:%M}"
    said = "\n".join(shown.tooltip)
    assert f"連續簽章：還可以簽 230 份，到 {at} · 230 signatures left, until {at}" in said
    for session, who in ((SESSION, "https://ward.example.tw"), (OWN_SESSION, "本機的程式")):
        key = f"session {session.number}"
        assert who in find(shown, key).label and session.number in find(shown, key).label
        assert f"還可以簽 {session.left:,} 份，到 {at}" in find(shown, f"{key} left").label
        stop = find(shown, f"{key} stop")
        assert "停止" in stop.label and "Stop" in stop.label
        assert stop.chosen == Chosen(choice=Choice.STOP_SESSION, session=session.number)


def test_a_site_with_a_long_name_is_shown_with_its_end() -> None:
    pretends = f"https://portal.example.tw.{'a' * 60}.evil.example"
    session = TraySession(number=SESSION.number, origin=pretends, left=1, until=NOON)
    label = find(face(state(CARD, sessions=(session,))), f"session {session.number}").label
    assert label.endswith(".evil.example")
    row = TrayActivity(time=NOON, origin=pretends, verb=Verb.SIGN, result="ok", simulated=False)
    assert ".evil.example " in icon_states.activity(row)


def test_opening_and_end_of_a_session_are_words_in_the_activity() -> None:
    told = {
        result: icon_states.activity(
            TrayActivity(time=NOON, origin=None, verb=Verb.SESSION, result=result, simulated=False)
        )
        for result in ("ok", *SESSION_ENDS)
    }
    assert "開始 · sign many documents with one PIN: begun" in told["ok"]
    assert "結束，您按了停止" in told["ended.stopped"] and "you stopped it" in told["ended.stopped"]
    assert not any("ended." in words for words in told.values())


def test_asking_again_is_offered_while_unknown_sites_are_refused_unasked() -> None:
    assert "ask again" not in {item.key for item in face(state(CARD)).menu}
    shown = find(face(state(CARD, silence=True)), "ask again")
    assert "重新詢問未知網站" in shown.label


def test_keys_are_all_different_so_that_items_keep_their_numbers() -> None:
    rows = tuple(row("https://a.tw") for _ in range(10))
    sessions = (SESSION, OWN_SESSION)
    shown = face(
        state(
            CARD,
            EMPTY,
            MUTE,
            problems=(PORT, SERVICE, TRUST),
            cards=(card(),),
            activity=rows,
            sessions=sessions,
        )
    )
    keys = [item.key for item in shown.menu] + [row.key for item in shown.menu for row in item.items]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (3, "還可以試 3 次 · 3 PIN tries left"),
        (1, "還可以試 1 次 · 1 PIN try left"),
        (0, "已鎖住"),
        (None, "查詢"),
    ],
)
def test_tries_are_what_was_last_told_or_else_can_be_asked(left: int | None, words: str) -> None:
    item = find(face(state(CARD, cards=(card(tries_left=left),))), f"tries {READER}")
    assert words in item.label
    assert item.chosen is not None
    assert (item.chosen.choice, item.chosen.reader) == (Choice.TRIES, READER)


def test_no_tries_are_offered_without_a_card() -> None:
    assert not [item for item in face(state(EMPTY)).menu if item.key.startswith("tries")]


def test_a_simulated_card_is_marked_in_menu_and_tooltip() -> None:
    for given in (state(CARD, simulated=True), state(CARD, cards=(card(simulated=True),))):
        shown = face(given)
        assert "模擬卡" in shown.tooltip[0]
        assert "模擬卡" in find(shown, f"card {READER}").label
    real = face(state(CARD, cards=(card(),)))
    assert "模擬卡" not in "".join((*real.tooltip, *labels(real)))


def test_a_virtual_reader_is_called_so_before_anything_was_read() -> None:
    shown = face(tray_state(readers=(reader(CARD, virtual=True),)))
    assert "虛擬" in find(shown, f"reader {READER}").label


def row(
    origin: str | None, result: str = "ok", verb: Verb = Verb.SIGN, *, simulated: bool = False
) -> TrayActivity:
    return TrayActivity(time=NOON, origin=origin, verb=verb, result=result, simulated=simulated)


def test_recent_activity_is_told_in_words() -> None:
    shown = face(
        state(
            activity=(
                row("https://portal.example.tw", simulated=True),
                row(None, "pin.cancelled", Verb.LOGIN),
                row("https://portal.example.tw", "no.such.error"),
            )
        )
    )
    done, cancelled, unknown = find(shown, "activity").items
    assert f"{NOON.astimezone():%m-%d %H:%M}" in done.label
    assert "https://portal.example.tw" in done.label and "【模擬卡 SIMULATED】用卡片簽章：完成" in done.label
    assert "本機" in cancelled.label and "用卡片登入：已取消輸入 PIN 碼。" in cancelled.label
    assert "no.such.error" in unknown.label
    assert not any(item.enabled for item in (done, cancelled, unknown))


def test_no_activity_says_so() -> None:
    (item,) = find(face(state()), "activity").items
    assert "還沒有紀錄" in item.label


def test_every_error_and_verb_has_words_of_a_bearable_length() -> None:
    from agent.errors import table

    for verb in Verb:
        for result in ("ok", *table()):
            words = icon_states.activity(
                row("https://a-rather-long-name.hospital.example.tw:8443", result, verb)
            )
            assert len(words) <= 150, words
            assert VERB_WORDS[verb][0] in words


def test_text_from_devices_and_pages_cannot_break_the_menu() -> None:
    hostile = "Reader\n\u202eevil\x1b[2J\u200b" + "x" * 500
    shown = face(state(CARD))
    assert icon_states.clean(hostile)[:12] == "Reader��evil�"[:12]
    assert len(icon_states.clean(hostile)) <= 90
    named = face(
        tray_state(
            readers=(reader(CARD, hostile),),
            problems=(TrayProblem(kind=ProblemKind.PORT, detail=hostile),),
            activity=(row(hostile),),
        )
    )
    for item in (*named.menu, *find(named, "activity").items):
        assert not set(item.label) & {"\n", "\u202e", "\x1b", "\u200b"}
    assert len(labels(named)) == len(labels(shown)) + 1


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=[pytest.mark.slow] if size > 32 else []) for size in SIZES]
)
def test_every_picture_looks_different_at_every_size(size: int) -> None:
    """With or without the badges of a problem and of a signing session."""
    both = (False, True)
    drawn = [pixels(*each) for each in product(Picture, both, (size,), both)]
    assert all(len(one) == size * size * 4 for one in drawn)
    assert len(set(drawn)) == len(drawn) == 4 * len(Picture)


@pytest.mark.parametrize("picture", Picture)
def test_pictures_have_clear_corners_and_something_within(picture: Picture) -> None:
    drawn = pixels(picture, False, 32)
    assert drawn[3] == 0 and drawn[-1] == 0
    assert sum(drawn[3::4]) / 255 > 150


def test_the_badge_is_red_with_white_in_it() -> None:
    drawn, side = pixels(Picture.READER, True, 64), 64
    at = lambda x, y: tuple(drawn[(y * side + x) * 4 :][:4])  # noqa: E731
    assert at(36, 18) == (211, 47, 47, 255)
    assert at(46, 14) == (255, 255, 255, 255)


def test_pixels_for_the_bus_have_alpha_first() -> None:
    assert argb(bytes((1, 2, 3, 4, 5, 6, 7, 8))) == bytes((4, 1, 2, 3, 8, 5, 6, 7))


@pytest.mark.parametrize(
    ("days", "told", "marked"),
    [(61, "", False), (45, "還有 45 天到期", False), (13, "還有 13 天到期", True), (0.1, "到期", True)],
)
def test_a_certificate_that_ends_is_told_in_menu_and_tooltip(days: float, told: str, marked: bool) -> None:
    shown = face(state(CARD, cards=(card(ends=in_days(days)),)))
    assert shown.problem is marked
    assert any(told in line for line in shown.tooltip) and bool(told) is (len(shown.tooltip) > 1)
    if not told:
        assert "hca.nat.gov.tw" not in " ".join(labels(shown))
        return
    line = find(shown, f"ends {READER}").label
    assert told in line and ("⚠" in line) is marked
    assert "醫事憑證到期線上插卡換發" in find(shown, f"renew {READER}").label


def test_of_a_certificate_that_is_revoked_nobody_is_told_that_it_ends() -> None:
    shown = face(state(CARD, cards=(card(revoked=True, ends=in_days(10)),)))
    assert "到期" not in " ".join((*labels(shown), *shown.tooltip))


def test_records_that_wait_are_told_with_their_time_and_what_has_them_signed() -> None:
    waiting = TrayQueue(waiting=12, owed=3, due=NOON)
    [row] = [label for label in labels(face(state(CARD, queue=waiting))) if "待簽病歷 12" in label]
    assert (
        "待補簽 3" in row and f"{NOON.astimezone():%m-%d %H:%M}" in row and "12 records wait, 3 owed" in row
    )
    soon = TrayProblem(kind=ProblemKind.RECORDS, detail="2")
    troubled = face(state(CARD, queue=waiting, problems=(soon,)))
    assert troubled.problem
    assert any("期限快到了" in line and "2" in line for line in troubled.tooltip)
    chosen = [item.chosen.choice for item in troubled.menu if item.chosen is not None]
    assert chosen.count(Choice.QUEUE) == 2
    assert Choice.QUEUE not in [item.chosen.choice for item in face(state(CARD)).menu if item.chosen]
    nothing = face(state(CARD, queue=TrayQueue(waiting=0, owed=0)))
    assert Choice.QUEUE not in [item.chosen.choice for item in nothing.menu if item.chosen]
