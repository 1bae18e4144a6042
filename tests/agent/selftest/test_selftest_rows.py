"""The rows of the HCA page on every kind of card, asserted row by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from agent.interaction import PinQuestion, Question
from agent.interaction.scripted import GivenPin, Headless, ScriptedInteraction
from agent.selftest.probes.card import HCA_ROWS, NHI_ROWS, PIN_ROW
from agent.selftest.schema import ok
from hca_card.pin import Pin
from tests.support.cards import simulated
from tests.support.operations import World
from tests.support.selftest import context_of, not_passed, row_of, rows_of, selftest_world, short

HCA_TITLES = [
    "安全模組環境", "初始化", "開啟SESSION", "卡片版本", "卡片類別", "卡片基本資料", "卡片序號", "卡片資訊",
    "簽章", "驗章", "公鑰加密", "私鑰解密", "關閉SESSION", "關閉密碼模組",
]  # fmt: skip
NHI_TITLES = [
    "安全模組環境", "開啟讀卡機通訊埠", "卡片基本資料", "卡片資訊", "卡片類別", "卡片序號", "驗PIN碼",
    "取憑證", "簽章", "驗章", "公鑰加密", "私鑰解密", "關閉讀卡機通訊埠",
]  # fmt: skip

NO_SESSION = {9: "because 3", 10: "because 3", 12: "because 3", 13: "because 3"}
ALL_BUT_THE_FIRST = dict.fromkeys(range(3, 15), "because 2")
KINDS = {
    "hpc": {},
    "hop": {},
    "hop-secondary": {},
    "hpc-revoked": {},
    "hpc-last-try": {},
    "nhi": {3: "fail card.unsupported", 4: "skip", 8: "skip", 11: "skip", **NO_SESSION},
    "nhi-new": {3: "fail card.unsupported", 4: "skip", 8: "skip", 11: "skip", **NO_SESSION},
    "citizen": {4: "skip", 8: "skip"},
    "hpc-locked": {3: "fail pin.locked", **NO_SESSION},
    "hpc-expired": {9: "fail certificate.expired", 10: "because 9"},
    "hpc-v1": {11: "fail card.object_missing", 12: "because 11"},
    "hpc-not-activated": {3: "fail card.not_activated", 8: "fail card.not_activated", **NO_SESSION},
    "hpc-terminated": {3: "fail card.terminated", 8: "fail card.terminated", **NO_SESSION},
    "hpc-mute": {2: "fail card.mute", **ALL_BUT_THE_FIRST},
    "hpc-hostile": {
        6: "fail card.malformed", 8: "fail card.malformed", 9: "fail certificate.malformed", 10: "because 9",
        11: "fail card.malformed", 12: "because 11",
    },
}  # fmt: skip


def test_the_rows_are_those_of_the_hca_page_in_its_order_and_words() -> None:
    assert [(probe.number, probe.title.zh) for probe in HCA_ROWS] == list(enumerate(HCA_TITLES, 1))
    assert [(probe.number, probe.title.zh) for probe in NHI_ROWS] == list(enumerate(NHI_TITLES, 1))


@pytest.mark.parametrize(("kind", "expected"), KINDS.items(), ids=list(KINDS))
async def test_exactly_the_right_rows_do_not_pass(
    tmp_path: Path, kind: str, expected: dict[int, str]
) -> None:
    async with selftest_world(tmp_path, kind) as world:
        rows = await rows_of(context_of(world))
    assert not_passed(rows) == expected
    assert [row.title.zh for row in rows] == HCA_TITLES
    # What its kind does not have is no fault of a card.
    assert ok(rows) is (set(expected.values()) <= {"skip"})


async def test_a_torn_card_fails_where_its_answers_are_long_and_nowhere_else(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc-torn") as world:
        told = not_passed(await rows_of(context_of(world)))
    # Where the cut falls decides whether what is left looks like a status word or like nothing at all.
    cut = ("fail card.malformed", "fail card.status")
    assert all(told.pop(row) in cut for row in (6, 9, 11))
    assert told == {10: "because 9", 12: "because 11"}


@pytest.mark.slow
async def test_a_slow_card_passes(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc-slow") as world:
        assert not_passed(await rows_of(context_of(world))) == {}


@pytest.mark.parametrize("kind", ["hpc", "hop", "hop-secondary", "hpc-revoked"])
async def test_the_thirteen_rows_of_the_nhi_reader_pass(tmp_path: Path, kind: str) -> None:
    async with selftest_world(tmp_path, kind) as world:
        rows = await rows_of(context_of(world), NHI_ROWS)
    assert not_passed(rows) == {} and len(rows) == 13 and ok(rows)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("hpc-locked", {7: "fail pin.locked", 9: "because 7", 10: "because 7", 12: "because 7"}),
        ("hpc-mute", {2: "fail card.mute", **dict.fromkeys(range(3, 14), "because 2")}),
        ("hpc-v1", {11: "fail card.object_missing", 12: "because 11"}),
    ],
)
async def test_the_nhi_reader_rows_fail_where_they_must(
    tmp_path: Path, kind: str, expected: dict[int, str]
) -> None:
    async with selftest_world(tmp_path, kind) as world:
        assert not_passed(await rows_of(context_of(world), NHI_ROWS)) == expected


async def test_the_words_of_success_are_those_of_the_hca_page(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        said = {row.number: row.detail.zh for row in await rows_of(context_of(world))}
    assert said[2] == "初始化成功"
    assert said[3] == "開啟成功"
    assert said[4] == "卡片版本為:2"
    assert said[5] == "醫事人員卡"
    assert said[6] == (
        "醫事人員中文姓名：測試人員卡；醫事人員英文姓名：TEST CARD；醫事人員性別：M；"
        "醫事人員出生日期：0650101；醫事人員身份證號：BA00312361；醫事人員類別：A 西醫師"
    )
    assert said[7] == "000000335361"
    assert said[8] == (
        "卡片支援產生RSA金鑰：是；卡片發行日期：1120628；卡片有效日期啟始日：1120628；"
        "卡片有效日期結束日：1220628；卡片狀態：已開卡 Card on use"
    )
    assert {said[number] for number in (9, 10, 11, 12, 14)} == {"成功"}
    assert said[13] == "關閉成功"


async def test_an_institution_shows_its_eight_fields_in_order(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hop") as world:
        rows = await rows_of(context_of(world))
    assert rows[4].detail.zh == "醫事機構卡"
    assert [field.split("：")[0] for field in rows[5].detail.zh.split("；")] == [
        "醫事機構代碼", "醫事機構名稱", "卡次", "醫事機構種類", "醫事機構類型", "醫事機構地址",
        "醫事機構聯絡電話", "醫事機構擁有者",
    ]  # fmt: skip


async def test_a_wrong_pin_costs_exactly_one_try_and_the_rest_still_runs(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc", interaction=ScriptedInteraction(pins=["999999"])) as world:
        rows = await rows_of(context_of(world))
        assert world.tries == 2
    assert not_passed(rows) == {3: "fail pin.wrong", **NO_SESSION}
    assert rows[2].error is not None and "還可以再試 2 次" in rows[2].error.text.zh


async def test_the_tries_left_are_shown_before_the_pin_is_asked(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc-last-try") as world:
        context = context_of(world)
        row = await row_of(context, "card.pin", [PIN_ROW])
        assert world.pins_asked() == []
        assert short(row) == "warn pin.tries_used" and "1 次" in row.detail.zh
        await rows_of(context)
        (asked,) = world.pins_asked()
        assert asked.status.tries_left == 1


class _SaysNo(ScriptedInteraction):
    """A person who is told that this is the last try, and does not say yes."""

    async def ask(self, question: Question[Any]) -> Any:
        if not isinstance(question, PinQuestion):
            return await super().ask(question)
        assert question.status.last_try
        return None


@pytest.mark.parametrize(
    ("person", "expected"),
    [(_SaysNo, "skip pin.cancelled"), (lambda: GivenPin(Pin("123456")), "fail pin.last_try")],
)
async def test_the_last_try_is_never_spent_without_an_extra_yes(
    tmp_path: Path, person: Callable[[], Headless], expected: str
) -> None:
    async with selftest_world(tmp_path, "hpc-last-try", interaction=person()) as world:
        rows = await rows_of(context_of(world))
        assert world.tries == 1
    assert not_passed(rows) == {3: expected, **NO_SESSION}


async def test_without_anybody_to_ask_the_rows_that_need_no_pin_still_run(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc", interaction=Headless()) as world:
        rows = await rows_of(context_of(world))
        assert world.tries == 3
    assert not_passed(rows) == {3: "skip pin.unavailable", **NO_SESSION}
    assert rows[2].detail.zh == "沒有輸入 PIN 碼"


async def test_a_chosen_run_without_pin_asks_nobody(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        context = context_of(world)
        context.with_pin = False
        rows = await rows_of(context)
        assert world.pins_asked() == []
    assert not_passed(rows) == {3: "skip", **NO_SESSION}


async def test_the_pin_is_asked_once_and_forgotten_at_the_end(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        context = context_of(world)
        await rows_of(context)
        assert len(world.pins_asked()) == 1
        assert context.kept is not None and context.kept.wiped


class _Pulled:
    """A card that is pulled out while it answers a command that begins so."""

    def __init__(self, world: World, head: bytes) -> None:
        self._card, self._reader, self._head = world.card, world.reader, head

    def power_on(self) -> bytes:
        return self._card.power_on()

    def power_off(self) -> None:
        self._card.power_off()

    def transmit(self, command: bytes) -> bytes:
        if command.startswith(self._head):
            self._reader.remove()
            return b""
        return self._card.transmit(command)


READ_BASIC_DATA, SIGN, DECIPHER = (
    bytes.fromhex("00B083"),
    bytes.fromhex("002A9E9A"),
    bytes.fromhex("002A8086"),
)


@pytest.mark.parametrize(
    ("head", "row", "skipped"),
    [
        (READ_BASIC_DATA, 6, (7, 8, 9, 11, 12, 13)),
        (SIGN, 9, (11, 12, 13)),
        (DECIPHER, 12, (13,)),
    ],
)
async def test_a_card_pulled_half_way_fails_its_row_and_no_later_one_is_tried(
    tmp_path: Path, head: bytes, row: int, skipped: tuple[int, ...]
) -> None:
    async with selftest_world(tmp_path, "hpc") as world:
        world.reader.remove()
        world.reader.insert(_Pulled(world, head))
        rows = await rows_of(context_of(world))
    expected = {row: "fail card.removed", **dict.fromkeys(skipped, f"because {row}")}
    if row <= 9:
        expected[10] = f"because {row}" if row == 9 else "because 6"
    assert not_passed(rows) == expected


async def test_another_card_put_in_half_way_is_not_taken_for_the_first(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc") as world:

        class Swapped(_Pulled):
            def transmit(self, command: bytes) -> bytes:
                if command.startswith(self._head):
                    self._reader.remove()
                    self._reader.insert(simulated("hop"))
                    return b""
                return self._card.transmit(command)

        world.reader.remove()
        world.reader.insert(Swapped(world, SIGN))
        rows = await rows_of(context_of(world))
    assert short(rows[8]) == "fail card.removed"
    assert all(short(row) in ("pass", "because 9") for row in rows[9:])


async def test_a_reader_that_is_named_is_the_one_that_is_tested(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc", "hop") as world:
        context = context_of(world)
        context.reader = world.readers[1].name
        rows = await rows_of(context)
    assert rows[4].detail.zh == "醫事機構卡"


async def test_two_cards_and_nobody_to_choose_is_told_in_row_two(tmp_path: Path) -> None:
    async with selftest_world(tmp_path, "hpc", "hop", interaction=Headless()) as world:
        assert not_passed(await rows_of(context_of(world))) == {2: "fail card.ambiguous", **ALL_BUT_THE_FIRST}


async def test_a_pin_pad_is_typed_on_for_each_row_that_needs_the_pin(tmp_path: Path) -> None:
    typed: list[object] = []

    def keypad(entry: object) -> bytes:
        typed.append(entry)
        return b"123456"

    async with selftest_world(tmp_path, "hpc", keypad=keypad, config=Config()) as world:
        context = context_of(world)
        assert not_passed(await rows_of(context)) == {}
        assert context.kept is None
    assert len(typed) == 3
