"""`sign`: signatures over files, in the format that fits each, or in the one that is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
from agent.cli.verifying import content_beside, show_one, verifier_of

if TYPE_CHECKING:
    from agent.cli.composition import Work
    from agent.verification import Verifier
    from signing.cms.build import CmsForm
    from signing.formats import Form, Level
    from signing.formats.choice import Options
    from signing.hashes import Hash

_PKCS1, _CMS, _CMS_DETACHED = ".sig", ".p7m", ".p7s"  # RFC 8551 §3.2.1
LEVELS: Final = ("B-B", "B-T", "B-LT", "B-LTA")
FORMATS: Final = ("cades", "xades", "xmldsig", "pades", "emr", "jws", "fhir", "cms", "pkcs1")


@dataclass(frozen=True, slots=True)
class _Job:
    """One file: how it is signed and where the result goes. Without a form it is PKCS#1, or CMS of `cms`."""

    document: Path
    target: Path
    form: Form | None
    cms: CmsForm | None = None


@click.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="簽章格式；不指定時看檔案：PDF 用 pades、XML 用 xades、病歷交換單張用 emr、其他用 cades"
    " · The kind of signature; by the file where it is left out: pades for a PDF, xades for XML, emr for an"
    " exchange package of medical records, else cades. jws is a JSON Web Signature, fhir a Provenance of a"
    " FHIR resource, cms plain CMS, pkcs1 the bare signature value.",
)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default=LEVELS[0],
    show_default=True,
    help="B-T 加時戳，B-LT 再加憑證與廢止資訊，B-LTA（PDF）再加封存時戳 · B-T adds a time stamp, B-LT what it"
    " takes to verify it later, B-LTA (PDF) a time stamp over all of that.",
)
@click.option(
    "--detached/--attached",
    "detached",
    default=None,
    help="簽章不含／含文件 · Leave the document out of the signature, or put it in; cades leaves it out, cms"
    " puts it in.",
)
@click.option("--enveloping", is_flag=True, help="XML 簽章包住文件 · An XML signature around the document.")
@click.option(
    "--over",
    is_flag=True,
    help="副署：簽在最後一個簽章上（cades） · Countersign the last signature there is, rather than sign"
    " beside it (cades).",
)
@click.option(
    "--content",
    "content_file",
    metavar="FILE",
    type=files.INPUT,
    help="再簽一個不含文件的簽章時，它的文件；不指定時是旁邊的檔案 · The document of a signature that is"
    " signed again and does not hold it; else the file beside it.",
)
@click.option("--reason", default="", metavar="TEXT", help="簽署原因 · What the signature is for.")
@click.option("--field", default="", metavar="NAME", help="PDF 的簽章欄位 · The signature field of a PDF.")
@click.option(
    "--page",
    type=int,
    default=0,
    help="簽章顯示在 PDF 的第幾頁，-1 是最後一頁 · The page of a PDF on which the signature is seen, -1 for"
    " the last.",
)
@click.option(
    "--serialization",
    type=click.Choice(("compact", "json", "jws", "xml")),
    help="jws：compact 或 json；fhir：jws 或 xml · How a jws (compact, json) or a fhir signature (jws, xml)"
    " is written.",
)
@output_option(
    "結果檔，或放結果的資料夾 · The result's file, or a folder for them; else beside FILE: FILE.p7s,"
    " FILE.p7m, FILE.sig, NAME.signed.pdf, NAME.signed.xml."
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
    kind: str | None,
    level: str,
    detached: bool | None,
    enveloping: bool,
    over: bool,
    content_file: Path | None,
    reason: str,
    field: str,
    page: int,
    serialization: str | None,
    target: Path | None,
    hash_name: str,
    force: bool,
) -> int:
    """簽署檔案 · Sign files.

    已有簽章的檔案，簽署前會先顯示它的簽章。多個檔案只問一次 PIN 碼。

    The signatures that a file has are shown before it is signed again. The PIN is asked once for all files.
    """
    from signing.formats import Level
    from signing.formats.choice import Options, highest_level
    from signing.hashes import Hash

    if content_file is not None and len(documents) > 1:
        raise click.UsageError("--content 只能配一個檔案 · --content goes with one file")
    options = Options(
        detached=detached,
        enveloping=enveloping,
        over=over,
        reason=reason,
        field=field,
        page=page,
        serialization=serialization or "",
    )
    jobs = [_job(document, kind, options, content_file, target) for document in documents]
    if target is not None and not target.is_dir() and len(jobs) > 1:
        raise click.UsageError(
            "多個檔案時 -o 必須是已有的資料夾 · with several files, -o must be a folder that exists"
        )
    for job in jobs:
        highest = Level.B_B if job.form is None else highest_level(job.form.format)
        if not highest.reaches(Level(level)):
            raise click.UsageError(
                f"{job.document}: 這種格式最高到 {highest} · this format gets as far as {highest}"
            )
    files.check_free([job.target for job in jobs], force=force)
    verifier = verifier_of(call)

    async def task(work: Work) -> bool:
        return await _sign_all(work, jobs, verifier, Hash(hash_name), Level(level), force=force)

    return 0 if run(call, task) else 1


