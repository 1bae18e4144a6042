"""`sign`: PKCS#1 and CMS signatures over files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import files, output
from agent.cli.composition import run
from agent.cli.options import (
    Invocation,
    card_options,
    force_option,
    hash_option,
    output_option,
    pin_option,
)

if TYPE_CHECKING:
    from agent.cli.composition import Work
    from signing.cms.build import CmsForm
    from signing.hashes import Hash

SUFFIX = ".sig"
_CMS, _CMS_DETACHED = ".p7m", ".p7s"  # RFC 8551 §3.2.1


@click.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
@click.option(
    "--format",
    "kind",
    type=click.Choice(("pkcs1", "cms")),
    default="pkcs1",
    show_default=True,
    help="簽章格式 · The kind of signature; pkcs1 is the bare RSA signature, cms holds document and"
    " certificate.",
)
@click.option(
    "--detached",
    "detached",
    is_flag=True,
    help="簽章不含文件（pkcs1 一律如此）· Leave the document out of the signature, as pkcs1 always does.",
)
@output_option(
    "結果檔，或放結果的資料夾 · The signature's file, or a folder for them; else FILE.sig, with cms"
    " FILE.p7m or FILE.p7s."
)
@hash_option()
@force_option
@pin_option
@card_options
@click.pass_obj
def sign(
    call: Invocation,
    *,
    documents: tuple[Path, ...],
    kind: str,
    detached: bool,
    target: Path | None,
    hash_name: str,
    force: bool,
) -> int:
    """簽署檔案 · Sign files.

    多個檔案只問一次 PIN 碼。 The PIN is asked once for all of them.
    """
    from signing.cms.build import CmsForm
    from signing.hashes import Hash

    cms = CmsForm(detached=detached) if kind == "cms" else None
    suffix = SUFFIX if cms is None else _CMS_DETACHED if detached else _CMS
    targets = _targets(documents, target, suffix)
    files.check_free(targets, force=force)
    pairs = list(zip(documents, targets, strict=True))

    async def task(work: Work) -> bool:
        return await _sign_all(work, pairs, Hash(hash_name), cms, force=force)

    return 0 if run(call, task) else 1


def _targets(documents: tuple[Path, ...], target: Path | None, suffix: str) -> list[Path]:
    if target is None:
        return [document.with_name(document.name + suffix) for document in documents]
    if target.is_dir():
        return [target / (document.name + suffix) for document in documents]
    if len(documents) > 1:
        raise click.UsageError(
            "多個檔案時 -o 必須是已有的資料夾 · with several files, -o must be a folder that exists"
        )
    return [target]


async def _sign_all(
    work: Work, pairs: list[tuple[Path, Path]], algorithm: Hash, cms: CmsForm | None, *, force: bool
) -> bool:
    """Sign one after the other; return whether all were signed.

    A document that is refused or cannot be read says nothing about the next. Anything else does: a PIN that
    failed once would fail again and lock the card, so that the rest is left alone.
    """
    from signing.errors import DocumentRefusedError

    good = True
    for number, (document, target) in enumerate(pairs):
        try:
            result = await work.operations.sign(
                work.caller,
                algorithm,
                document=document.read_bytes(),
                reader=work.reader,
                folder=document.resolve().parent,
                cms=cms,
            )
            files.write(target, result.signature, force=force)
        except DocumentRefusedError as error:
            output.error(error, subject=str(document))
            good = False
        except OSError as error:
            output.file_trouble(error)
            good = False
        except Exception:
            for left, _ in pairs[number:]:
                output.warn(f"✘ {left}: 未簽署", "not signed")
            raise
        else:
            signer = _signer(result.certificate)
            output.say(f"✔ {document} → {target}  ({result.hash.value}, {signer})")
    return good


def _signer(certificate: bytes) -> str:
    """Return who the certificate says signed, and whether that is only a simulation."""
    from hca_card.certificate import describe
    from hca_card.errors import CardDataError

    try:
        facts = describe(certificate)
    except CardDataError:
        return "憑證無法解讀 certificate unreadable"
    words = f"{facts.common_name or ''} {facts.serial_number or ''}".strip()
    return f"{words}，模擬卡 SIMULATED" if facts.simulated else words
