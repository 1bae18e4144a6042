"""`verify`: what signed files are worth, in a sentence each and then in detail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.cli import files, output
from agent.cli.composition import folder, run
from agent.cli.options import Invocation, card_options, certificate_option, hash_option, json_option

if TYPE_CHECKING:
    from agent.cli.composition import Work
    from agent.verification import Verifier
    from signing.verification.report import DocumentReport, SignatureReport

SUFFIXES: Final = (".sig", ".p7s", ".p7m", ".jws", ".jws.json", ".xades.xml", ".xmldsig.xml")
"""Of signatures beside their document, in this order."""

PROVENANCE: Final = ".provenance.json"
"""What takes the place of `.json` in the name of a FHIR resource's signature."""

UNDECIDED: Final = 3
_MARKS: Final = {"valid": "✔", "valid-with-remark": "✔", "cannot-be-decided": "?", "invalid": "✘"}
_CLOCKS: Final = {
    "time-stamp": ("時戳", "time stamp"),
    "signer": ("簽章者的時鐘", "the signer's clock"),
    "none": ("", ""),
}
_REVOCATION: Final = {
    "good": ("未廢止", "not revoked"),
    "revoked": ("已廢止", "revoked"),
    "unknown": ("不明", "unknown"),
}


@click.command()
@click.argument("documents", metavar="FILE...", nargs=-1, required=True, type=files.INPUT)
@click.option(
    "--signature",
    "signature_file",
    metavar="FILE",
    type=files.INPUT,
    help="簽章檔 · The signature; else the one beside FILE (.sig, .p7s, .jws, .xades.xml…), or inside it.",
)
@certificate_option(
    "簽章者的憑證，DER 或 PEM · The signer's certificate, for a signature that does not hold it; else that of"
    " the card in the reader."
)
@click.option(
    "--offline", is_flag=True, help="不連線查詢是否廢止 · Ask no authority whether a certificate is revoked."
)
@hash_option("SHA-1")
@json_option
@card_options
@click.pass_obj
def verify(
    call: Invocation,
    *,
    documents: tuple[Path, ...],
    signature_file: Path | None,
    certificate_file: Path | None,
    offline: bool,
    hash_name: str,
) -> int:
    """驗證簽章 · Say what the signatures of files are worth.

    誰簽的、何時簽的、有沒有被改過、憑證可不可信、有沒有被廢止。 Who signed, when, whether it was changed,
    whether the certificate is trusted, and whether it was revoked.

    結束碼：0 有效、1 無效、3 無法判定。 Exit code: 0 valid, 1 invalid, 3 cannot be decided.
    """
    from signing.certificate import parsed
    from signing.hashes import Hash

    if signature_file is not None and len(documents) > 1:
        raise click.UsageError("--signature 只能配一個檔案 · --signature goes with one file")
    pairs = [_pair(document, signature_file) for document in documents]
    certificate = None if certificate_file is None else files.read_der(certificate_file)
    if certificate is not None:
        parsed(certificate)
    verifier = verifier_of(call)
    reports = []
    for document, signature in pairs:
        value = None if signature is None else files.read_der(signature)
        content = files.read_der(document) if value is None else files.read(document)
        named = certificate
        if value is not None and named is None and not _holds_its_certificate(value):
            named = run(call, _certificate_of_card)
        reports.append(
            asyncio.run(
                verifier.verify(
                    content,
                    value,
                    certificate=named,
                    algorithm=Hash(hash_name),
                    name=str(document),
                    ask=not offline,
                )
            )
        )
    return show(call, reports)


def show(call: Invocation, reports: Sequence[DocumentReport]) -> int:
    """Print reports, and return the exit code that they come to."""
    if call.as_json:
        import msgspec

        output.as_json({"valid": _exit_code(reports) == 0, "documents": msgspec.to_builtins(reports)})
    else:
        for report in reports:
            show_one(report)
    return _exit_code(reports)


def _exit_code(reports: Sequence[DocumentReport]) -> int:
    verdicts = {report.verdict.value for report in reports}
    if "invalid" in verdicts:
        return 1
    return UNDECIDED if "cannot-be-decided" in verdicts else 0


def verifier_of(call: Invocation) -> Verifier:
    """Return the verifier of this machine; with simulated cards, of those too."""
    from agent.verification import Verifier

    paths, config = folder()
    return Verifier(config, paths, simulated=bool(call.simulate))


