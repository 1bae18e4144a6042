"""Certificate rows that look beyond the card: who stands behind its certificate, and has it been revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from agent.errors import error_id
from agent.selftest.bench import Bench
from agent.selftest.card_work import read
from agent.selftest.model import Finding, Probe, Text, passed, skipped
from agent.selftest.revocation import Registry, load_roots
from agent.selftest.standing import finding
from hca_card.certificate import describe
from hca_card.errors import ObjectMissingError, UnsupportedError
from hca_card.model import Card, KeyUse
from signing.certificate import is_issued_by
from signing.pkcs1 import CERTIFICATE_INDEX
from signing.trust import validate_chain

_SIGNATURE: Final = CERTIFICATE_INDEX[KeyUse.SIGNATURE]
_NONE: Final = ("這張卡片沒有這個憑證", "this card has no such certificate")


async def chain(bench: Bench) -> Finding:
    """Whether the signature certificate leads to a root: the administrator's, else one on the card."""
    try:
        der, others = await read(bench, _certificates)
    except (ObjectMissingError, UnsupportedError) as error:
        return skipped(*_NONE, error_id(error))
    told, roots = describe(der), await asyncio.to_thread(_roots, bench)
    if not roots and told.simulated:
        return skipped("模擬卡：沒有人信任它的簽發者", "simulated: nobody trusts its issuer")
    listed, roots = bool(roots), roots or tuple(each for each in others if is_issued_by(each, each))
    if not roots:
        return skipped("卡片上沒有根憑證，管理者也沒有設定", "no root on the card, and none configured")
    # Another row tells of a validity that has ended; who issued the certificate stays the same.
    moment = min(max(bench.machine.clock(), told.not_before), told.not_after)
    path = await asyncio.to_thread(validate_chain, der, roots, others, moment)
    names = " → ".join(_short(describe(each).subject) for each in reversed(path[:-1]))
    if listed:
        return passed(f"{names}（管理者信任的根憑證）", f"{names} (trusted by the administrator)")
    return passed(f"{names}（根憑證來自卡片）", f"{names} (the root is the card's own)")


async def status(bench: Bench) -> Finding:
    """Whether the signature certificate has been revoked, as far as its authority answers."""
    try:
        der, others = await read(bench, _certificates)
    except (ObjectMissingError, UnsupportedError) as error:
        return skipped(*_NONE, error_id(error))
    roots = await asyncio.to_thread(_roots, bench)
    issuer = next((each for each in (*others, *roots) if is_issued_by(der, each)), None)
    if issuer is None:
        return skipped("沒有簽發者的憑證，無法查詢", "without its issuer's certificate nobody can be asked")
    machine = bench.machine
    registry = Registry(machine.paths.standing, machine.config.certificates, clock=machine.clock)
    return await finding(registry, der, issuer)


def _short(name: str) -> str:
    """The last part of `C=TW, O=行政院, OU=醫事憑證管理中心`, which is what people call it."""
    return name.rpartition("=")[2]


def _certificates(card: Card) -> tuple[bytes, Sequence[bytes]]:
    """The signature certificate, and all others."""
    held = card.certificates()
    own = next((each.der for each in held if each.index == _SIGNATURE), None)
    der = own or card.certificate(_SIGNATURE).der
    return der, [each.der for each in held if each.index != _SIGNATURE]


def _roots(bench: Bench) -> tuple[bytes, ...]:
    return load_roots(bench.machine.config.certificates.roots)


PROBES: Final = (
    Probe("certificate.chain", Text("憑證簽發者", "Who issued it"), chain, on_card=True),
    Probe("certificate.status", Text("憑證是否被廢止", "Whether it is revoked"), status, on_card=True),
)
