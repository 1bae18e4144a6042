"""Certificate rows: how long the card's certificates are still good."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from agent.errors import ErrorId, error_id
from agent.selftest.bench import Bench
from agent.selftest.card_work import read
from agent.selftest.model import Finding, Probe, Text, failed, passed, skipped, warned
from hca_card.certificate import describe
from hca_card.errors import CardError, ObjectMissingError, UnsupportedError
from hca_card.model import KeyUse
from signing.pkcs1 import CERTIFICATE_INDEX

SOON: Final = timedelta(days=60)
"""How long before its end a certificate can be renewed on line."""


async def signature(bench: Bench) -> Finding:
    """The validity of the signature certificate."""
    return await _validity(bench, KeyUse.SIGNATURE)


async def encryption(bench: Bench) -> Finding:
    """The validity of the encryption certificate."""
    return await _validity(bench, KeyUse.ENCRYPTION)


async def _validity(bench: Bench, use: KeyUse) -> Finding:
    index = CERTIFICATE_INDEX[use]
    try:
        told = describe(await read(bench, lambda card: card.certificate(index).der))
    except (ObjectMissingError, UnsupportedError) as error:
        return skipped("這張卡片沒有這個憑證", "this card has no such certificate", error_id(error))
    except CardError:
        return failed(ErrorId.CERTIFICATE_MALFORMED)
    # Only the issuer can tell for sure; until here the name of the reader had to do.
    bench.simulated = bench.machine.simulated or told.simulated
    return judge(told.not_before, told.not_after, bench.machine.clock())


def judge(begins: datetime, ends: datetime, now: datetime) -> Finding:
    """How a validity stands at a moment; all aware."""
    period = f"{begins.astimezone():%Y-%m-%d} – {ends.astimezone():%Y-%m-%d}"
    today = f"{now.astimezone():%Y-%m-%d}"
    if now > ends:
        return failed(ErrorId.CERTIFICATE_EXPIRED, f"{period}；今天 {today}", f"today {today}")
    if now < begins:
        return failed(
            ErrorId.CERTIFICATE_NOT_YET_VALID, f"{period}；電腦的日期 {today}", f"this computer: {today}"
        )
    days = (ends - now).days
    zh, en = f"{period}，還有 {days} 天", f"{days} days left"
    return warned(ErrorId.CERTIFICATE_ENDS_SOON, zh, en) if ends - now <= SOON else passed(zh, en)


PROBES: Final = (
    Probe("certificate.signature", Text("簽章憑證效期", "Signature certificate"), signature, on_card=True),
    Probe("certificate.encryption", Text("加密憑證效期", "Encryption certificate"), encryption, on_card=True),
)
