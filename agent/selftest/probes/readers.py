"""Host rows about readers: the smart card service, readers and what is in them; never a command to a card."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from agent.errors import ErrorId
from agent.operations import ReaderCondition, ReaderView
from agent.operations.readers import is_built_in, is_virtual
from agent.selftest.context import ProbeContext
from agent.selftest.model import (
    Bilingual,
    Finding,
    RowStatus,
    Trouble,
    failed,
    passed,
    probe,
    skipped,
    warned,
)
from agent.selftest.reader_advice import SLOT_WORDS, Slot, advice, known_readers, label, slot_of
from hca_card.atr_hints import only_kinds
from hca_card.model import CardKind
from pcsc.errors import PcscError, ServiceUnavailableError

_CONDITIONS: Final = {
    ReaderCondition.EMPTY: ("沒有卡片", "empty"),
    ReaderCondition.CARD: ("有卡片", "a card"),
    ReaderCondition.MUTE: ("卡片沒有反應", "a card that does not answer"),
    ReaderCondition.BUSY: ("被其他程式獨占", "held by another program"),
    ReaderCondition.UNNAMEABLE: ("名稱含有特殊字元，無法使用", "its name cannot be used here"),
    ReaderCondition.UNAVAILABLE: ("無法使用", "unavailable"),
}


_OF_HCA: Final = frozenset((CardKind.PERSONNEL, CardKind.INSTITUTION, CardKind.INSTITUTION_SECONDARY))


@probe("host.service", "智慧卡服務", "Smart card service")
async def service(context: ProbeContext) -> Finding:
    """Check that the smart card service runs."""
    try:
        await asyncio.to_thread(_open_and_close, context)
    except PcscError as error:
        return failed(error, *_why_no_service(context, error))
    return passed("執行中", "running")


def _open_and_close(context: ProbeContext) -> None:
    context.computer.service.context().close()


def _why_no_service(context: ProbeContext, error: PcscError) -> tuple[str, str]:
    if type(error) is not ServiceUnavailableError:
        return "", ""  # the sentence says it
    if context.computer.platform == "linux" and context.computer.find("pcscd") is None:
        return "沒有安裝 pcscd", "pcscd is not installed"
    return "沒有回應", "no answer"


@probe("host.readers", "讀卡機", "Card readers", needs=("host.service",))
async def readers(context: ProbeContext) -> Finding:
    """List every reader that could be used, with its driver, its card and the card's ATR."""
    found = [view for view in await context.operations.readers(context.caller) if not is_built_in(view.name)]
    if not found:
        return failed(ErrorId.READER_NONE)
    words = [_words(context, view) for view in found]
    zh, en = "；".join(zh for zh, _ in words), "; ".join(en for _, en in words)
    cards = [view for view in found if view.condition is ReaderCondition.CARD]
    real = [view for view in cards if not view.virtual] or cards
    if len(real) > 1 and context.reader is None:
        return warned(ErrorId.CARD_AMBIGUOUS, zh, en)
    unnameable = [view for view in found if view.condition is ReaderCondition.UNNAMEABLE]
    if len(unnameable) == len(found):
        return failed(ErrorId.READER_NAME, zh, en)
    if unnameable and not cards:
        return warned(ErrorId.READER_NAME, zh, en)
    if not any(view.condition is not ReaderCondition.EMPTY for view in found):
        return warned(ErrorId.CARD_NONE, zh, en)
    if any(_wrong_slot(context, view) for view in found):
        return warned(ErrorId.READER_SLOT, zh, en)
    if any(view.keypad_failed for view in found):
        return warned(ErrorId.READER_KEYPAD, zh, en)
    return passed(zh, en)


