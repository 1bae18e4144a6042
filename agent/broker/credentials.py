"""Who one is to the broker: the file of NATS credentials, an NKEY seed, or a user name and its password.

A secret comes from a file that others cannot read, never from an argument or a variable of the environment.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.errors import AgentError, ErrorId

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SIZE_MAX: Final = 65536
_JWT: Final = re.compile(r"-+BEGIN NATS USER JWT-+\s+([\w.-]+)\s+-+END NATS USER JWT-+")
_SEED: Final = re.compile(r"\bSU[A-Z2-7]{56}\b")
# https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth: base32 of the
# kind, the key and a CRC-16; what a user's seed begins with is two kinds in one: seed, and user.
_IN_SUBJECTS: Final = re.compile("[A-Za-z0-9_-]{1,64}")
_USER: Final = 20 << 3
_SEED_OF_USER: Final = bytes((18 << 3 | _USER >> 5, (_USER & 0x1F) << 3))


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What is shown to the broker; the members that are None do not apply.

    Attributes:
        jwt: what an operator of NATS has signed for this user.
        public_key: the NKEY, as the broker lists it.
        sign: signs the broker's nonce.
        user: a name.
        password: and its password.
    """

    jwt: str | None = None
    public_key: str | None = None
    sign: Callable[[str], bytes] | None = None
    user: str | None = None
    password: str | None = None

    @property
    def inbox(self) -> str:
        """What the subjects of answers begin with: a broker can keep others from listening there."""
        name = self.user or self.public_key or ""
        return f"_INBOX_{name}" if _IN_SUBJECTS.fullmatch(name) else "_INBOX"


def read_credentials(path: Path) -> Credentials:
    """Return the credentials in a file: `.creds`, a line with an NKEY seed, or a line `user:password`.

    Raises:
        AgentError: broker.credentials: it cannot be read, others can read it, or it is none of those.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise AgentError(ErrorId.BROKER_CREDENTIALS, detail=f"{path}: not a file")
            if os.name == "posix" and status.st_mode & 0o077:
                raise AgentError(ErrorId.BROKER_CREDENTIALS, detail=f"{path}: others can read it; chmod 600")
            text = file.read(_SIZE_MAX).decode("ascii")
    except OSError as error:
        raise AgentError(ErrorId.BROKER_CREDENTIALS, detail=f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AgentError(ErrorId.BROKER_CREDENTIALS, detail=f"{path}: not text") from None
    if seed := _SEED.search(text):
        try:
            key = _key(seed[0])
        except ValueError:
            raise AgentError(ErrorId.BROKER_CREDENTIALS, detail=f"{path}: a damaged seed") from None
        jwt = _JWT.search(text)
        return Credentials(jwt[1] if jwt else None, _public(key), lambda nonce: _signature(key, nonce))
    user, colon, password = text.strip().partition(":")
    if not (user and colon and password) or not text.strip().isprintable():
        raise AgentError(ErrorId.BROKER_CREDENTIALS, detail=f"{path}: neither a seed nor user:password")
    return Credentials(user=user, password=password)


def _key(seed: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    if not raw.startswith(_SEED_OF_USER) or _crc(raw[:-2]) != raw[-2:]:
        raise ValueError
    return Ed25519PrivateKey.from_private_bytes(raw[2:34])


def _public(key: Ed25519PrivateKey) -> str:
    raw = bytes((_USER,)) + key.public_key().public_bytes_raw()
    return base64.b32encode(raw + _crc(raw)).rstrip(b"=").decode()


def _crc(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0).to_bytes(2, "little")


def _signature(key: Ed25519PrivateKey, nonce: str) -> bytes:
    return base64.b64encode(key.sign(nonce.encode()))
