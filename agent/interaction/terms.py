"""What a signing session is, in two sentences: who may sign how much for how long, and what ends it."""

from __future__ import annotations

from typing import Final

from agent.interaction import SessionTerms

_HOUR: Final = 60


def terms_words(terms: SessionTerms, who_zh: str, who_en: str, *, page: bool, icon: bool) -> tuple[str, str]:
    """Return both sentences, in each language.

    Args:
        terms: what the person is asked to agree to.
        who_zh: who asks, as a sentence can begin with it.
        who_en: the same in English.
        page: whether a page asks; otherwise it is this person's own program.
        icon: whether there is an icon whose menu can stop it.
    """
    time_zh, time_en = _duration(terms.seconds)
    count, plural = f"{terms.most:,}", "" if terms.most == 1 else "s"
    what_zh, what_en = f"最多可以簽 {count} 份", f"make up to {count} signature{plural}"
    if terms.items:
        what_zh, what_en = f"可以簽列出的 {count} 份文件", f"sign the {count} listed document{plural}"
    ends_zh, ends_en = ["拔出卡片", "鎖定螢幕"], ["pull the card", "lock the screen"]
    later_zh = later_en = ""
    if not page:
        ends_zh.append("結束那個程式")
        ends_en.append("end that program")
    else:
        later_zh, later_en = "；關閉網頁後不久也會結束", ", and soon after you close the page"
        if icon:
            ends_zh.append("在圖示選單按「停止」")
            ends_en.append("choose Stop in the icon's menu")
    return (
        f"輸入一次 PIN 碼後，{who_zh}在 {time_zh}內{what_zh}，每一份都等同您的簽名。"
        f"{'、'.join(ends_zh[:-1])}或{ends_zh[-1]}，就立刻結束{later_zh}。",
        f"With one PIN {who_en} may {what_en} within {time_en}, and each counts as yours. It ends at once"
        f" when you {', '.join(ends_en[:-1])} or {ends_en[-1]}{later_en}.",
    )


def _duration(seconds: int) -> tuple[str, str]:
    minutes = max(1, round(seconds / 60))
    if minutes >= _HOUR and minutes % _HOUR == 0:
        hours = minutes // _HOUR
        return f"{hours} 小時", f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{minutes} 分鐘", f"{minutes} minute{'' if minutes == 1 else 's'}"
