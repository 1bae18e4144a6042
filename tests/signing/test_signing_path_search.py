"""A search for a path that has an end."""

from __future__ import annotations

from typing import Any

import pytest
from asn1crypto import x509
from pyhanko_certvalidator.registry import SimpleTrustManager

from signing import path_search
from signing.path_search import BoundedRegistry, SearchEndedError
from tests.support.test_pki import pki


def test_issuers_are_found_until_they_were_looked_for_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_search, "LOOKS", 3)
    authority, root, leaf = (
        x509.Certificate.load(der) for der in (pki().ca, pki().root, pki().certificate("rsa"))
    )
    registry: Any = BoundedRegistry()
    registry.register(authority)
    trusted = SimpleTrustManager.build([root])
    for _ in range(3):
        assert [found.dump() for found in registry.find_potential_issuers(leaf, trusted)] == [
            authority.dump()
        ]
    with pytest.raises(SearchEndedError):
        registry.find_potential_issuers(leaf, trusted)
