"""`sign` and `verify`: PKCS#1 and CMS signatures over files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli import files, output
from agent.cli.composition import run
from agent.cli.options import (
    Invocation,
    card_options,
    certificate_option,
    force_option,
    hash_option,
    json_option,
    output_option,
    pin_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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


@click.command()
@click.argument("document", metavar="FILE", type=files.INPUT)
@click.option(
    "--signature",
    "signature_file",
    metavar="FILE",
    type=files.INPUT,
    help="簽章檔 · The signature; else FILE.sig, FILE.p7s or FILE.p7m, or FILE itself where it holds both.",
)
@certificate_option(
    "簽章者的憑證，DER 或 PEM · The signer's certificate; else the one in the signature, or that of the card"
    " in the reader."
)
@hash_option("SHA-1")
@json_option
@card_options
@click.pass_obj
def verify(
    call: Invocation,
    *,
    document: Path,
    signature_file: Path | None,
    certificate_file: Path | None,
    hash_name: str,
) -> int:
    """驗證簽章 · Check a signature.

    無效時結束碼為 1。 The exit code is 1 when it is not valid.

    這裡不判斷憑證可不可信。 Whether the certificate can be trusted is not decided here.
    """
    from signing.errors import SignatureFormatError, SignatureInvalidError, SignedContentMissingError

    signature = _signature_for(document, signature_file)
    certificate = None if certificate_file is None else files.read_der(certificate_file)
    from_card = partial(run, call, _signature_certificate)
    try:
        signer = _verified(document, signature, certificate, hash_name, from_card)
    except SignedContentMissingError:
        raise click.UsageError(
            "簽章不含文件，請指定文件並用 --signature 指定簽章 · the signature is without its document;"
            " name the document, and the signature with --signature"
        ) from None
    except (SignatureInvalidError, SignatureFormatError) as error:
        if call.as_json:
            output.as_json({"valid": False, "error": output.error_members(error)})
        else:
            output.error(error, subject=str(document))
        return 1
    if call.as_json:
        output.as_json({"valid": True})
    else:
        output.say(f"✔ {document}: 簽章有效", f"the signature is valid ({_signer(signer)})")
    return 0


def _signature_for(document: Path, named: Path | None) -> Path:
    """Return the file with the signature: the one named, else one beside the document, else itself."""
    from signing.cms.verify import is_cms

    beside = [document.with_name(document.name + suffix) for suffix in (SUFFIX, _CMS_DETACHED, _CMS)]
    found = named or next((file for file in beside if file.is_file()), None)
    if found is None and is_cms(files.read_der(document)):
        return document
    if found is None:
        raise click.UsageError(
            f"沒有 {beside[0]}，請用 --signature 指定 · there is no {beside[0]}; name it with --signature"
        )
    return found


def _verified(
    document: Path,
    signature_file: Path,
    certificate: bytes | None,
    hash_name: str,
    from_card: Callable[[], bytes],
) -> bytes:
    """Return the certificate whose key signed the document.

    Args:
        document: the file that was signed; the signature's own where the document is inside.
        signature_file: a PKCS#1 or a CMS signature.
        certificate: the signer's, where it was named.
        hash_name: the hash of a PKCS#1 signature; CMS says it itself.
        from_card: reads the certificate of the card in the reader.

    Raises:
        SigningError: it does not hold, or cannot be judged.
    """
    from signing.cms.verify import is_cms, verify_cms
    from signing.errors import SignerMissingError
    from signing.hashes import Hash
    from signing.verify import check_format
    from signing.verify import verify as verify_pkcs1

    signature = files.read_der(signature_file)
    content = None if signature_file == document else document.read_bytes()
    if is_cms(signature):
        try:
            return verify_cms(signature, content, certificate).certificate
        except SignerMissingError:
            return verify_cms(signature, content, from_card()).certificate
    certificate = certificate or from_card()
    check_format(certificate, signature)
    verify_pkcs1(certificate, content or b"", signature, Hash(hash_name))
    return certificate


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


async def _signature_certificate(work: Work) -> bytes:
    return (await work.operations.certificate(work.caller, 1, work.reader)).der
