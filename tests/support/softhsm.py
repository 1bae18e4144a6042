"""SoftHSM2 with the keys and certificates of simulated cards: a PKCS#11 module that needs no reader."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from hca_card.simulator import templates
from hca_card.simulator.persons import current_validity
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


@dataclass(frozen=True)
class Object:
    """One key pair's certificate; without a key for an authority's."""

    id: bytes
    der: bytes
    pkcs8: bytes | None = None
    each_time: bool = False


def personnel_objects(*, each_time: bool = False) -> tuple[Object, ...]:
    """What an HCA personnel card holds: two pairs and two authorities."""
    validity = current_validity(datetime.now(UTC).date())
    signature, encryption = simulator_ca().identities(templates.personnel(NUMBER, validity))
    return (
        Object(b"\x01", signature.certificate, signature.private_key, each_time),
        Object(b"\x02", encryption.certificate, encryption.private_key),
        Object(b"\x10", simulator_ca().intermediates[0]),
        Object(b"\x11", simulator_ca().roots[0]),
    )


needs_softhsm = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None, reason="SoftHSM2 is not installed"
)


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
    return conf


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
    import pkcs11
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_der_private_key,
    )
    from pkcs11 import Attribute, ObjectClass
    from pkcs11.constants import CertificateType
    from pkcs11.util.rsa import decode_rsa_private_key

    token = pkcs11.lib(str(MODULE)).get_token(token_label=sys.argv[1])
    with token.open(rw=True, user_pin=PIN) as session:
        for one in json.load(sys.stdin):
            identity = {Attribute.ID: bytes.fromhex(one["id"]), Attribute.TOKEN: True}
            session.create_object(
                {
                    **identity,
                    Attribute.CLASS: ObjectClass.CERTIFICATE,
                    Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                    Attribute.SUBJECT: b"\x30\x00",
                    Attribute.VALUE: bytes.fromhex(one["der"]),
                    Attribute.PRIVATE: False,
                }
            )
            if one["pkcs8"] is None:
                continue
            key = load_der_private_key(bytes.fromhex(one["pkcs8"]), None)
            pkcs1 = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            session.create_object(
                {
                    **decode_rsa_private_key(pkcs1),
                    **identity,
                    Attribute.PRIVATE: True,
                    Attribute.SIGN: True,
                    Attribute.DECRYPT: True,
                    **({Attribute.ALWAYS_AUTHENTICATE: True} if one["each_time"] else {}),
                }
            )