@probe("host.usb", "USB 讀卡機", "USB readers", needs=("host.service",))
async def on_usb(context: ProbeContext) -> Finding:
    """Compare the readers that are plugged in with those that the service has, and say what to do."""
    found = await asyncio.to_thread(context.computer.usb, frozenset(known_readers()))
    if not found:
        return skipped("沒有看到 USB 讀卡機", "no reader was seen on USB")
    names = Bilingual("；".join(map(label, found)), "; ".join(map(label, found)))
    views = await context.operations.readers(context.caller)
    listed = [view.name for view in views if not view.virtual]
    troubles = advice(found, listed, context.computer.platform)
    if not troubles:
        return Finding(RowStatus.PASS, names)
    step = Bilingual(
        "；".join(f"{each.reader}：{each.next.zh}" for each in troubles),
        " ".join(f"{each.reader}: {each.next.en}" for each in troubles),
    )
    trouble = replace(Trouble.of(ErrorId.READER_DRIVER), next=step, page=None)
    # Where another one can be used, nobody's work is stopped.
    return Finding(RowStatus.WARN if listed else RowStatus.FAIL, names, trouble=trouble)


def _wrong_slot(context: ProbeContext, view: ReaderView) -> bool:
    """Return whether an NHI reader's slot has a card that is known to belong into the other one."""
    slot = slot_of(view.name)
    if slot is None or view.condition is not ReaderCondition.CARD:
        return False
    known = {card.reader: card.kind for card in context.operations.activity.cards}
    kinds = {known[view.name]} if view.name in known else (only_kinds(view.atr) or ())
    other = {CardKind.NHI} if slot is Slot.PROFESSIONAL else _OF_HCA
    return bool(kinds) and other.issuperset(kinds)


def _words(context: ProbeContext, view: ReaderView) -> tuple[str, str]:
    zh, en = _CONDITIONS[view.condition]
    slot = slot_of(view.name)
    if slot is not None:
        of_zh, of_en = SLOT_WORDS[slot]
        zh, en = f"{of_zh}，{zh}", f"{of_en}, {en}"
    driver = context.computer.driver(view.name)
    label = f"{view.name} [{driver}]" if driver else view.name
    atr = f" ATR {view.atr.hex(' ').upper()}" if view.atr else ""
    if view.module:
        return f"{label}：{zh}{atr}，由 {view.module} 服務", f"{label}: {en}{atr}, served by {view.module}"
    return f"{label}：{zh}{atr}", f"{label}: {en}{atr}"


@probe("host.exclusive", "其他程式獨占卡片", "Exclusive use", needs=("host.service",))
async def exclusive(context: ProbeContext) -> Finding:
    """Find cards that another program keeps for itself."""
    busy = [
        view.name
        for view in await context.operations.readers(context.caller)
        if view.condition is ReaderCondition.BUSY
    ]
    if busy:
        return failed(ErrorId.READER_BUSY, "、".join(busy), ", ".join(busy))
    return passed("沒有程式獨占卡片", "no program holds a card exclusively")


@probe("host.virtual", "虛擬讀卡機", "Virtual readers", needs=("host.service",))
async def set_aside(context: ProbeContext) -> Finding:
    """List readers that are no device: Windows' own are never used, others only without a real one."""
    views = await context.operations.readers(context.caller)
    built_in = [view.name for view in views if is_built_in(view.name)]
    virtual = [view.name for view in views if is_virtual(view.name) and view.name not in built_in]
    zh = [f"已略過 {name}" for name in built_in] + [f"{name} 只在沒有真的讀卡機時使用" for name in virtual]
    en = [f"{name} is set aside" for name in built_in]
    en += [f"{name} is used only where there is no real reader" for name in virtual]
    return passed("；".join(zh), "; ".join(en)) if zh else passed("沒有虛擬讀卡機", "no virtual reader")


@probe("host.remote", "遠端桌面", "Remote session")
async def remote(context: ProbeContext) -> Finding:
    """Find out whether the person sits at another computer, whose reader must be redirected."""
    known = context.computer.environment
    # Windows names the session of a remote desktop RDP-Tcp#n; xrdp sets a variable of its own.
    if known.get("SESSIONNAME", "").upper().startswith("RDP-") or "XRDP_SESSION" in known:
        return warned(ErrorId.SESSION_REMOTE, "遠端桌面", "remote desktop")
    if "SSH_CONNECTION" in known:
        return passed("SSH 連線：使用這台電腦的讀卡機", "SSH: the readers are this computer's")
    return passed("在本機使用", "at this computer itself")


PROBES: Final = (
    service,
    readers,
    on_usb,
    exclusive,
    set_aside,
    remote,
)
