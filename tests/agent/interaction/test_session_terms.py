"""The two sentences before the PIN of a signing session."""

from __future__ import annotations

import pytest

from agent.interaction import ItemShown, SessionTerms
from agent.interaction.terms import terms_words

ITEMS = tuple(ItemShown(f"{number}.xml", 1, "emr", bytes(32)) for number in range(1200))


@pytest.mark.parametrize(
    ("terms", "page", "icon", "zh", "en"),
    [
        (
            SessionTerms("1", 250, 1800),
            True,
            True,
            "輸入一次 PIN 碼後，甲在 30 分鐘內最多可以簽 250 份，每一份都等同您的簽名。"
            "拔出卡片、鎖定螢幕或在圖示選單按「停止」，就立刻結束；關閉網頁後不久也會結束。",
            "With one PIN A may make up to 250 signatures within 30 minutes, and each counts as yours."
            " It ends at once when you pull the card, lock the screen or choose Stop in the icon's menu,"
            " and soon after you close the page.",
        ),
        (
            SessionTerms("1", len(ITEMS), 24 * 3600, ITEMS),
            False,
            True,
            "輸入一次 PIN 碼後，甲在 24 小時內可以簽列出的 1,200 份文件，每一份都等同您的簽名。"
            "拔出卡片、鎖定螢幕或結束那個程式，就立刻結束。",
            "With one PIN A may sign the 1,200 listed documents within 24 hours, and each counts as yours."
            " It ends at once when you pull the card, lock the screen or end that program.",
        ),
        (
            SessionTerms("1", 1, 60),
            True,
            False,
            "輸入一次 PIN 碼後，甲在 1 分鐘內最多可以簽 1 份，每一份都等同您的簽名。"
            "拔出卡片或鎖定螢幕，就立刻結束；關閉網頁後不久也會結束。",
            "With one PIN A may make up to 1 signature within 1 minute, and each counts as yours."
            " It ends at once when you pull the card or lock the screen, and soon after you close the page.",
        ),
    ],
)
def test_they_say_who_how_many_how_long_and_when_it_ends(
    terms: SessionTerms, page: bool, icon: bool, zh: str, en: str
) -> None:
    assert terms_words(terms, "甲", "A", page=page, icon=icon) == (zh, en)
    assert zh.count("。") == 2
    assert en.count(". ") == 1
