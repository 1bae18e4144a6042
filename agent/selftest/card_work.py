"""What the rows with a card do: each asks for its own piece of work, so that each can fail on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from agent import __version__
from agent.errors import AgentError, ErrorId, error_id
from agent.masking import mask_card
from agent.operations import KIND_WORDS
from agent.operations.readers import is_virtual
from agent.operations.transaction_jobs import Examined
from agent.selftest.bench import Bench
from agent.selftest.card_values import holder_values, info_text, texts
from agent.selftest.model import Finding, Status, Text, Trouble, passed, skipped
from hca_card.errors import CardChangedError, NotActivatedError, TerminatedError
from hca_card.hca import HcaCard
from hca_card.model import Card, CardInfo, CardKind, Holder, KeyUse
from signing.errors import CipherInvalidError
from signing.hashes import Hash
from signing.pkcs1 import CERTIFICATE_INDEX

T = TypeVar("T")

_UNASKED: Final = frozenset((ErrorId.PIN_CANCELLED, ErrorId.PIN_UNAVAILABLE))
_NOT_HERE: Final = ("這種卡片沒有這一項", "this kind of card has none")


async def module(_bench: Bench) -> Finding:
    """Row 安全模組環境: who we are."""
    return passed(f"HCA Card Agent {__version__}")


async def initialise(bench: Bench) -> Finding:
    """Row 初始化: the reader and the card that are meant, and whether we know this kind of card."""
    bench.card = await bench.operations.examine(bench.caller, _nothing, reader=bench.reader)
    bench.simulated = bench.machine.simulated or is_virtual(bench.card.reader)
    return passed("初始化成功", "initialised")


async def pin_left(bench: Bench) -> Finding:
    """Row PIN 碼可試次數: told before anybody is asked for a PIN; no try is spent."""
    try:
        status = await bench.operations.pin_status(bench.caller, bench.reader)
    except Exception as error:
        return _see_below(error)
    left = status.tries_left
    if status.locked:
        return Finding(
            Status.FAIL, Text("還可以試 0 次", "0 tries left"), trouble=Trouble.named(ErrorId.PIN_LOCKED)
        )
    if left is None:
        return passed("卡片不告知還可以試幾次", "the card does not tell how many tries are left")
    told = Text(f"還可以試 {left} 次", f"{left} {'try' if left == 1 else 'tries'} left")
    if left < 3:
        return Finding(Status.WARN, told, trouble=Trouble.named(ErrorId.PIN_TRIES_USED))
    return Finding(Status.PASS, told)


def _see_below(error: Exception) -> Finding:
    """What keeps the PIN from being looked at is the business of the rows that say so in full."""
    if error_id(error) in (ErrorId.CARD_UNSUPPORTED, ErrorId.CARD_HICOS_MODULE):
        return skipped(
            "這種卡片沒有本程式能用的 PIN 碼", "this kind of card has no PIN that can be used here"
        )
    return skipped(
        "讀不到卡片的 PIN 碼狀態，原因見檢測結果", "the PIN cannot be looked at; the results say why"
    )


async def open_session(bench: Bench) -> Finding:
    """Row 開啟SESSION: the PIN is asked and verified once."""
    if not bench.with_pin:
        return skipped("選擇了不輸入 PIN 碼", "chosen to go without a PIN")
    try:
        bench.kept = await bench.operations.keep_pin(bench.caller, None, reader=_card(bench).reader)
    except AgentError as error:
        if error.error_id not in _UNASKED:
            raise
        return skipped("沒有輸入 PIN 碼", "no PIN was entered", error.error_id)
    return passed("開啟成功", "opened")


async def version(bench: Bench) -> Finding:
    """Row 卡片版本."""
    said = await read(bench, lambda card: card.version if isinstance(card, HcaCard) else "")
    return passed(f"卡片版本為:{said}", f"the card's version is {said}") if said else skipped(*_NOT_HERE)


async def kind(bench: Bench) -> Finding:
    """Row 卡片類別."""
    return passed(*KIND_WORDS[await read(bench, lambda card: card.kind)])


async def holder(bench: Bench) -> Finding:
    """Row 卡片基本資料."""
    said = await read(bench, _holder)
    if said is None:
        return skipped(*_NOT_HERE)
    detail, masked = texts(holder_values(said))
    return Finding(Status.PASS, detail, masked)


async def serial(bench: Bench) -> Finding:
    """Row 卡片序號."""
    said = await read(bench, lambda card: card.serial)
    return passed(said, masked=Text(mask_card(said)))


async def info(bench: Bench) -> Finding:
    """Row 卡片資訊: a card that has ended or was never opened is told here in its own words."""
    said = await read(bench, _info)
    if said is None:
        return skipped(*_NOT_HERE)
    detail = info_text(said)
    if said.terminated:
        return Finding(Status.FAIL, detail, trouble=Trouble.of(TerminatedError()))
    if not said.activated:
        return Finding(Status.FAIL, detail, trouble=Trouble.of(NotActivatedError()))
    return Finding(Status.PASS, detail)


async def certificate(bench: Bench) -> Finding:
    """Row 取憑證 of the NHI-reader variant."""
    from hca_card.certificate import describe

    index = CERTIFICATE_INDEX[KeyUse.SIGNATURE]
    told = describe(await read(bench, lambda card: card.certificate(index).der))
    return passed(f"憑證序號 {told.serial_hex}", f"certificate number {told.serial_hex}")


async def sign(bench: Bench) -> Finding:
    """Row 簽章."""
    bench.document = f"HCA Card Agent self-test {bench.machine.clock().isoformat()}".encode()
    bench.signature = await bench.operations.sign(
        bench.caller, Hash.SHA_256, document=bench.document, reader=_card(bench).reader, kept=bench.kept
    )
    return passed("成功", "done")


async def verify(bench: Bench) -> Finding:
    """Row 驗章: with the certificate, without the card."""
    made = bench.signature
    if made is None:
        raise AgentError(ErrorId.INTERNAL)
    await bench.operations.verify(bench.document, made.signature, made.certificate, made.hash)
    return passed("成功", "done")


async def encrypt(bench: Bench) -> Finding:
    """Row 公鑰加密: to the card's encryption certificate."""
    if _card(bench).kind is CardKind.NHI:
        return skipped(*_NOT_HERE)
    index = CERTIFICATE_INDEX[KeyUse.ENCRYPTION]
    der = await read(bench, lambda card: card.certificate(index).der)
    bench.plain = b"HCA Card Agent self-test"
    bench.cipher = await bench.operations.encrypt(bench.caller, bench.plain, certificate=der)
    return passed("成功", "done")


