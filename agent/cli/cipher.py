"""`encrypt` and `decrypt`: one RSA block, for a key or a password rather than for a document."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from agent.cli import files, output
from agent.cli.composition import run
from agent.cli.options import (
    Invocation,
    card_options,
    certificate_option,
    force_option,
    output_option,
    pin_option,
)

SUFFIX: Final = ".enc"


@click.command()
@click.argument("file", metavar="FILE", type=files.INPUT)
@output_option("結果檔 · The result; else FILE.enc.")
@certificate_option(
    "收件者的加密憑證，DER 或 PEM · The receiver's certificate; else that of the card in the reader."
)
@force_option
@card_options
@click.pass_obj
def encrypt(
    call: Invocation, *, file: Path, target: Path | None, certificate_file: Path | None, force: bool
) -> None:
    """以憑證加密 · Encrypt up to 245 bytes to a certificate.

    RSA 2048 一次只能加密這麼多：適合金鑰或密碼。 One block of RSA 2048 holds no more: a key, or a password.
    """
    from signing.cipher import encrypt as encrypt_to

    target = target or file.with_name(file.name + SUFFIX)
    files.check_free([target], force=force)
    data = file.read_bytes()
    if certificate_file is not None:
        cipher = encrypt_to(files.read_der(certificate_file), data)
    else:
        cipher = run(call, lambda work: work.operations.encrypt(work.caller, data, reader=work.reader))
    files.write(target, cipher, force=force)
    output.say(f"✔ {file} → {target}")


@click.command()
@click.argument("file", metavar="FILE", type=files.INPUT)
@output_option("結果檔 · The result; else FILE without .enc, or FILE.dec.")
@force_option
@pin_option
@card_options
@click.pass_obj
def decrypt(call: Invocation, *, file: Path, target: Path | None, force: bool) -> None:
    """以卡片解密 · Decrypt with the card.

    結果只有您自己能讀。 The result is readable by you alone.
    """
    target = target or (file.with_suffix("") if file.suffix == SUFFIX else file.with_name(file.name + ".dec"))
    files.check_free([target], force=force)
    cipher = file.read_bytes()
    plain = run(call, lambda work: work.operations.decrypt(work.caller, cipher, reader=work.reader))
    files.write(target, plain, force=force, private=True)
    output.say(f"✔ {file} → {target}")
