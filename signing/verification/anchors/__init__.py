"""The roots that ship with this program: public certificates, each with its source and fingerprint."""

from __future__ import annotations

import base64
import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent


@cache
def shipped() -> tuple[bytes, ...]:
    """Return the roots, DER.

    Raises:
        ValueError: a file is not the certificate that the table says it is.
    """
    table = tomllib.loads((_FOLDER / "anchors.toml").read_text("utf-8"))
    return tuple(_load(name, str(row["sha256"])) for name, row in table.items())


def _load(name: str, fingerprint: str) -> bytes:
    lines = (_FOLDER / name).read_text("ascii").splitlines()
    der = base64.b64decode("".join(line for line in lines if not line.startswith("-----")))
    if hashlib.sha256(der).hexdigest() != fingerprint:
        raise ValueError(f"{name} is not the certificate that anchors.toml says it is")
    return der
