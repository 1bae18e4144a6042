"""XML signatures in one step with the keys of the test PKI, and xmlsec1, the independent judge of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from signing.formats import Form
from signing.formats.emr import CDP
from signing.formats.xml_signature import Make, Part, assemble, new_signature
from signing.hashes import Hash
from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport
from signing.xml import DS, XADES
from signing.xml.canonical import Canonicalization
from signing.xml.parsing import parse
from tests.support.test_pki import NOW, RSA_SIGNER, pki, sign_with

# What a canonicalisation can get wrong: names that are not ASCII, prefixes that are rebound or taken back, an
# inherited xml:lang, entities of characters, comments, instructions outside the root.
ODD = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet href="a.xsl"?><!-- 前 -->
<病歷 xmlns="urn:test:a" xmlns:p="urn:test:p" xml:lang="zh-TW" 編號="一&#10;二">
  <p:姓名 xmlns:q="urn:test:p" q:類別="&quot;&lt;甲&gt;">王小明&#13;<!-- 中 --></p:姓名>
  <b xmlns="" z="1" a="2"><p:c xmlns:p="urn:test:other"/><![CDATA[<&>]]></b>
</病歷>
<?after x?>
""".encode()


def signed(
    form: Form,
    document: bytes,
    label: str = RSA_SIGNER,
    *,
    algorithm: Hash = Hash.SHA_256,
    when: datetime = NOW,
) -> bytes:
    """The document signed by that holder at level B-B."""
    ready = form.prepare(document, pki().signer(label), algorithm, when)
    assert ready.hash is algorithm
    return ready.finish(sign_with(label, ready.digest, algorithm))


def by_identifier(
    document: bytes,
    identifier: str,
    transforms: tuple[str, ...] = (Canonicalization.EXCLUSIVE,),
    label: str = RSA_SIGNER,
) -> bytes:
    """A signature over one element by its identifier, as many programs make it."""
    tree = parse(document)
    signature = new_signature()
    tree.getroot().append(signature)
    ready = assemble(
        tree,
        signature,
        [Part(f"#{identifier}", transforms, "text/xml")],
        make=Make(),
        signer=pki().signer(label),
        algorithm=Hash.SHA_256,
        when=NOW,
    )
    return ready.finish(sign_with(label, ready.digest, ready.hash))


def judged(
    document: bytes, signature: bytes | None = None, *, hard: bool = False, now: datetime = NOW
) -> DocumentReport:
    """What this program says, asking nobody."""
    trust = Trust(roots=(pki().root,), intermediates=(pki().ca,), hard=hard, now=now)
    return judge(read(document, signature), document, trust)


def findings(report: DocumentReport) -> set[str]:
    """The ids of everything that is said."""
    return {each.finding for each in report.remarks} | {
        each.finding for signature in report.signatures for each in signature.remarks
    }


def xmlsec_agrees(
    document: bytes, folder: Path, number: int = 1, authorities: tuple[bytes, bytes] | None = None
) -> bool:
    """Whether xmlsec1 takes the signature that stands at that place in the document.

    `authorities` are root and issuer, those of `pki` unless said.
    """
    program = shutil.which("xmlsec1")
    if program is None and sys.platform == "win32":
        pytest.skip("xmlsec1 is not brought by Windows")
    assert program is not None, "tools/setup test installs xmlsec1"
    for label, der in zip(("root", "ca"), authorities or (pki().root, pki().ca), strict=True):
        (folder / f"{label}.der").write_bytes(der)
    file = folder / "signed.xml"
    file.write_bytes(document)
    names = [(XADES, "SignedProperties"), (CDP, "ContentContainer"), (CDP, "ContentPackage")]
    names += [(DS, local) for local in ("SignatureValue", "KeyInfo", "Object")]
    arguments = [part for space, local in names for part in ("--id-attr:Id", f"{space}:{local}")]
    result = subprocess.run(
        [
            program,
            "--verify",
            "--trusted-der",
            "root.der",
            "--untrusted-der",
            "ca.der",
            *arguments,
            "--node-xpath",
            f"(//*[local-name()='Signature'])[{number}]",
            file.name,
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return result.returncode == 0
