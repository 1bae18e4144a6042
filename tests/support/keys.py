"""RSA keys of tests: the first run makes them, all others find them in a folder of this user."""

from __future__ import annotations

import getpass
import hashlib
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from agent.private_files import write_private


@cache
def kept_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name; making one takes as long as ten tests."""
    folder = Path(tempfile.gettempdir()) / f"hca-agent-test-keys-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / hashlib.sha256(f"{name} {bits}".encode()).hexdigest()
    with suppress(OSError, ValueError):  # no file, or not a whole one
        found = load_der_private_key(file.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
        if isinstance(found, rsa.RSAPrivateKey):
            return found
    made = rsa.generate_private_key(65537, bits)
    write_private(file, made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return made
