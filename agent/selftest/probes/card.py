"""The rows of the HCA check page, in its order and its words; each does its own work with the card."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from agent import __version__
from agent.errors import AgentError, ErrorId, error_id
from agent.masking import mask_card
from agent.operations.readers import is_virtual
from agent.operations.transaction_jobs import Examined
from agent.selftest.card_values import holder_values, info_text, texts
from agent.selftest.context import ProbeContext
from agent.selftest.model import (
    Bilingual,
    Finding,
    Probe,
    RowStatus,
    Run,
    absent,
    failed,
    passed,
    skipped,
    warned,
)
from agent.vocabulary import KIND_WORDS
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.errors import CardChangedError, NotActivatedError, ObjectMissingError, TerminatedError
from hca_card.hca import HcaCard
from hca_card.model import Card, CardInfo, CardKind, Holder, KeyUse
from signing.errors import CipherInvalidError
from signing.hashes import Hash

T = TypeVar("T")

SLOW_SECONDS: Final = 0.1
"""For one short command; a USB reader and its card take 5 to 40 ms, and logging in takes ten."""

_UNASKED: Final = frozenset((ErrorId.PIN_CANCELLED, ErrorId.PIN_UNAVAILABLE))


async def module(_context: ProbeContext) -> Finding:
    """Fill the row 安全模組環境: who we are."""
    return passed(f"HCA Card Agent {__version__}")


async def initialise(context: ProbeContext) -> Finding:
    """Fill the row 初始化: choose reader and card, and see whether this kind of card is known."""
    context.card = await context.operations.examine(context.caller, _nothing, reader=context.reader)
    context.simulated = context.computer.simulated or is_virtual(context.card.reader)
    return passed("初始化成功", "initialised")


async def pin_left(context: ProbeContext) -> Finding:
    """Fill the row PIN 碼可試次數 before anybody is asked for a PIN; no try is spent."""
    try:
        status = await context.operations.pin_status(context.caller, context.reader)
    except Exception as error:
        return _see_below(error)
    left = status.tries_left
    if status.locked:
        return failed(ErrorId.PIN_LOCKED, "還可以試 0 次", "0 tries left")
    if left is None:
        return passed("卡片不告知還可以試幾次", "the card does not tell how many tries are left")
    zh, en = f"還可以試 {left} 次", f"{left} {'try' if left == 1 else 'tries'} left"
    return warned(ErrorId.PIN_TRIES_USED, zh, en) if left < 3 else passed(zh, en)


async def speed(context: ProbeContext) -> Finding:
    """Measure how long the card takes for one short command."""
    try:
        found = await context.operations.examine(context.caller, _time_of_one_command, reader=context.reader)
    except Exception as error:
        return _see_below(error)
    took = round(found.result * 1000)
    zh, en = f"一個指令 {took} 毫秒", f"{took} ms for one command"
    return warned(ErrorId.CARD_SLOW, zh, en) if found.result >= SLOW_SECONDS else passed(zh, en)


def _time_of_one_command(card: Card) -> float:
    """Return the seconds that asking for the tries left takes, the quickest time of three."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        card.pin_status()
        times.append(time.perf_counter() - begun)
    return min(times)


def _see_below(error: Exception) -> Finding:
    """Return why the PIN cannot be looked at, shortly: other rows say it in full."""
    if error_id(error) in (ErrorId.CARD_UNSUPPORTED, ErrorId.CARD_HICOS_MODULE):
        return skipped(
            "這種卡片沒有本程式能用的 PIN 碼", "this kind of card has no PIN that can be used here"
        )
    return skipped(
        "讀不到卡片的 PIN 碼狀態，原因見檢測結果", "the PIN cannot be looked at; the results say why"
    )


async def open_session(context: ProbeContext) -> Finding:
    """Fill the row 開啟SESSION: the PIN is asked and verified once."""
    if not context.with_pin:
        return skipped("選擇了不輸入 PIN 碼", "chosen to go without a PIN")
    try:
        context.kept = await context.operations.keep_pin(context.caller, None, reader=_card(context).reader)
    except AgentError as error:
        if error.error_id not in _UNASKED:
            raise
        return skipped("沒有輸入 PIN 碼", "no PIN was entered", error.error_id)
    return passed("開啟成功", "opened")


async def version(context: ProbeContext) -> Finding:
    """Fill the row 卡片版本."""
    value = await read(context, lambda card: card.version if isinstance(card, HcaCard) else "")
    return passed(f"卡片版本為:{value}", f"the card's version is {value}") if value else absent()


