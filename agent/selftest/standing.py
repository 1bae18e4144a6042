"""The row that says whether a certificate has been revoked, worded for whoever reads only that row."""

from __future__ import annotations

from typing import Final

from agent.errors import AgentError, ErrorId
from agent.selftest.model import Finding, Status, Text, Trouble, passed
from agent.selftest.revocation import Registry
from signing.errors import StatusAnswerError, StatusAnswerForgedError
from signing.revocation import Standing, State

_REASONS: Final = {
    "keyCompromise": ("金鑰外洩", "key compromise"),
    "cACompromise": ("簽發機構的金鑰外洩", "the authority's key was compromised"),
    "affiliationChanged": ("所屬單位異動", "affiliation changed"),
    "superseded": ("已換發新憑證", "superseded"),
    "cessationOfOperation": ("停止使用", "cessation of operation"),
    "certificateHold": ("暫時停用", "on hold"),
    "privilegeWithdrawn": ("資格已取消", "privilege withdrawn"),
}
"""CRLReason (RFC 5280 §5.3.1) in the words of the authority's forms."""


async def finding(registry: Registry, der: bytes, issuer: bytes) -> Finding:
    """What the row 憑證狀態 found; being off line is no fault of the card.

    Raises:
        CertificateMalformedError: the certificate or its issuer's cannot be read.
    """
    try:
        return _worded(await registry.standing(der, issuer))
    except StatusAnswerForgedError as error:
        return Finding(Status.FAIL, Text(""), trouble=Trouble.of(error))
    except StatusAnswerError as error:
        return Finding(Status.WARN, Text(""), trouble=Trouble.of(error))
    except AgentError as error:
        return Finding(
            Status.SKIP, Text("無法查詢", "it could not be asked"), trouble=Trouble.named(error.error_id)
        )


def _worded(said: Standing) -> Finding:
    day = f"{said.said.astimezone():%Y-%m-%d %H:%M}"
    if said.state is State.GOOD:
        return passed(f"未被廢止（{said.source.value}，{day}）", f"not revoked ({said.source.value}, {day})")
    if said.state is State.UNKNOWN:
        return Finding(Status.WARN, Text(""), trouble=Trouble.named(ErrorId.CERTIFICATE_STATUS_UNKNOWN))
    since = f"{said.revoked.astimezone():%Y-%m-%d}" if said.revoked else "-"
    zh, en = _REASONS.get(said.reason, ("未註明", "not given"))
    detail = Text(f"廢止日期 {since}，原因：{zh}", f"revoked on {since}, reason: {en}")
    return Finding(Status.FAIL, detail, trouble=Trouble.named(ErrorId.CERTIFICATE_REVOKED))
