"""The binding by itself: what no module on this system can show."""

from __future__ import annotations

import importlib.util
import sys
from ctypes import Structure, c_ulong, c_void_p, sizeof
from pathlib import Path

import pytest

from hca_card.pkcs11 import cryptoki

LONG, POINTER = sizeof(c_ulong), sizeof(c_void_p)


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("CkSlotInfo", 64 + 32 + LONG + 4),
        ("CkTokenInfo", 32 + 32 + 16 + 16 + 11 * LONG + 4 + 16),
        ("CkAttribute", LONG + POINTER + LONG),
        ("_Mechanism", LONG + POINTER + LONG),
        ("_FunctionList", 2 + 68 * POINTER),
    ],
)
def test_structures_are_packed_on_windows_and_aligned_elsewhere(
    monkeypatch: pytest.MonkeyPatch, name: str, octets: int
) -> None:
    for platform, alignment in (("win32", 1), ("linux", POINTER), ("darwin", POINTER)):
        monkeypatch.setattr(sys, "platform", platform)
        spec = importlib.util.spec_from_file_location("packed", Path(cryptoki.__file__))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        kind: type[Structure] = getattr(module, name)
        assert sizeof(kind) == -(-octets // alignment) * alignment
