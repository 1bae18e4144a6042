"""Certificate rows: how long the card's certificates hold, who issued them, and whether one is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from agent.certificate_status import StatusChecker, load_roots
from agent.errors import AgentError, ErrorId, error_id
from agent.expiry import STAGES, Urgency
from agent.selftest.context import ProbeContext
from agent.selftest.model import (
    Bilingual,
    Finding,
    RowStatus,
    failed,
    passed,
    probe,
    skipped,
    warned,
)
from agent.selftest.probes.card import read
from hca_card.certificate import describe
from hca_card.certificate_numbers import CERTIFICATE_INDEX
from hca_card.certificate_oddities import CertificateOddity, oddities
from hca_card.errors import CardError, ObjectMissingError, UnsupportedError
from hca_card.model import Card, KeyUse
from signing.certificate import is_issued_by
from signing.errors import StatusAnswerError, StatusAnswerForgedError
from signing.revocation import CertificateStatus, RevocationReason, RevocationState, judge_crl
from signing.trust import validate_chain

_SIGNATURE: Final = CERTIFICATE_INDEX[KeyUse.SIGNATURE]
_NONE: Final = ("這張卡片沒有這個憑證", "this card has no such certificate")
_REASONS: Final = {
    RevocationReason.KEY_COMPROMISE: ("金鑰外洩", "key compromise"),
    RevocationReason.CA_COMPROMISE: ("簽發機構的金鑰外洩", "the authority's key was compromised"),
    RevocationReason.AFFILIATION_CHANGED: ("所屬單位異動", "affiliation changed"),
    RevocationReason.SUPERSEDED: ("已換發新憑證", "superseded"),
    RevocationReason.CESSATION_OF_OPERATION: ("停止使用", "cessation of operation"),
    RevocationReason.CERTIFICATE_HOLD: ("暫時停用", "on hold"),
    RevocationReason.PRIVILEGE_WITHDRAWN: ("資格已取消", "privilege withdrawn"),
}
"""In the words of the authority's forms."""

_ODDITIES: Final = {
    CertificateOddity.PRINTABLE: ("PrintableString 裡有其他符號", "other signs in a PrintableString"),
    CertificateOddity.STRING: ("文字不合它的型別", "text that is not of its type"),
    CertificateOddity.TELETEX: ("TeletexString 裡有英文以外的字", "a TeletexString that is not ASCII"),
    CertificateOddity.NO_STRING: ("名稱裡有不是文字的內容", "a name with something that is no text"),
    CertificateOddity.TIME: ("日期的寫法", "how a date is written"),
}


@probe("certificate.signature", "簽章憑證效期", "Signature certificate", on_card=True)
async def signature(context: ProbeContext) -> Finding:
    """Check the validity of the signature certificate."""
    return await _validity(context, KeyUse.SIGNATURE)


@probe("certificate.encryption", "加密憑證效期", "Encryption certificate", on_card=True)
async def encryption(context: ProbeContext) -> Finding:
    """Check the validity of the encryption certificate."""
    return await _validity(context, KeyUse.ENCRYPTION)


async def _validity(context: ProbeContext, use: KeyUse) -> Finding:
    index = CERTIFICATE_INDEX[use]
    try:
        der = await read(context, lambda card: card.certificate(index).der)
        facts = describe(der)
    except (ObjectMissingError, UnsupportedError) as error:
        return skipped(*_NONE, error_id(error))
    except CardError:
        return failed(ErrorId.CERTIFICATE_MALFORMED)
    odd = oddities(der)
    # Only the issuer can tell for sure; until here the name of the reader had to do.
    context.simulated = context.computer.simulated or facts.simulated
    found = judge_validity(facts.not_before, facts.not_after, context.computer.clock())
    return replace(found, detail=_with_oddities(found.detail, odd)) if odd else found


def _with_oddities(detail: Bilingual, odd: Sequence[CertificateOddity]) -> Bilingual:
    zh, en = "、".join(_ODDITIES[each][0] for each in odd), ", ".join(_ODDITIES[each][1] for each in odd)
    return Bilingual(
        f"{detail.zh}；寫法特殊，本程式照常使用，其他軟體可能拒絕：{zh}",
        f"{detail.en}; written oddly, used all the same, and perhaps refused by other software: {en}",
    )


def judge_validity(begins: datetime, ends: datetime, now: datetime) -> Finding:
    """Judge a validity at a moment; all aware."""
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
    soon = ends - now <= STAGES[Urgency.SOON]
    return warned(ErrorId.CERTIFICATE_ENDS_SOON, zh, en) if soon else passed(zh, en)


