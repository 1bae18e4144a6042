"""The roots that ship are the certificates that their table names."""

from __future__ import annotations

import tomllib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import load_der_x509_certificate

from signing.verification import anchors


def test_each_root_is_its_own_issuer_and_has_the_fingerprint_of_its_row() -> None:
    table = tomllib.loads((anchors._FOLDER / "anchors.toml").read_text("utf-8"))
    roots = [load_der_x509_certificate(der) for der in anchors.shipped()]
    found = {root.fingerprint(hashes.SHA256()).hex() for root in roots}
    assert found == {row["sha256"] for row in table.values()}
    for root in roots:
        assert root.issuer == root.subject


def test_a_file_that_is_another_certificate_is_not_taken() -> None:
    name = next(iter(tomllib.loads((anchors._FOLDER / "anchors.toml").read_text("utf-8"))))
    with pytest.raises(ValueError, match="is not the certificate"):
        anchors._load(name, "00" * 32)