def _job(
    document: Path, kind: str | None, options: Options, content_file: Path | None, target: Path | None
) -> _Job:
    """Return how a file is signed.

    Raises:
        click.UsageError: the format has no such option.
        OSError: the file cannot be read.
    """
    from signing.cms.build import CmsForm
    from signing.formats import SignatureFormat
    from signing.formats.choice import Options, form_for, format_of

    detached = options.detached
    if kind in ("pkcs1", "cms"):
        if (kind == "pkcs1" and detached is False) or options != Options(detached=detached):
            raise click.UsageError(f"{kind} 沒有這個選項 · {kind} has no such option")
        suffix = _PKCS1 if kind == "pkcs1" else _CMS_DETACHED if detached else _CMS
        cms = CmsForm(detached=bool(detached)) if kind == "cms" else None
        return _Job(document, _target(document, suffix, target), None, cms)
    content = files.read(document)
    chosen = SignatureFormat(kind) if kind else format_of(content, document.name)
    if chosen is SignatureFormat.CADES:
        options = replace(options, content=content_beside(document, content_file))
    try:
        form = form_for(chosen, content, replace(options, name=document.name))
    except ValueError as error:
        raise click.UsageError(f"{document}: 這種格式沒有這個選項 · {error}") from None
    return _Job(document, _target(document, form.suffix, target), form)


def _target(document: Path, suffix: str, target: Path | None) -> Path:
    """Return where the result goes: `report.signed.pdf` for `report.pdf`, `note.txt.p7s` for `note.txt`."""
    if target is not None and not target.is_dir():
        return target
    same = document.suffix and suffix.count(".") > 1 and suffix.endswith(document.suffix.lower())
    name = (document.stem if same else document.name) + suffix
    return document.with_name(name) if target is None else target / name


async def _sign_all(
    work: Work, jobs: list[_Job], verifier: Verifier, algorithm: Hash, level: Level, *, force: bool
) -> bool:
    """Sign one after the other; return whether all were signed.

    A document that is refused or cannot be read says nothing about the next. Anything else does: a PIN that
    failed once would fail again and lock the card, so that the rest is left alone.
    """
    from signing.errors import DocumentRefusedError, DocumentUnusableError

    good = True
    for number, job in enumerate(jobs):
        try:
            signed, certificate, kind = await _sign_one(work, job, verifier, algorithm, level)
            files.write(job.target, signed, force=force)
        except (DocumentRefusedError, DocumentUnusableError) as error:
            output.error(error, subject=str(job.document))
            good = False
        except OSError as error:
            output.file_trouble(error)
            good = False
        except Exception:
            for left in jobs[number:]:
                output.warn(f"✘ {left.document}: 未簽署", "not signed")
            raise
        else:
            output.say(f"✔ {job.document} → {job.target}  ({kind}, {algorithm}, {_signer(certificate)})")
    return good


async def _sign_one(
    work: Work, job: _Job, verifier: Verifier, algorithm: Hash, level: Level
) -> tuple[bytes, bytes, str]:
    """Return the result, the signer's certificate, and what was made."""
    content, folder = files.read(job.document), job.document.resolve().parent
    if job.form is None:
        result = await work.operations.sign(
            work.caller,
            algorithm,
            document=content,
            reader=work.reader,
            folder=folder,
            name=job.document.name,
            cms=job.cms,
        )
        return result.signature, result.certificate, "PKCS#1" if job.cms is None else "CMS"
    await _show_signatures(job, content, verifier)
    done = await work.operations.sign_document(
        work.caller,
        job.form,
        content,
        hash=algorithm,
        level=level,
        reader=work.reader,
        folder=folder,
        name=job.document.name,
    )
    return done.document, done.certificate, f"{done.format} {done.level}"


async def _show_signatures(job: _Job, content: bytes, verifier: Verifier) -> None:
    """Show what the file is, if it has signatures: who signs again must know what with."""
    from signing.formats.cades import Cades
    from signing.verification.reading import is_signed

    if not is_signed(content):
        return
    outside = job.form.content if isinstance(job.form, Cades) else None
    document, signature = (content, None) if outside is None else (outside, content)
    report = await verifier.verify(document, signature, name=str(job.document), ask=False)
    if report.signatures:
        show_one(report)


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
