"""Files that others published to try those who verify: PDFs changed between signatures, XML that bursts.

Sources and licences: tests/data/attacked/README.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from signing.verification.judge import Trust, judge
from signing.verification.reading import read
from signing.verification.report import DocumentReport, Verdict

FILES = Path(__file__).parents[2] / "data" / "attacked"


def told(name: str) -> DocumentReport:
    document = (FILES / name).read_bytes()
    return judge(read(document), document, Trust(roots=(), hard=False))


def findings(report: DocumentReport) -> set[str]:
    remarks = [*report.remarks, *(each for one in report.signatures for each in one.remarks)]
    return {each.finding for each in remarks}


CHANGED = {
    # An appearance of a field is changed that something else shows too; the change looks like a filled form.
    "form-update-ap-indirect-sneaky-trailer.pdf": "content.changed",
    "form-update-override-appearance-stream-sneaky.pdf": "content.changed",
    "one-byterange.pdf": "signature.unreadable",
    "signature-gap-too-big.pdf": "structure.ambiguous",
    "tail-uncovered.pdf": "structure.ambiguous",
    "weird-byterange.pdf": "structure.ambiguous",
    "pdf-sig-with-econtent.pdf": "structure.ambiguous",
    "ed448-disallowed-hash.pdf": "structure.ambiguous",
    "invalid_enveloped_transform.xml": "signature.wrong",
    "signature-rsa-enveloped-bad-digest-val.xml": "content.changed",
    "signature-rsa-enveloped-bad-sig.xml": "signature.wrong",
    "signature-rsa-xpath-transform-enveloped.xml": "structure.ambiguous",
    "x509data-test.xml": "structure.ambiguous",
}
REFUSED = {
    "minimal-hybrid-xref.pdf": "structure.refused",
    "circular-xref-chain.pdf": "document.unreadable",
    "minimal-startxref-hopeless.pdf": "document.unreadable",
    "xmlbomb.xml": "structure.refused",
    "xmlbomb2.xml": "structure.refused",
    "cyclic.xml": "document.unreadable",
    "external.xml": "structure.refused",
    "external_file.xml": "structure.refused",
}
WHOLE = (
    "form-update-override-appearance-stream.pdf",
    "enveloped-sha256-rsa-sha256-test-1.xml",
    "signature-rsa-enveloped.xml",
)
"""What some of them were made from."""


@pytest.mark.parametrize("name", CHANGED)
def test_what_was_attacked_is_invalid_and_it_is_said_why(name: str) -> None:
    report = told(name)
    assert (report.verdict, CHANGED[name] in findings(report)) == (Verdict.INVALID, True), findings(report)
    assert not report.signatures[0].unchanged


@pytest.mark.parametrize("name", REFUSED)
def test_what_bursts_or_leads_elsewhere_is_not_read(name: str) -> None:
    report = told(name)
    assert (report.verdict, report.signatures) == (Verdict.UNDECIDED, ())
    assert REFUSED[name] in findings(report)


@pytest.mark.parametrize("name", WHOLE)
def test_what_was_not_attacked_is_unchanged(name: str) -> None:
    assert told(name).signatures[0].unchanged


def test_every_file_is_judged_and_has_a_source() -> None:
    there = {file.name for file in FILES.iterdir()} - {"README.md"}
    assert there == {*CHANGED, *REFUSED, *WHOLE}
