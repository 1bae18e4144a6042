"""`preserve`: signatures kept verifiable, before certificates and time stamps run out. No card is needed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import files, output
from agent.cli.composition import folder
from agent.cli.options import Invocation, force_option, output_option
from agent.cli.verifying import content_beside, show_one, verifier_of

if TYPE_CHECKING:
    from agent.verification import Verifier
    from signing.formats import Evidence, Form, Level


@click.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
@click.option(
    "--content",
    "content_file",
    metavar="FILE",
    type=files.INPUT,
    help="簽章不含文件時，它的文件；不指定時是旁邊的檔案 · The document of a signature that does not hold it;"
    " else the file beside it.",
)
@output_option(
    "結果檔，或放結果的資料夾 · The result's file, or a folder for them; else NAME.preserved.pdf and so on."
)
@force_option
@click.pass_obj
def preserve(
    call: Invocation,
    *,
    documents: tuple[Path, ...],
    content_file: Path | None,
    target: Path | None,
    force: bool,
) -> int:
    """延長簽章的效力 · Keep signatures verifiable for years.

    PDF 再加一層封存時戳（B-LTA，請在上一個時戳的憑證到期前執行）；其他簽章補上時戳、憑證與廢止資訊（B-LT）。

    A PDF gets a new archive time stamp (B-LTA; do it before the certificate of the last one ends). Other
    signatures get what they lack of time stamp, certificates and revocation answers (B-LT). What does not
    hold any more is left as it is.
    """
    from agent.evidence import evidence_of

    if content_file is not None and len(documents) > 1:
        raise click.UsageError("--content 只能配一個檔案 · --content goes with one file")
    if target is not None and not target.is_dir() and len(documents) > 1:
        raise click.UsageError(
            "多個檔案時 -o 必須是已有的資料夾 · with several files, -o must be a folder that exists"
        )
    targets = [_target(document, target) for document in documents]
    files.check_free(targets, force=force)
    paths, config = folder()
    evidence, verifier = evidence_of(config, paths), verifier_of(call)
    good = True
    for document, place in zip(documents, targets, strict=True):
        content = content_beside(document, content_file)
        done = asyncio.run(_preserved(document, files.read(document), content, evidence, verifier))
        if done is None:
            good = False
        elif done:
            files.write(place, done, force=force)
            output.say(f"✔ {document} → {place}")
    return 0 if good else 1


async def _preserved(
    document: Path, signed: bytes, content: bytes | None, evidence: Evidence | None, verifier: Verifier
) -> bytes | None:
    """Return the document with what it lacks; empty where that is nothing, None where it cannot be."""
    from agent.operations.documents import NearEvidence
    from signing.errors import DocumentUnusableError, EvidenceError

    report = await verifier.verify(
        signed if content is None else content, None if content is None else signed, name=str(document)
    )
    show_one(report)
    if not report.signatures or report.verdict.value == "invalid":
        output.warn(f"✘ {document}: 沒有可以保存的簽章", "there is nothing to preserve")
        return None
    form, level = _form(report.kind)
    if level.value != "B-LTA" and all(each.level == level.value for each in report.signatures):
        output.say(f"✔ {document}: 已經是 {level}", f"it has {level} already")
        return b""
    if evidence is None:
        raise EvidenceError("no authority is listed under [timestamps] authorities")
    try:
        return await form.augment(signed, level, NearEvidence(evidence, signed))
    except DocumentUnusableError as error:
        output.error(error, subject=str(document))
        return None


def _form(kind: str) -> tuple[Form, Level]:
    """Return what renews a document of that kind, and how far it gets."""
    from signing.formats import Level

    if kind == "pdf":
        from signing.formats.pades import Pades

        return Pades(), Level.B_LTA
    if kind in ("xml", "emr"):
        from signing.formats.xml_signature import XmlForm

        return XmlForm(), Level.B_LT
    from signing.formats.cades import Cades

    return Cades(), Level.B_LT


def _target(document: Path, target: Path | None) -> Path:
    if target is not None and not target.is_dir():
        return target
    name = f"{document.stem}.preserved{document.suffix}"
    return document.with_name(name) if target is None else target / name
