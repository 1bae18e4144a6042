"""The simulator's certification authority: makes keys and certificates at first use and keeps them."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hca_card.simulator.ec import EcKey
from hca_card.simulator.key_commands import CardKey
from hca_card.simulator.rsa import RsaKey
from hca_card.simulator.templates import ISSUING, ROOT, Template, revoked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_LABELS: Final = ("PRIVATE KEY", "CERTIFICATE")
_PEM: Final = re.compile(
    "\\s*".join(f"-----BEGIN {label}-----([A-Za-z0-9+/=\\s]+)-----END {label}-----" for label in _LABELS)
)


@dataclass(frozen=True, slots=True, repr=False)
class SimulatedIdentity:
    """A private key and its certificate, both DER (PKCS#8 and X.509)."""

    private_key: bytes
    certificate: bytes

    def load(self) -> RSAPrivateKey:
        """Return the private key of an authority, or of a card with RSA, as `cryptography` has it."""
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        key = self._load()
        if not isinstance(key, RSAPrivateKey):
            raise TypeError("this identity has no RSA key")
        return key

    def card_key(self) -> CardKey:
        """Return the private key as a simulated card has it."""
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

        key = self._load()
        return EcKey(key) if isinstance(key, EllipticCurvePrivateKey) else RsaKey(self.load())

    def _load(self) -> PrivateKeyTypes:
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        # The full check of a key takes longer than using it, and this one is of our own making.
        return load_der_private_key(self.private_key, None, unsafe_skip_rsa_key_validation=True)

    def pem(self) -> str:
        """Both as PEM (RFC 7468)."""
        return "".join(
            f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"
            for label, der in zip(_LABELS, (self.private_key, self.certificate), strict=True)
        )

    @classmethod
    def from_pem(cls, text: str) -> SimulatedIdentity:
        """Return what `pem` gave.

        Raises:
            ValueError: anything else.
        """
        found = _PEM.fullmatch(text.strip())
        if found is None:
            raise ValueError("not a private key followed by its certificate")
        return cls(*(base64.b64decode(part) for part in found.groups()))


class SimulatorCa:
    """Makes the certificates of simulated cards; thread-safe.

    Args:
        folder: where keys and certificates are kept, one PEM file each, readable by this user alone; made
            when missing. Processes may share it. None keeps them in memory. What is in it is as worthless
            as the cards: never trust its root outside a demonstration or a test.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._identities: dict[Template, SimulatedIdentity] = {}
        self._lock = threading.Lock()

    @property
    def roots(self) -> tuple[bytes, ...]:
        """What a demonstration or a test trusts: DER certificates."""
        return (self.identity(ROOT).certificate,)

    @property
    def intermediates(self) -> tuple[bytes, ...]:
        """What stands between the roots and the cards' certificates: DER certificates."""
        return (self.identity(ISSUING).certificate,)

    def crl(self) -> bytes:
        """Return the issuing authority's revocation list of today, DER: the certificates of `hpc-revoked`."""
        from hca_card.simulator.issuance import revoke

        today = datetime.now(UTC).date()
        return revoke(ISSUING, self.identity(ISSUING).load(), revoked(today), today)

    def authorities_crl(self) -> bytes:
        """Return the root's revocation list of today, DER: no simulated authority is ever revoked."""
        from hca_card.simulator.issuance import revoke

        return revoke(ROOT, self.identity(ROOT).load(), (), datetime.now(UTC).date())

    def identity(self, template: Template) -> SimulatedIdentity:
        """Return the key and certificate of that template, made if this is the first time."""
        return self.identities([template])[0]

    def identities(self, templates: Iterable[Template]) -> list[SimulatedIdentity]:
        """Return the keys and certificates of these templates; what is missing is made side by side.

        Raises:
            ValueError: a file in the folder is not what this class writes.
            OSError: the folder cannot be read or written.
        """
        wanted = list(templates)
        with self._lock:
            self._make([template for template in _with_issuers(wanted) if not self._recall(template)])
            return [self._identities[template] for template in wanted]

    def _recall(self, template: Template) -> bool:
        """Return whether the identity is known or, by now, read from the folder. Issuers must come first."""
        if template in self._identities:
            return True
        path = self._path(template)
        if path is None or not path.exists():
            return False
        self._identities[template] = _read(path)
        return True

    def _make(self, templates: list[Template]) -> None:
        if not templates:
            return
        from hca_card.simulator.issuance import certify, generate, pkcs8

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            keys = list(pool.map(generate, [template.bits for template in templates]))
        for template, key in zip(templates, keys, strict=True):
            own = SimulatedIdentity(pkcs8(key), b"")
            issuer_key = (self._identities[template.issuer] if template.issuer else own).load()
            identity = replace(own, certificate=certify(template, key, issuer_key))
            path = self._path(template)
            self._identities[template] = _write_once(path, identity) if path else identity

    def _path(self, template: Template) -> Path | None:
        """Return the template's file under its present issuer; another wording or issuer is another file."""
        if self._folder is None or (template.issuer and template.issuer not in self._identities):
            return None
        issuer = self._identities[template.issuer].certificate if template.issuer else b""
        print_ = hashlib.sha256(issuer + template.wording).hexdigest()[:16]
        return self._folder / f"{template.name}-{print_}.pem"


PROCESS_CA: Final = SimulatorCa()
"""The authority of cards for which none is named: in memory, one for the whole process."""


def _with_issuers(templates: Iterable[Template]) -> Iterator[Template]:
    """Return the templates and all that stand above them, each once, issuers first."""
    found: dict[Template, None] = {}

    def visit(template: Template) -> None:
        if template.issuer is not None:
            visit(template.issuer)
        found.setdefault(template)

    for template in templates:
        visit(template)
    return iter(found)


def _read(path: Path) -> SimulatedIdentity:
    try:
        return SimulatedIdentity.from_pem(path.read_text("ascii"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete the folder, it is made again") from None


def _write_once(path: Path, identity: SimulatedIdentity) -> SimulatedIdentity:
    """Write the file unless another process was first; what is in the file then counts for both."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes a file of mode 0600; the link or rename makes it appear whole or not at all.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(identity.pem())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return _read(path)
        except OSError:
            # A file system without hard links: the last writer wins, and its issuer's file stands already.
            Path(temporary).replace(path)
            return identity
        return identity
    finally:
        Path(temporary).unlink(missing_ok=True)
