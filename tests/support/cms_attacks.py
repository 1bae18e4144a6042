"""What is done to CMS messages around a signature; each from one that is valid.

With `key`, whoever signed is the attacker: the value is made anew over what was changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asn1crypto import cms, core, tsp  # noqa: F401  (tsp adds its names to cms's tables)
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

from tests.support.test_pki import key as pki_key

Change = Callable[[Any, Any], None]
"""Given SignedData and its first SignerInfo."""


def changed(message: bytes, change: Change, *, key: str | None = None) -> bytes:
    """The message with something of it changed; signed anew where a key is named."""
    whole = cms.ContentInfo.load(message)
    signed = whole["content"]
    signer = signed["signer_infos"][0]
    change(signed, signer)
    if key is not None:
        octets = b"\x31" + signer["signed_attrs"].dump()[1:]
        signer["signature"] = value(key, octets, signer["digest_algorithm"]["algorithm"].native)
    return bytes(whole.dump())


def value(key: str, octets: bytes, name: str = "sha256") -> bytes:
    """A signature value over these octets, with whatever hash, SHA-1 and MD5 too."""
    algorithm: hashes.HashAlgorithm = getattr(hashes, name.upper())()
    pair = pki_key(key)
    if isinstance(pair, rsa.RSAPrivateKey):
        return pair.sign(octets, padding.PKCS1v15(), algorithm)
    return pair.sign(octets, ECDSA(algorithm))


def attribute(signer: Any, name: str) -> Any:
    """The signed attribute of that name."""
    return next(each for each in signer["signed_attrs"] if each["type"].native == name)


def without(*names: str) -> Change:
    """Signed attributes gone."""

    def change(_signed: Any, signer: Any) -> None:
        left = [each for each in signer["signed_attrs"] if each["type"].native not in names]
        signer["signed_attrs"] = cms.CMSAttributes(left)

    return change


def doubled(name: str) -> Change:
    """A signed attribute that is there twice."""

    def change(_signed: Any, signer: Any) -> None:
        signer["signed_attrs"].append(attribute(signer, name).copy())

    return change


def told_twice(name: str, other: Any) -> Change:
    """A signed attribute with two values."""

    def change(_signed: Any, signer: Any) -> None:
        attribute(signer, name)["values"].append(other)

    return change


def instead(name: str, other: Any) -> Change:
    """Another value of a signed attribute."""

    def change(_signed: Any, signer: Any) -> None:
        attribute(signer, name)["values"] = [other]

    return change


def hashed_with(name: str, digest: bytes) -> Change:
    """The whole signature by another hash, as one that can be forged would be made."""

    def change(signed: Any, signer: Any) -> None:
        signed["digest_algorithms"] = [{"algorithm": name}]
        signer["digest_algorithm"] = {"algorithm": name}
        signer["signature_algorithm"] = {"algorithm": f"{name}_rsa"}
        instead("message_digest", digest)(signed, signer)
        without("cms_algorithm_protection")(signed, signer)

    return change


def unsigned(signer: Any, name: str, *values: Any) -> None:
    """Put an unsigned attribute beside a signature, in the place of all others."""
    made = {"type": name, "values": list(values)}
    signer["unsigned_attrs"] = cms.CMSAttributes([cms.CMSAttribute(made)])
