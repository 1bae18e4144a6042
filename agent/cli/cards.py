"""`readers`, `card`, `certs`: what is in the readers, and what the card there says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.cli import files, output
from agent.cli.composition import run
from agent.cli.import_trace import import_trace
from agent.cli.options import Invocation, card_options, force_option, json_option, output_option
from agent.cli.probe import probe
from agent.cli.profiles import profiles
from agent.cli.trace import trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.cli.composition import Work
    from agent.native import messages

CONDITIONS: Final = {
    "empty": "沒有卡片 empty",
    "card": "有卡片 card",
    "mute": "卡片沒有反應 mute",
    "busy": "被其他程式占用 busy",
    "unnameable": "名稱無法傳給智慧卡服務，不能使用 its name cannot be used here",
    "unavailable": "無法使用 unavailable",
}
USES: Final = {
    "ca": "憑證機構 CA",
    "signature": "簽章 signature",
    "encryption": "加密 encryption",
    "intermediate": "中繼憑證機構 intermediate",
    "root": "根憑證機構 root",
}
HOLDER: Final = {
    "name": "姓名／名稱 name",
    "english_name": "英文姓名 English name",
    "code": "醫事機構代碼 institution code",
    "card_sequence": "卡次 card sequence",
    "kind": "種類 kind",
    "type": "類型 type",
    "sex": "性別 sex",
    "birth": "出生日期 birth",
    "id_number": "身分證號 ID number",
    "category": "類別 category",
    "address": "地址 address",
    "telephone": "電話 telephone",
    "owner": "擁有者 owner",
}


class _ShowUnlessNamed(click.Group):
    """A group whose command `show` may go unnamed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.command()
@card_options
@json_option
@click.pass_obj
def readers(call: Invocation) -> None:
    """讀卡機清單 · List the readers."""
    from agent.native import conversion, messages

    async def task(work: Work) -> list[messages.ReaderInfo]:
        views = await work.operations.readers(work.caller)
        return [conversion.reader(view) for view in views if work.reader in (None, view.name)]

    found = run(call, task)
    if call.as_json:
        output.as_json(messages.ReaderList(tuple(found)))
    elif not found:
        output.say("沒有讀卡機", "there is no reader")
    else:
        rows = [(one.name, CONDITIONS[one.state], _yes(one.pin_pad), _yes(one.virtual)) for one in found]
        output.table(("讀卡機 reader", "狀態 state", "密碼鍵盤 PIN pad", "虛擬 virtual"), rows)


@click.group(cls=_ShowUnlessNamed)
def card() -> None:
    """卡片內容 · What the card says without its PIN."""


@card.command("show")
@card_options
@json_option
@click.pass_obj
def show(call: Invocation) -> None:
    """持卡人與卡片資訊 · The holder and the card itself."""
    from agent.native import conversion

    found = conversion.card(run(call, lambda work: work.operations.card(work.caller, work.reader)))
    if call.as_json:
        output.as_json(found)
        return
    if found.simulated:
        output.say("【模擬卡】這不是真的卡片", "SIMULATED: this is no real card")
    output.facts(_card_rows(found))


card.add_command(import_trace)
card.add_command(profiles)
card.add_command(probe)
card.add_command(trace)


@click.command()
@output_option("把憑證寫成 PEM 檔 · Write the certificate for signatures, or that of --index, to a PEM file.")
@click.option(
    "--index",
    type=click.IntRange(0, 4),
    help="只要這個編號的憑證 · Only the certificate of this number.",
)
@card_options
@force_option
@json_option
@click.pass_obj
def certs(call: Invocation, target: Path | None, index: int | None, force: bool) -> None:
    """卡片上的憑證 · The certificates on the card."""
    from agent.native import conversion, messages

    if target is not None:
        files.check_free([target], force=force)
    read = run(call, lambda work: work.operations.certificates(work.caller, work.reader))
    found = messages.CertificateList(
        tuple(conversion.certificate(each) for each in read if index in (None, each.index))
    )
    if target is not None or (index is not None and not found.certificates):
        _write_pem(target, found, [each.index for each in read], force=force)
    if call.as_json:
        output.as_json(found)
        return
    for one in found.certificates:
        output.say(f"{one.index} {USES[one.use]}")
        output.facts(_certificate_rows(one))


def _write_pem(
    target: Path | None, found: messages.CertificateList, indexes: list[int], *, force: bool
) -> None:
    """Write the one certificate that is wanted: of several the one for signatures."""
    import ssl

    each = found.certificates
    wanted = each if len(each) == 1 else tuple(one for one in each if one.use == "signature")
    if not wanted:
        there = ", ".join(map(str, indexes)) or "-"
        raise click.UsageError(
            f"卡片上沒有這個憑證，有的是 · the card has no such certificate; it has: {there}"
        )
    if target is not None:
        files.write(target, ssl.DER_cert_to_PEM_cert(wanted[0].certificate).encode(), force=force)
        output.warn(f"✔ {wanted[0].index} {USES[wanted[0].use]} → {target}", "written")


def _yes(value: bool) -> str:
    return "是 yes" if value else "否 no"


def _card_rows(found: messages.CardDescription) -> Iterator[tuple[str, str]]:
    yield "讀卡機 reader", found.reader
    yield "卡片 card", f"{found.kind_text.zh} {found.kind_text.en}"
    yield "版本 version", found.version
    yield "卡號 serial", found.serial
    for member, title in HOLDER.items():
        yield title, str(getattr(found.holder, member, ""))
    yield "類別說明 category text", str(getattr(found.holder, "category_text", ""))
    yield "發行日期 issued", found.issued
    if found.info is not None:
        info = found.info
        yield "發行日期 issued", info.issued
        yield "有效期間 valid", f"{info.valid_from} – {info.valid_to}"
        yield "開卡 activated", _yes(info.activated)
        yield "已停用 terminated", _yes(info.terminated)
        yield "可產生金鑰 generates keys", _yes(info.generates_keys)
    if found.expiry is not None:
        yield from _expiry_rows(found.expiry)
    if found.pin is not None:
        yield from pin_rows(found.pin)


def pin_rows(found: messages.PinState) -> Iterator[tuple[str, str]]:
    """Yield the state of a PIN as rows."""
    left = "卡片未告知 not told" if found.tries_left is None else str(found.tries_left)
    yield "PIN 碼可試次數 tries left", left
    yield "PIN 碼已鎖住 locked", _yes(found.locked)
    yield "PIN 碼長度 length", f"{found.min_length}–{found.max_length}"


def _certificate_rows(one: messages.CertificateEntry) -> Iterator[tuple[str, str]]:
    from msgspec import UnsetType

    if not (isinstance(one.not_before, datetime) and isinstance(one.not_after, datetime)):
        yield "  ", "無法解讀 unreadable"
        return
    yield "  主體 subject", str(one.subject)
    yield "  簽發者 issuer", str(one.issuer)
    yield "  序號 serial number", str(one.serial_number)
    valid = f"{one.not_before:%Y-%m-%d} – {one.not_after:%Y-%m-%d}"
    yield "  有效期間 valid", f"{valid} 已過期 expired" if one.not_after < datetime.now(UTC) else valid
    if not isinstance(one.expiry, UnsetType):
        yield from _expiry_rows(one.expiry, "  ")


def _expiry_rows(told: messages.CertificateExpiry, indent: str = "") -> Iterator[tuple[str, str]]:
    yield f"{indent}憑證到期 certificate ends", f"⚠ {told.zh} {told.en}"
    yield f"{indent}更新憑證 renew", f"{told.next.zh} {told.next.en}"
