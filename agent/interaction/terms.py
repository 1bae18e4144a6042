"""What a signing session is, in two sentences: who may sign how much for how long, and what ends it."""

from __future__ import annotations

from typing import Final

from agent.interaction import SessionTerms

_HOUR: Final = 60


def terms_words(terms: SessionTerms, who_zh: str, who_en: str, *, page: bool) -> tuple[str, str]:
    """Return both sentences, in each language.

    Args:
        terms: what the person is asked to agree to.
        who_zh: who asks, as a sentence can begin with it.
        who_en: the same in English.
        page: whether a page asks, whose end is an end of it too.
    """
    time_zh, time_en = _duration(terms.seconds)
    count, plural = f"{terms.most:,}", "" if terms.most == 1 else "s"
    what_zh, what_en = f"最多可以簽 {count} 份", f"make up to {count} signature{plural}"
    if terms.items:
        what_zh, what_en = f"可以簽列出的 {count} 份文件", f"sign the {count} listed document{plural}"
    page_zh, page_en = ("、關閉網頁", ", close the page") if page else ("", "")
    return (
        f"輸入一次 PIN 碼後，{who_zh}在 {time_zh}內{what_zh}，每一份都等同您的簽名。"
        f"拔出卡片、鎖定螢幕{page_zh}，或在本程式的圖示選單按「停止」，就立刻結束。",
        f"With one PIN {who_en} may {what_en} within {time_en}, and each counts as yours. It ends at once"
        f" when you pull the card, lock the screen{page_en} or choose Stop in the menu of this program's"
        " icon.",
    )


def _duration(seconds: int) -> tuple[str, str]:
    minutes = max(1, round(seconds / 60))
    if minutes >= _HOUR and minutes % _HOUR == 0:
        hours = minutes // _HOUR
        return f"{hours} 小時", f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{minutes} 分鐘", f"{minutes} minute{'' if minutes == 1 else 's'}"