async def kind(context: ProbeContext) -> Finding:
    """Fill the row 卡片類別."""
    return passed(*KIND_WORDS[await read(context, lambda card: card.kind)])


async def holder(context: ProbeContext) -> Finding:
    """Fill the row 卡片基本資料."""
    value = await read(context, _holder)
    if value is None:
        return absent()
    detail, masked = texts(holder_values(value))
    return Finding(RowStatus.PASS, detail, masked)


async def serial(context: ProbeContext) -> Finding:
    """Fill the row 卡片序號."""
    value = await read(context, lambda card: card.serial)
    return passed(value, masked=Bilingual(mask_card(value)))


async def info(context: ProbeContext) -> Finding:
    """Fill the row 卡片資訊; a card that has ended or was never activated fails here."""
    value = await read(context, _info)
    if value is None:
        return absent()
    detail = info_text(value)
    if value.terminated:
        return failed(TerminatedError(), detail.zh, detail.en)
    if not value.activated:
        return failed(NotActivatedError(), detail.zh, detail.en)
    return passed(detail.zh, detail.en)


async def certificate(context: ProbeContext) -> Finding:
    """Fill the row 取憑證 of the NHI-reader variant."""
    from hca_card.certificate import describe

    index = CERTIFICATE_INDEX[KeyUse.SIGNATURE]
    facts = describe(await read(context, lambda card: card.certificate(index).der))
    return passed(f"憑證序號 {facts.serial_hex}", f"certificate number {facts.serial_hex}")


async def sign(context: ProbeContext) -> Finding:
    """Fill the row 簽章."""
    context.document = f"HCA Card Agent self-test {context.computer.clock().isoformat()}".encode()
    context.signature = await context.operations.sign(
        context.caller,
        Hash.SHA_256,
        document=context.document,
        reader=_card(context).reader,
        kept=context.kept,
    )
    return passed("成功", "done")


async def verify(context: ProbeContext) -> Finding:
    """Fill the row 驗章: with the certificate, without the card."""
    made = context.signature
    if made is None:
        raise AgentError(ErrorId.INTERNAL)
    await context.operations.verify(context.document, made.signature, made.certificate, made.hash)
    return passed("成功", "done")


async def encrypt(context: ProbeContext) -> Finding:
    """Fill the row 公鑰加密: to the card's encryption certificate."""
    if _card(context).kind is CardKind.NHI:
        return absent()
    der = await read(context, _encryption_certificate)
    if der is None:
        return skipped(
            "卡片的金鑰是橢圓曲線，不做 RSA 加解密",
            "the card's key is on an elliptic curve, and RSA is what this row encrypts with",
        )
    context.plain = b"HCA Card Agent self-test"
    context.cipher = await context.operations.encrypt(context.caller, context.plain, certificate=der)
    return passed("成功", "done")


async def decrypt(context: ProbeContext) -> Finding:
    """Fill the row 私鑰解密: what comes back must be what was encrypted."""
    plain = await context.operations.decrypt(
        context.caller, context.cipher, reader=_card(context).reader, kept=context.kept
    )
    if plain != context.plain:
        raise CipherInvalidError
    return passed("成功", "done")


async def close_session(context: ProbeContext) -> Finding:
    """Fill the row 關閉SESSION: forget the PIN, and see that the card is the one it was used on."""
    context.close()
    await read(context, _nothing)
    return passed("關閉成功", "closed")


async def close_module(context: ProbeContext) -> Finding:
    """Fill the last row: the smart card service still answers, as every program after us expects."""
    await context.operations.readers(context.caller)
    return passed("成功", "done")


def _card(context: ProbeContext) -> Examined[None]:
    if context.card is None:
        raise AgentError(ErrorId.INTERNAL)
    return context.card


async def read(context: ProbeContext, job: Callable[[Card], T]) -> T:
    """Return what `job` reads from the card this self-test began with.

    Raises:
        CardChangedError: another card is in the reader now.
    """
    begun = _card(context)
    found = await context.operations.examine(context.caller, job, reader=begun.reader)
    if (found.kind, found.serial) != (begun.kind, begun.serial):
        raise CardChangedError
    return found.result


