"""`encrypt` and `decrypt`: files of any size, to the holders of cards and by a card."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from agent.cli import files, output
from agent.cli.composition import folder, run
from agent.cli.options import (
    Invocation,
    card_options,
    force_option,
    output_option,
    pin_option,
)

if TYPE_CHECKING:
    from signing.cms.envelope import Envelope

SUFFIX: Final = ".p7m"  # RFC 8551 §3.2.1
_OLD_SUFFIX: Final = ".enc"
_BLOCKS: Final = (128, 256, 384, 512)


@click.command()
@click.argument("file", metavar="FILE", type=files.INPUT)
@click.option(
    "--to",
    "certificate_files",
    metavar="CERT",
    multiple=True,
    type=files.INPUT,
    help="收件者的加密憑證，DER 或 PEM；可以有好幾個 · A recipient's encryption certificate, DER or PEM;"
    " once for each. Without it: that of the card in the reader.",
)
@output_option(f"結果檔 · The result; else FILE{SUFFIX}.")
@click.option(
    "--offline",
    is_flag=True,
    help="不連線查詢憑證是否廢止 · Ask no authority whether a certificate is revoked.",
)
@force_option
@card_options
@click.pass_obj
def encrypt(
    call: Invocation,
    *,
    file: Path,
    certificate_files: tuple[Path, ...],
    target: Path | None,
    offline: bool,
    force: bool,
) -> int:
    """加密給持卡人 · Encrypt a file to the holders of certificates.

    只有收件者的卡片解得開，內容若被改過一定會被發現。 Only a recipient's card can open it, and any change of
    it is found. CMS, AES-256-GCM; openssl cms -decrypt reads it too.
    """
    from signing.cms.encrypt import check_recipient, write_envelope
    from signing.cms.envelope import RECIPIENTS_MAX

    if len(certificate_files) > RECIPIENTS_MAX:
        raise click.UsageError(f"收件者最多 {RECIPIENTS_MAX} 位 · at most {RECIPIENTS_MAX} recipients")
    target = target or file.with_name(file.name + SUFFIX)
    files.check_free([target], force=force)
    if certificate_files:
        certificates = _checked(certificate_files, ask=not offline)
        if certificates is None:
            return 1
    else:
        own = run(
            call,
            lambda work: work.operations.encryption_certificate(work.caller, reader=work.reader),
        )
        check_recipient(own, datetime.now(UTC))
        certificates = [own]
    with file.open("rb") as source, files.writing(target, force=force) as written:
        write_envelope(source, os.fstat(source.fileno()).st_size, certificates, written)
    output.say(f"✔ {file} → {target}")
    for certificate in dict.fromkeys(certificates):
        output.say(f"  收件者 · recipient: {_name(certificate)}")
    return 0


def _checked(paths: Sequence[Path], *, ask: bool) -> list[bytes] | None:
    """Return the certificates in the files; None where one was refused, which was said."""
    from agent.errors import AgentError
    from agent.recipients import recipients_of
    from signing.errors import SigningError

    home, config = folder()
    recipients = recipients_of(config, home)
    certificates = []
    for path in paths:
        certificate = files.read_der(path)
        try:
            standing = asyncio.run(recipients.judge(certificate, ask=ask and config.certificates.online))
        except (AgentError, SigningError) as error:
            output.error(error, subject=str(path))
            return None
        if not standing.trusted:
            output.warn(
                f"！ {path}：這台電腦不認得這張憑證的發證機關，請確認憑證是向收件者本人取得的",
                "this computer does not know the authority of this certificate: make sure that you have it"
                " from the recipient",
            )
        elif not standing.not_revoked:
            output.warn(f"！ {path}：查不到憑證是否已廢止", "whether the certificate is revoked is not known")
        certificates.append(certificate)
    return certificates


def _name(certificate: bytes) -> str:
    from hca_card.certificate import describe

    told = describe(certificate)
    return f"{told.common_name or told.subject} ({told.serial_number or told.serial_hex})"


@click.command()
@click.argument("file", metavar="FILE", type=files.INPUT)
@output_option(f"結果檔 · The result; else FILE without {SUFFIX} or {_OLD_SUFFIX}, or FILE.dec.")
@click.option(
    "--unprotected",
    is_flag=True,
    help="也解開無法發現內容被改過的檔案（CBC） · Also open a file in which a change would not be"
    " found (CBC).",
)
@force_option
@pin_option
@card_options
@click.pass_obj
def decrypt(call: Invocation, *, file: Path, target: Path | None, unprotected: bool, force: bool) -> None:
    """以卡片解密 · Decrypt with the card.

    結果只有您自己能讀；檔案不完整或被改過時不會留下任何結果。 The result is readable by you alone; of a
    file that is not whole, or was changed, nothing is left.
    """
    known = (SUFFIX, _OLD_SUFFIX)
    target = target or (file.with_suffix("") if file.suffix in known else file.with_name(file.name + ".dec"))
    files.check_free([target], force=force)
    with file.open("rb") as source:
        cipher = _block_or_envelope(source)
        if not isinstance(cipher, bytes) and not unprotected:
            cipher.require_protected()
        with files.writing(target, force=force, private=True) as written:
            _decrypt(call, cipher, written)
    output.say(f"✔ {file} → {target}")
    if not isinstance(cipher, bytes) and not cipher.authenticated:
        output.warn("！ 無法確定內容沒有被改過", "nothing proves that the content was not changed")


def _block_or_envelope(source: BinaryIO) -> bytes | Envelope:
    """Return one RSA block as it is, else CMS as far as its content."""
    from signing.cms.envelope import read_envelope
    from signing.errors import CipherFormatError

    try:
        return read_envelope(source)
    except CipherFormatError:
        source.seek(0)
        block = source.read(max(_BLOCKS) + 1)
        if len(block) in _BLOCKS:
            return block
        raise


def _decrypt(call: Invocation, cipher: bytes | Envelope, target: BinaryIO) -> None:
    if isinstance(cipher, bytes):
        block = cipher
        plain = run(call, lambda work: work.operations.decrypt(work.caller, block, reader=work.reader))
        target.write(plain)
        return
    envelope = cipher
    run(
        call,
        lambda work: work.operations.open_envelope(work.caller, envelope, target, reader=work.reader),
    )
