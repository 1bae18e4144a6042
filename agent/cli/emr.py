"""`emr sign | verify | show`: exchange packages of electronic medical records (電子病歷交換單張)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import files, output, verifying
from agent.cli.composition import run
from agent.cli.options import (
    Invocation,
    card_options,
    force_option,
    hash_option,
    json_option,
    output_option,
    pin_option,
)

if TYPE_CHECKING:
    from agent.cli.composition import Work
    from signing.formats import Level
    from signing.formats.emr import EmrForm
    from signing.hashes import Hash

LEVELS = ("B-B", "B-T", "B-LT")


@click.group()
def emr() -> None:
    """電子病歷交換單張：簽署、驗證、顯示 · Exchange packages of electronic medical records.

    衛生福利部公告的交換單張（cdp:ContentPackage，內含 CDA R2）。 The packages that the health ministry
    publishes: cdp:ContentPackage around a CDA R2 record.
    """


@emr.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
@click.option(
    "--reason",
    default="",
    metavar="TEXT",
    help="簽署的原因，例如「主治醫師確認」· What the signature is for; it is signed too.",
)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="B-B",
    show_default=True,
    help="B-T 加時戳；B-LT 再加憑證與廢止資訊，多年後仍可驗證 · B-T adds a time stamp, B-LT also what proves"
    " the signature years later.",
)
@output_option("結果檔，或放結果的資料夾 · The package's file, or a folder for them; else FILE.signed.xml.")
@hash_option()
@force_option
@pin_option
@card_options
@click.pass_obj
def sign(
    call: Invocation,
    *,
    documents: tuple[Path, ...],
    reason: str,
    level: str,
    target: Path | None,
    hash_name: str,
    force: bool,
) -> int:
    """簽署交換單張；只有病歷時先包成單張 · Sign packages; a bare CDA record is put into one first.

    機構先簽，人員後簽：再簽一次就加在前一個簽章之後。 The institution signs first and the person after it:
    signing a signed package again adds a signature that confirms those before.
    """
    from signing.formats import Level
    from signing.formats.emr import EmrForm
    from signing.hashes import Hash

    form = EmrForm(reason=reason)
    targets = _targets(documents, target, form.suffix)
    files.check_free(targets, force=force)
    pairs = list(zip(documents, targets, strict=True))

    async def task(work: Work) -> bool:
        return await _sign_all(work, pairs, form, Level(level), Hash(hash_name), force=force)

    return 0 if run(call, task) else 1


@emr.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
@click.option(
    "--offline", is_flag=True, help="不連線查詢是否廢止 · Ask no authority whether a certificate is revoked."
)
@json_option
@card_options
@click.pass_obj
def verify(call: Invocation, *, documents: tuple[Path, ...], offline: bool) -> int:
    """驗證交換單張的簽章 · Say what the signatures of packages are worth, in their order.

    結束碼：0 有效、1 無效、3 無法判定。 Exit code: 0 valid, 1 invalid, 3 cannot be decided.
    """
    verifier = verifying.verifier_of(call)
    reports = [
        asyncio.run(verifier.verify(files.read(document), name=str(document), ask=not offline))
        for document in documents
    ]
    code = verifying.show(call, reports)
    others = [report.name for report in reports if report.kind != "emr"]
    for name in others:
        output.warn(f"✘ {name}: 不是電子病歷交換單張", "not an exchange package of medical records")
    return max(code, 1) if others else code


@emr.command()
@click.argument("document", metavar="FILE", type=files.INPUT)
@json_option
@click.pass_obj
def show(call: Invocation, *, document: Path) -> int:
    """顯示病歷的內容 · Show the record as its text: nothing in it is executed or fetched.

    這裡不驗證簽章。 Signatures are not checked here.
    """
    from signing.errors import DocumentUnusableError
    from signing.preview import NOTICES, RecordKind, text_preview
    from signing.verification.reading import read

    content = files.read(document)
    preview = text_preview(content)
    if preview is None or preview.kind is not RecordKind.MEDICAL_RECORD:
        raise DocumentUnusableError("neither an exchange package nor a CDA R2 record")
    signatures = len(read(content).signatures)
    if call.as_json:
        output.as_json(
            {
                "recordType": preview.record_type,
                "lines": list(preview.lines),
                "notices": [notice.value for notice in preview.notices],
                "signatures": signatures,
            }
        )
        return 0
    for line in preview.lines:
        output.say(line)
    for notice in preview.notices:
        output.say(f"！{NOTICES[notice][0]}", NOTICES[notice][1])
    output.say(f"簽章 {signatures} 個（未驗證）", f"{signatures} signatures, not checked")
    return 0


def _targets(documents: tuple[Path, ...], target: Path | None, suffix: str) -> list[Path]:
    if target is not None and not target.is_dir():
        if len(documents) > 1:
            raise click.UsageError(
                "多個檔案時 -o 必須是已有的資料夾 · with several files, -o must be a folder that exists"
            )
        return [target]
    return [
        (document.parent if target is None else target) / (document.stem + suffix) for document in documents
    ]


async def _sign_all(
    work: Work,
    pairs: list[tuple[Path, Path]],
    form: EmrForm,
    level: Level,
    algorithm: Hash,
    *,
    force: bool,
) -> bool:
    """Sign one after the other; return whether all were signed. What a PIN or a card ends, ends all."""
    from signing.errors import DocumentRefusedError, DocumentUnusableError

    good = True
    for document, target in pairs:
        try:
            result = await work.operations.sign_document(
                work.caller,
                form,
                files.read(document),
                hash=algorithm,
                level=level,
                reader=work.reader,
                folder=document.resolve().parent,
            )
            files.write(target, result.document, force=force)
        except (DocumentRefusedError, DocumentUnusableError) as error:
            output.error(error, subject=str(document))
            good = False
        except OSError as error:
            output.file_trouble(error)
            good = False
        else:
            output.say(f"✔ {document} → {target}  ({result.format} {result.level})")
    return good
