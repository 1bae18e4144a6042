"""What a trace shows, said as a person would say it, in Chinese and English; nothing of the holder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hca_card.probe import atr as answer_to_reset
from hca_card.probe import masking
from hca_card.probe.names import KNOWN
from hca_card.traces.contents import certificates, contents
from hca_card.traces.dealings import CHANGE, INSTRUCTIONS, INTERNAL_AUTHENTICATE, RESET_RETRY, VERIFY
from hca_card.traces.recorded_card import RecordedCard, RecordedFile
from hca_card.traces.secrets import PinShape
from hca_card.traces.understanding import KeyUsed, PinUsed, Understood

Sentence = tuple[str, str]

_FILES_MOST: Final = 40
_ENCODINGS: Final = {
    "ascii": ("ASCII", "ASCII"),
    "bcd": ("BCD（每位元組兩位數字）", "BCD, two digits a byte"),
    "half-nibble-bcd": ("每位元組一位數字（F0 至 F9）", "one digit a byte, F0 to F9"),
    "iso9564-1": ("ISO 9564 格式 2", "ISO 9564 format 2"),
}
_INPUTS: Final = {
    "DigestInfo": ("DigestInfo，由卡片填補", "a DigestInfo, which the card pads"),
    "digest": ("只有雜湊值", "the bare digest"),
    "block": ("已填補的整個區塊", "the whole block, padded already"),
    "data": ("不認得的資料", "data that is not recognised"),
    "": ("沒有資料", "no data"),
}
_HASHED: Final = ("先前以 PSO: HASH 給的雜湊值", "the digest by PSO: HASH before")


def explain(card: RecordedCard, understood: Understood) -> Iterator[Sentence]:
    """Yield the sentences."""
    yield (f"看到 {understood.commands} 個指令", f"{understood.commands} commands were seen")
    yield _reset(card)
    yield from _applications(card)
    yield from _files(card)
    yield from _pins(understood)
    yield from _keys(understood)
    yield from _secure(understood)
    yield from _others(understood)


def _reset(card: RecordedCard) -> Sentence:
    if not card.atr:
        return (
            "紀錄裡沒有卡片的重置回應（ATR）；可用 --atr 補上，hca-agent card probe 會顯示它",
            "the trace does not tell the answer to reset; give it with --atr, hca-agent card probe shows it",
        )
    facts = answer_to_reset.read(card.atr)
    shown = card.atr.hex(" ").upper()
    return (
        f"卡片的重置回應（ATR）是 {shown}，{' '.join(facts.protocols)}",
        f"its answer to reset is {shown}, {facts.text!r}",
    )


def _applications(card: RecordedCard) -> Iterator[Sentence]:
    if not card.applications:
        yield "沒有以 AID 選取應用程式", "no application was selected by its identifier"
    for aid in card.applications:
        name = KNOWN.get(aid, "")
        shown = f"{aid.hex(' ').upper()}{f' ({name})' if name else ''}"
        yield f"選取了應用程式 {shown}", f"the application {shown} was selected"


def _files(card: RecordedCard) -> Iterator[Sentence]:
    read = [one for one in card.files if one.pieces or one.records]
    for file in read[:_FILES_MOST]:
        content = b"".join(file.records.values()) or file.content
        zh, en = _place(file)
        records = (
            (f"，{len(file.records)} 筆紀錄", f" in {len(file.records)} records")
            if file.records
            else ("", "")
        )
        yield (
            f"讀取了{zh}（{len(content)} 位元組{records[0]}）",
            f"{en} was read, {masking.kind_of(content)}{records[1]}",
        )
    if len(read) > _FILES_MOST:
        more = len(read) - _FILES_MOST
        yield f"還有 {more} 個檔案", f"and {more} more files"
    for key, answer in card.data_objects.items():
        yield (
            f"以 GET DATA（{key.ins:02X}）讀取了物件 {key.tag:04X}（{len(answer)} 位元組）",
            f"the data object {key.tag:04X} was read with GET DATA, {masking.kind_of(answer)}",
        )
    refused = sum(1 for one in card.files if one.refused and not one.pieces and not one.records)
    if refused:
        yield f"有 {refused} 個檔案卡片不讓讀", f"{refused} files may not be read"
    found = certificates(contents(card))
    if found:
        yield f"其中有 {len(found)} 張憑證", f"there are {len(found)} certificates among them"
    else:
        yield "沒有讀到憑證", "no certificate was read"


def _place(file: RecordedFile) -> Sentence:
    if file.path:
        shown = file.path.hex(" ").upper()
        return f"路徑 {shown} 的檔案", f"the file with path {shown}"
    return f"短識別碼 {file.sfi} 的檔案", f"the file with short identifier {file.sfi}"


def _pins(understood: Understood) -> Iterator[Sentence]:
    verified = understood.verified
    sent = [one for one in understood.pins if one.dealing.ins == VERIFY and not one.dealing.empty]
    refused = sum(1 for one in sent if one.dealing.sw is not None and not one.dealing.ok)
    if verified is not None:
        yield _pin(verified)
    elif not any(one.dealing.secure for one in sent):
        yield "沒有看到卡片接受的 PIN", "no PIN that the card took was seen"
    if refused:
        yield f"有 {refused} 次 PIN 被卡片拒絕", f"the card refused a PIN {refused} times"
    if understood.asked_tries:
        yield "不帶資料的 VERIFY 會說出剩餘次數", "VERIFY without data tells the tries left"
    changed = {one.dealing.ins for one in understood.pins}
    if CHANGE in changed:
        yield "也變更了 PIN", "the PIN was changed too"
    if RESET_RETRY in changed:
        yield "也用解鎖碼重設了 PIN", "the PIN was reset with the resetting code too"


def _pin(used: PinUsed) -> Sentence:
    dealing = used.dealing
    header, reference = dealing.header.hex(" ").upper(), f"{dealing.header[3]:02X}"
    zh, en = _shape(dealing.shape)
    by = ("由讀卡機的鍵盤", "by the reader's keypad") if dealing.keypad else ("由電腦", "by the computer")
    return (
        f"PIN {by[0]}以 {header} 送出（參照 {reference}），{zh}；PIN 本身沒有留下",
        f"the PIN was sent {by[1]} with {header} (reference {reference}), {en}; the PIN itself is not kept",
    )


def _shape(shape: PinShape | None) -> Sentence:
    if shape is None:
        return "編碼方式不明，可能已加密", "in a way that is not known, encrypted perhaps"
    zh, en = _ENCODINGS.get(str(shape.encoding), (str(shape.encoding), str(shape.encoding)))
    if shape.stored_length:
        return (
            f"{zh}，以 {shape.pad:02X} 補到 {shape.stored_length} 位元組",
            f"{en}, padded with {shape.pad:02X} to {shape.stored_length} bytes",
        )
    if shape.full:
        return f"{zh}；填滿了，看不出如何填補", f"{en}; it fills the block, so that padding does not show"
    return f"{zh}，沒有填補", f"{en}, not padded"


def _keys(understood: Understood) -> Iterator[Sentence]:
    if not understood.keys:
        yield "沒有看到簽章或解密", "nothing was signed or deciphered"
    told: set[Sentence] = set()
    for used in understood.keys:
        sentence = _key(used)
        if sentence not in told:
            told.add(sentence)
            yield sentence


def _key(used: KeyUsed) -> Sentence:
    chosen, work = used.chosen, used.work.header.hex(" ").upper()
    how = ("不必選", "without being chosen")
    if chosen is not None:
        shown = f"{chosen.header.hex(' ')} {chosen.data.hex(' ')}".strip().upper()
        how = (f"以 {shown} 選用", f"chosen with {shown}")
    if not used.signs:
        return (
            f"解密的金鑰{how[0]}，再以 {work} 解密",
            f"the key to decipher is {how[1]} and used with {work}",
        )
    zh, en = _HASHED if used.hashed else _INPUTS[used.work.input]
    verb = ("驗證", "authenticates") if used.work.ins == INTERNAL_AUTHENTICATE else ("簽章", "signs")
    pieces = used.work.piece
    cut = (f"，分段每段 {pieces} 位元組", f", in pieces of {pieces} bytes") if pieces else ("", "")
    return (
        f"{verb[0]}的金鑰{how[0]}，再以 {work} {verb[0]}，給它的是{zh}{cut[0]}",
        f"the key that {verb[1]} is {how[1]}, used with {work} and given {en}{cut[1]}",
    )


def _secure(understood: Understood) -> Iterator[Sentence]:
    count = sum(understood.secure.values())
    if count:
        names = _names(understood.secure)
        yield (
            f"有 {count} 個指令在安全訊息之下（{names}）：金鑰是製造者的，請改用原廠 PKCS#11 模組",
            f"{count} commands are under secure messaging ({names}), whose keys are the maker's: "
            "out of reach, use the maker's PKCS#11 module for them",
        )


def _others(understood: Understood) -> Iterator[Sentence]:
    others = {ins: count for ins, count in understood.others.items() if count}
    if others:
        names = _names(others)
        yield f"另有本程式用不到的指令：{names}", f"there are other commands, which are not needed: {names}"


def _names(counted: dict[int, int]) -> str:
    return ", ".join(
        f"{INSTRUCTIONS.get(ins, 'INS')} {ins:02X} ×{count}" for ins, count in sorted(counted.items())
    )