def content_beside(signature: Path, named: Path | None) -> bytes | None:
    """Return the document that a detached signature is over: the one named, else the file beside it.

    None where the file is no signature without its document, or that is not there.
    """
    if named is not None:
        return files.read(named)
    beside = signature.with_suffix("")
    detached = signature.suffix == ".p7s" and beside.is_file() and _is_detached(signature)
    return files.read(beside) if detached else None


def _pair(document: Path, named: Path | None) -> tuple[Path, Path | None]:
    """Return the document and the file of its signature; None for one that is inside."""
    from signing.verification.reading import is_signed

    if named is not None:
        return (document, None) if named == document else (document, named)
    names = [document.name + suffix for suffix in SUFFIXES]
    if document.suffix == ".json":
        names.append(document.stem + PROVENANCE)
    for name in names:
        if (beside := document.with_name(name)).is_file() and beside != document:
            return document, beside
    for suffix, ending in ((PROVENANCE, ".json"), *((suffix, "") for suffix in SUFFIXES)):
        signed = document.with_name((document.name.removesuffix(suffix) or document.stem) + ending)
        if document.name.endswith(suffix) and signed.is_file() and _is_detached(document):
            return signed, document
    if is_signed(files.read_der(document)):
        return document, None
    raise click.UsageError(
        f"{document} 裡沒有簽章，旁邊也沒有 {document.name}{SUFFIXES[0]}；請用 --signature 指定"
        f" · {document} holds no signature, and {document.name}{SUFFIXES[0]} is not beside it; name it with"
        " --signature"
    )


def _is_detached(signature: Path) -> bool:
    from signing.verification.findings import Finding
    from signing.verification.reading import is_signed, read

    content = files.read_der(signature)
    if not is_signed(content):
        return True
    return any(
        remark.finding is Finding.CONTENT_MISSING
        for found in read(content).signatures
        for remark in found.remarks
    )


def _holds_its_certificate(signature: bytes) -> bool:
    from signing.verification.reading import is_signed, read

    return is_signed(signature) and all(each.certificate for each in read(signature).signatures)


async def _certificate_of_card(work: Work) -> bytes:
    return (await work.operations.certificate(work.caller, 1, work.reader)).der


def show_one(report: DocumentReport) -> None:
    """Print what is to be read of a document and its signatures."""
    output.say(f"{_MARKS[report.verdict.value]} {report.name}: {report.zh}", report.en)
    # The first one is what the sentence already says.
    for remark in report.remarks[1:]:
        output.say(f"    {remark.zh}", f"{remark.en}{_detail(remark.detail)}")
    for signature in report.signatures:
        for zh, en in _lines(signature):
            output.say(zh, en)


def _lines(signature: SignatureReport) -> Iterator[tuple[str, str]]:
    """Give what is to be read of one signature, the worst of its remarks after the facts."""
    signer = signature.signer
    who = "簽章者不明 signer unknown" if signer is None else signer.name
    about = [] if signer is None else [signer.category, "模擬卡 SIMULATED" if signer.simulated else ""]
    named = "，".join(part for part in (who, *about) if part)
    over = f"（副署第 {signature.over} 個 · countersigns {signature.over}）" if signature.over else ""
    kind = " ".join(part for part in (signature.format, signature.level) if part)
    mark = _MARKS[signature.verdict.value]
    yield f"  {mark} {signature.number}. {named}{over}  [{kind}] {signature.algorithm}", ""
    if signature.time is not None:
        zh, en = _CLOCKS[signature.time_source.value]
        authority = f" {signature.time_authority}" if signature.time_authority else ""
        yield f"      時間 {signature.time.astimezone():%Y-%m-%d %H:%M:%S}（{zh}{authority}）", f"by {en}"
    if signature.reason:
        yield f"      原因 reason: {signature.reason}", ""
    if signature.signs:
        yield f"      範圍 covers: {signature.signs}", ""
    if signature.chain:
        yield f"      憑證鏈 chain: {' → '.join(each.subject for each in signature.chain)}", ""
    if signature.revocation is not None:
        zh, en = _REVOCATION[signature.revocation.state]
        yield f"      廢止狀態 {zh} {signature.revocation.source}".rstrip(), en
    for remark in signature.remarks:
        yield f"      • {remark.zh}", f"{remark.en}{_detail(remark.detail)}"


def _detail(text: str) -> str:
    return f" ({text})" if text else ""
