"""RSA keys of tests: the first run makes them, all others find them in a folder of this user."""

from __future__ import annotations

import getpass
import hashlib
import os
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
    if not file.exists():
        # Of processes that make it at once, the first one's is everybody's.
        made = rsa.generate_private_key(65537, bits)
        own = file.with_suffix(f".{os.getpid()}")
        write_private(own, made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        with suppress(FileExistsError):
            os.link(own, file)
        own.unlink()
    found = load_der_private_key(file.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(found, rsa.RSAPrivateKey)
    return found
