"""SoftHSM2 with the keys and certificates of simulated cards: a PKCS#11 module that needs no reader."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import pytest

from hca_card.pkcs11.cryptoki import (
    Attribute,
    CkAttribute,
    Cryptoki,
    Function,
    KeyType,
    ObjectClass,
    User,
    text,
)
from hca_card.simulator import templates
from hca_card.simulator.der import oid
from hca_card.simulator.persons import Validity, current_validity
from tests.support.cards import simulator_ca

MODULE = next(
    (
        path
        for path in map(
            Path,
            (
                "/usr/lib/softhsm/libsofthsm2.so",
                "/usr/lib64/softhsm/libsofthsm2.so",
                "/usr/lib64/pkcs11/libsofthsm2.so",
                "/opt/homebrew/lib/softhsm/libsofthsm2.so",
            ),
        )
        if path.exists()
    ),
    None,
)
PIN = "123456"
PUK = "12345678"
NUMBER = "000000335361"
LABEL = "測試人員卡"

YES, NO = b"\1", b"\0"
CKA_TOKEN, CKA_PRIVATE, CKA_CERTIFICATE_TYPE, CKA_SUBJECT = 0x01, 0x02, 0x80, 0x101
CKA_SENSITIVE, CKA_DECRYPT, CKA_SIGN, CKA_EXTRACTABLE = 0x103, 0x105, 0x108, 0x162
CKA_EC_PARAMS, CKA_DERIVE = 0x180, 0x10C
CURVES = {
    "secp256r1": oid("1.2.840.10045.3.1.7"),
    "secp384r1": oid("1.3.132.0.34"),
    "secp521r1": oid("1.3.132.0.35"),
}
CKA_RSA = (0x120, *range(0x122, 0x129))
"""Modulus, both exponents, both primes, both exponents of the CRT, and its coefficient."""


@dataclass(frozen=True)
class Object:
    """One key pair's certificate; without a key for an authority's."""

    id: bytes
    der: bytes
    pkcs8: bytes | None = None
    each_time: bool = False


def personnel_objects(
    *,
    each_time: bool = False,
    number: str = NUMBER,
    bits: int = 2048,
    pss: bool = False,
    agreeing: bool = False,
    last: date | None = None,
) -> tuple[Object, ...]:
    """What an HCA personnel card holds: two pairs, with a curve one, and two authorities."""
    validity = current_validity(datetime.now(UTC).date())
    validity = validity if last is None else Validity(validity.first, last)
    certificates = templates.personnel(number, validity)
    own = simulator_ca().identities(templates.of_key(certificates, bits, pss=pss, agreeing=agreeing))
    return (
        *(
            Object(bytes((at,)), one.certificate, one.private_key, each_time and at == 1)
            for at, one in enumerate(own, 1)
        ),
        Object(b"\x10", simulator_ca().intermediates[0]),
        Object(b"\x11", simulator_ca().roots[0]),
    )


needs_softhsm = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None, reason="SoftHSM2 is not installed"
)


def renew(objects: Iterable[Object], label: str = LABEL) -> None:
    """Have another program put these key pairs and certificates in the place of those with their numbers."""
    for one in objects:
        for kind in ("cert", "privkey") if one.pkcs8 else ("cert",):
            token = ("--module", str(MODULE), "--token-label", label, "--login", "--pin", PIN)
            which = ("--delete-object", "--type", kind, "--id", one.id.hex())
            subprocess.run(["pkcs11-tool", *token, *which], check=True, capture_output=True)
    _fill(objects, label, os.environ)


def make_token(folder: Path, objects: Iterable[Object], label: str = LABEL) -> Path:
    """A token of its own in `folder`; the value for SOFTHSM2_CONF."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokens").mkdir(exist_ok=True)
    conf = _configure(folder)
    environment = os.environ | {"SOFTHSM2_CONF": str(conf)}
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PUK],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    _fill(objects, label, environment)
    return conf


def _fill(objects: Iterable[Object], label: str, environment: Mapping[str, str]) -> None:
    told = [
        {
            "id": one.id.hex(),
            "der": one.der.hex(),
            "pkcs8": one.pkcs8 and one.pkcs8.hex(),
            "each_time": one.each_time,
        }
        for one in objects
    ]
    # In a process of its own: SoftHSM reads its configuration once.
    subprocess.run(
        [sys.executable, "-c", "from tests.support.softhsm import fill; fill()", label],
        input=json.dumps(told), text=True, env=environment, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def personnel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have modules that are started from here on see a fresh token with the keys of a personnel card."""
    shutil.copytree(_personnel(), folder / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(_configure(folder / "softhsm")))


@cache
def _personnel() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="softhsm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_token(folder, personnel_objects())
    return folder


def _configure(folder: Path) -> Path:
    conf = folder / "softhsm2.conf"
    conf.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    return conf


def fill() -> None:
    """In the process: put what standard input lists on the token of that label."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    module = Cryptoki(str(MODULE))
    slot = next(
        each
        for each in module.slots()
        if bytes(module.token_info(each).label).decode().strip() == sys.argv[1]
    )
    session = module.open_session(slot, writing=True)
    module.call(Function.C_Login, session, User.USER, *text(bytearray(PIN, "ascii")))
    for one in json.load(sys.stdin):
        identity = {CKA_TOKEN: YES, Attribute.ID: bytes.fromhex(one["id"])}
        certificate = {CKA_SUBJECT: b"\x30\x00", Attribute.VALUE: bytes.fromhex(one["der"])}
        kind = {Attribute.CLASS: ulong(ObjectClass.CERTIFICATE), CKA_CERTIFICATE_TYPE: ulong(0)}
        create_object(module, session, kind | identity | certificate | {CKA_PRIVATE: NO})
        if one["pkcs8"] is None:
            continue
        key = load_der_private_key(bytes.fromhex(one["pkcs8"]), None)
        uses = {CKA_PRIVATE: YES, CKA_SENSITIVE: YES, CKA_EXTRACTABLE: NO, CKA_SIGN: YES}
        if isinstance(key, RSAPrivateKey):
            secret = key.private_numbers()
            public = secret.public_numbers
            parts = (public.n, public.e, secret.d, secret.p, secret.q, secret.dmp1, secret.dmq1, secret.iqmp)
            numbers = dict(zip(CKA_RSA, map(octets, parts), strict=True)) | {CKA_DECRYPT: YES}
        else:
            assert isinstance(key, EllipticCurvePrivateKey)
            scalar = octets(key.private_numbers().private_value)
            numbers = {CKA_EC_PARAMS: CURVES[key.curve.name], Attribute.VALUE: scalar, CKA_DERIVE: YES}
        curve = CKA_EC_PARAMS in numbers
        kind = {Attribute.CLASS: ulong(ObjectClass.PRIVATE_KEY)}
        kind[Attribute.KEY_TYPE] = ulong(KeyType.EC if curve else KeyType.RSA)
        if one["each_time"]:
            uses[Attribute.ALWAYS_AUTHENTICATE] = YES
        create_object(module, session, kind | identity | uses | numbers)


def create_object(module: Cryptoki, session: int, template: Mapping[int, bytes]) -> None:
    values = [ctypes.create_string_buffer(value, len(value)) for value in template.values()]
    attributes = (CkAttribute * len(template))()
    for attribute, kind, value in zip(attributes, template, values, strict=True):
        attribute.type, attribute.value, attribute.length = kind, ctypes.addressof(value), len(value)
    module.call(Function.C_CreateObject, session, attributes, len(template), ctypes.byref(ctypes.c_ulong()))


def ulong(number: int) -> bytes:
    return bytes(ctypes.c_ulong(number))


def octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