def _encryption_certificate(card: Card) -> bytes | None:
    """Return the certificate to encrypt to; None where the card's keys are such that nobody can."""
    from hca_card.certificate import curve_bits

    try:
        der = card.certificate(CERTIFICATE_INDEX[KeyUse.ENCRYPTION]).der
    except ObjectMissingError:
        if curve_bits(card.certificate(CERTIFICATE_INDEX[KeyUse.SIGNATURE]).der):
            return None
        raise
    return None if curve_bits(der) else der


def _nothing(_card: Card) -> None:
    return None


def _holder(card: Card) -> Holder | None:
    # An HCA card's records are read one by one: one that is damaged must not hide the other.
    return card.holder() if isinstance(card, HcaCard) else card.metadata().holder


def _info(card: Card) -> CardInfo | None:
    return card.info() if isinstance(card, HcaCard) else card.metadata().info


_Line = tuple[str, str, str, Run, tuple[str, ...]]

_HCA: Final[tuple[_Line, ...]] = (
    ("module", "安全模組環境", "Security module", module, ()),
    ("init", "初始化", "Initialisation", initialise, ()),
    ("session", "開啟SESSION", "Open session", open_session, ("init",)),
    ("version", "卡片版本", "Card version", version, ("init",)),
    ("kind", "卡片類別", "Kind of card", kind, ("init",)),
    ("holder", "卡片基本資料", "Basic data", holder, ("init",)),
    ("serial", "卡片序號", "Card number", serial, ("init",)),
    ("info", "卡片資訊", "Card information", info, ("init",)),
    ("sign", "簽章", "Sign", sign, ("session",)),
    ("verify", "驗章", "Verify the signature", verify, ("sign",)),
    ("encrypt", "公鑰加密", "Encrypt with the public key", encrypt, ("init",)),
    ("decrypt", "私鑰解密", "Decrypt with the private key", decrypt, ("session", "encrypt")),
    ("session_close", "關閉SESSION", "Close session", close_session, ("session",)),
    ("module_close", "關閉密碼模組", "Close the cryptographic module", close_module, ("init",)),
)

_NHI: Final[tuple[_Line, ...]] = (
    ("module", "安全模組環境", "Security module", module, ()),
    ("port", "開啟讀卡機通訊埠", "Open the reader's port", initialise, ()),
    ("holder", "卡片基本資料", "Basic data", holder, ("port",)),
    ("info", "卡片資訊", "Card information", info, ("port",)),
    ("kind", "卡片類別", "Kind of card", kind, ("port",)),
    ("serial", "卡片序號", "Card number", serial, ("port",)),
    ("pin", "驗PIN碼", "Verify the PIN", open_session, ("port",)),
    ("certificate", "取憑證", "Get the certificate", certificate, ("port",)),
    ("sign", "簽章", "Sign", sign, ("pin",)),
    ("verify", "驗章", "Verify the signature", verify, ("sign",)),
    ("encrypt", "公鑰加密", "Encrypt with the public key", encrypt, ("port",)),
    ("decrypt", "私鑰解密", "Decrypt with the private key", decrypt, ("pin", "encrypt")),
    ("port_close", "關閉讀卡機通訊埠", "Close the reader's port", close_module, ("port",)),
)

_OFF_CARD: Final = (module, verify, close_module)
_WAITS_FOR_A_PERSON: Final = (initialise, open_session, sign, decrypt)


def _probes(group: str, lines: tuple[_Line, ...]) -> tuple[Probe, ...]:
    return tuple(
        Probe(
            f"{group}.{name}",
            Bilingual(zh, en),
            run,
            tuple(f"{group}.{needed}" for needed in needs),
            number=number,
            on_card=run not in _OFF_CARD,
            # A person may be choosing a card, or typing a PIN here or on the reader's keypad.
            **({"seconds": None} if run in _WAITS_FOR_A_PERSON else {}),
        )
        for number, (name, zh, en, run, needs) in enumerate(lines, 1)
    )


HCA_ROWS: Final = _probes("hca", _HCA)
"""Fourteen, for an ordinary reader (一般讀卡機)."""

NHI_ROWS: Final = _probes("nhi", _NHI)
"""Thirteen, as the page has them for an NHI reader (健保專用讀卡機)."""

PIN_ROW: Final = Probe(
    "card.pin", Bilingual("PIN 碼可試次數", "PIN tries left"), pin_left, on_card=True, seconds=None
)

SPEED_ROW: Final = Probe(
    "card.speed", Bilingual("卡片反應速度", "How fast the card is"), speed, on_card=True, seconds=None
)
