"""Which file `verify` takes for the document, and which for its signature."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.verifying import _pair
from signing.formats.cades import Cades
from signing.formats.jws import JwsForm
from signing.formats.xml_signature import Packaging, XmlForm
from tests.support.xml_signatures import signed

DOCUMENT = b"report"
FORMS = [Cades(), JwsForm(detached=True), *(XmlForm(each, Packaging.DETACHED, "a") for each in (True, False))]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.format.value)
def test_a_signature_beside_its_document_is_found_from_either(form, tmp_path: Path):
    document = tmp_path / "report.txt"
    document.write_bytes(DOCUMENT)
    signature = tmp_path / f"report.txt{form.suffix}"
    signature.write_bytes(signed(form, DOCUMENT))
    assert _pair(document, None) == (document, signature)
    assert _pair(signature, None) == (document, signature)