async def decrypt(bench: Bench) -> Finding:
    """Row 私鑰解密: what comes back must be what was encrypted."""
    plain = await bench.operations.decrypt(
        bench.caller, bench.cipher, reader=_card(bench).reader, kept=bench.kept
    )
    if plain != bench.plain:
        raise CipherInvalidError
    return passed("成功", "done")


async def close_session(bench: Bench) -> Finding:
    """Row 關閉SESSION: the PIN is forgotten, and the card is the one it was used on."""
    bench.close()
    await read(bench, _nothing)
    return passed("關閉成功", "closed")


async def close_module(bench: Bench) -> Finding:
    """The last row: the smart card service still answers, as every program after us expects."""
    await bench.operations.readers(bench.caller)
    return passed("成功", "done")


def _card(bench: Bench) -> Examined[None]:
    if bench.card is None:
        raise AgentError(ErrorId.INTERNAL)
    return bench.card


async def read(bench: Bench, job: Callable[[Card], T]) -> T:
    """What `job` says of the card this self-test began with.

    Raises:
        CardChangedError: another card is in the reader now.
    """
    begun = _card(bench)
    found = await bench.operations.examine(bench.caller, job, reader=begun.reader)
    if (found.kind, found.serial) != (begun.kind, begun.serial):
        raise CardChangedError
    return found.result


def _nothing(_card: Card) -> None:
    return None


def _holder(card: Card) -> Holder | None:
    # An HCA card's records are read one by one: one that is damaged must not hide the other.
    return card.holder() if isinstance(card, HcaCard) else card.metadata().holder


def _info(card: Card) -> CardInfo | None:
    return card.info() if isinstance(card, HcaCard) else card.metadata().info