@probe("certificate.chain", "憑證簽發者", "Who issued it", on_card=True)
async def chain(context: ProbeContext) -> Finding:
    """Check that the signature certificate leads to a root: the administrator's, else one on the card."""
    try:
        der, others = await read(context, _certificates)
    except (ObjectMissingError, UnsupportedError) as error:
        return skipped(*_NONE, error_id(error))
    facts, roots = describe(der), await asyncio.to_thread(_roots, context)
    if not roots and facts.simulated:
        return skipped("模擬卡：沒有人信任它的簽發者", "simulated: nobody trusts its issuer")
    listed, roots = bool(roots), roots or tuple(each for each in others if is_issued_by(each, each))
    if not roots:
        return skipped("卡片上沒有根憑證，管理者也沒有設定", "no root on the card, and none configured")
    # Another row tells of a validity that has ended; who issued the certificate stays the same.
    moment = min(max(context.computer.clock(), facts.not_before), facts.not_after)
    path = await asyncio.to_thread(validate_chain, der, roots, others, moment)
    # The last part of `C=TW, O=行政院, OU=醫事憑證管理中心` is what people call it.
    names = " → ".join(describe(each).subject.rpartition("=")[2] for each in reversed(path[:-1]))
    if listed:
        return passed(f"{names}（管理者信任的根憑證）", f"{names} (trusted by the administrator)")
    return passed(f"{names}（根憑證來自卡片）", f"{names} (the root is the card's own)")


@probe("certificate.status", "憑證是否被廢止", "Whether it is revoked", on_card=True)
async def status(context: ProbeContext) -> Finding:
    """Ask the authority whether the signature certificate has been revoked."""
    try:
        der, others = await read(context, _certificates)
    except (ObjectMissingError, UnsupportedError) as error:
        return skipped(*_NONE, error_id(error))
    roots = await asyncio.to_thread(_roots, context)
    issuer = next((each for each in (*others, *roots) if is_issued_by(der, each)), None)
    if issuer is None:
        return skipped("沒有簽發者的憑證，無法查詢", "without its issuer's certificate nobody can be asked")
    computer = context.computer
    if computer.simulated and (listed := await asyncio.to_thread(_simulators_list, context, issuer)):
        found = _worded(judge_crl(listed, der, issuer, computer.clock()))
    else:
        checker = StatusChecker(computer.paths.standing, computer.config.certificates, clock=computer.clock)
        found = await status_finding(checker, der, issuer)
    if found.status in (RowStatus.PASS, RowStatus.FAIL):
        revoked = found.trouble is not None and found.trouble.id == ErrorId.CERTIFICATE_REVOKED
        context.operations.activity.certificate_revoked(describe(der).serial_hex, revoked)
    return found


async def status_finding(checker: StatusChecker, der: bytes, issuer: bytes) -> Finding:
    """Word what the authority says of a certificate; being off line is no fault of the card.

    Raises:
        CertificateMalformedError: the certificate or its issuer's cannot be read.
    """
    try:
        return _worded(await checker.check(der, issuer))
    except StatusAnswerForgedError as error:
        return failed(error)
    except StatusAnswerError as error:
        return warned(error)
    except AgentError as error:
        return skipped("無法查詢", "it could not be asked", error.error_id)


def _worded(answer: CertificateStatus) -> Finding:
    day = f"{answer.this_update.astimezone():%Y-%m-%d %H:%M}"
    if answer.state is RevocationState.GOOD:
        return passed(
            f"未被廢止（{answer.source.value}，{day}）", f"not revoked ({answer.source.value}, {day})"
        )
    if answer.state is RevocationState.UNKNOWN:
        return warned(ErrorId.CERTIFICATE_STATUS_UNKNOWN)
    since = f"{answer.revoked_at.astimezone():%Y-%m-%d}" if answer.revoked_at else "-"
    zh, en = _REASONS.get(answer.reason, ("未註明", "not given"))
    return failed(
        ErrorId.CERTIFICATE_REVOKED, f"廢止日期 {since}，原因：{zh}", f"revoked on {since}, reason: {en}"
    )


def _certificates(card: Card) -> tuple[bytes, Sequence[bytes]]:
    """Read the signature certificate, and all others."""
    certificates = card.certificates()
    own = next((each.der for each in certificates if each.index == _SIGNATURE), None)
    der = own or card.certificate(_SIGNATURE).der
    return der, [each.der for each in certificates if each.index != _SIGNATURE]


def _simulators_list(context: ProbeContext, issuer: bytes) -> bytes:
    """Return what the simulator's authority has revoked; nothing where another one issued this card."""
    from hca_card.simulator import SimulatorCa

    authority = SimulatorCa(context.computer.paths.simulator)
    return authority.crl() if issuer in authority.intermediates else b""


def _roots(context: ProbeContext) -> tuple[bytes, ...]:
    return load_roots(context.computer.config.certificates.roots)


PROBES: Final = (signature, encryption, chain, status)
