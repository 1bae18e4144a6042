"""Cards whose commands differ from the reference in every way a profile can say, known by a trace alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from hca_card import profile
from hca_card.errors import UnknownCardError
from hca_card.model import KeyUse
from hca_card.pin import Pin
from hca_card.recognise import recognise
from hca_card.simulator.foreign_card import ForeignBlueprint, ForeignWire, Signs
from hca_card.traces.imported import import_traces
from hca_card.traces.report import report
from signing.sign import ecdsa_der
from tests.support import trace_writers as write
from tests.support.cards import simulator_ca
from tests.support.foreign import makers_program
from tests.support.script import CardChannel
from tests.support.traced_profiles import INFO, PIN, nowhere

AUTHENTICATION = (0x41, 0xA4, bytes.fromhex("840185"))
WIRES = {
    "a block": ForeignWire(),
    "other classes": ForeignWire(file_class=0x00, key_class=0x80, select_p2=0x00),
    "short commands": ForeignWire(command_most=0x60, read_most=0x40),
    "a digest": ForeignWire(signs=Signs.DIGEST, environment=(0x41, 0xB6, bytes.fromhex("800142 840185"))),
    "a hash first": ForeignWire(signs=Signs.HASHED),
    "an environment as it stands": ForeignWire(environment=(0x81, 0xB6, bytes.fromhex("830185 800102"))),
    "an environment restored": ForeignWire(environment=(0xF3, 0x07, b"")),
    "no environment": ForeignWire(environment=None),
    "authentication": ForeignWire(signs=Signs.AUTHENTICATION, environment=AUTHENTICATION),
    "RSA 4096": ForeignWire(bits=4096),
    "P-256": ForeignWire(bits=256, signs=Signs.DIGEST),
    "P-384": ForeignWire(bits=384, signs=Signs.DIGEST),
    "P-521": ForeignWire(bits=521, signs=Signs.DIGEST),
    "P-256, authentication": ForeignWire(bits=256, signs=Signs.AUTHENTICATION, environment=AUTHENTICATION),
}


@pytest.mark.parametrize("name", WIRES)
def test_a_trace_of_the_makers_program_is_enough(tmp_path: Path, name: str) -> None:
    wire, file = WIRES[name], tmp_path / "trace"
    recorded = write.Recorded(ForeignBlueprint("000000336001", wire).build(simulator_ca()))
    makers_program(recorded.transmit, PIN.encode(), wire=wire)
    file.write_bytes(write.apduplay(recorded))
    with import_traces([file], "0") as imported:
        drafted = report(imported, atr=recorded.atr).drafted  # APDUPlay does not tell it
    assert drafted.complete, drafted.missing
    nowhere(PIN, drafted.text)
    with CardChannel(ForeignBlueprint("000000336002", wire).build(simulator_ca())) as channel:
        with pytest.raises(UnknownCardError):
            recognise(channel, channel.atr)
        card = recognise(channel, channel.atr, (profile.parse(drafted.text), profile.reference()))
        assert card.metadata().holder is not None
        der = card.certificate(1).der
        card.verify(Pin(PIN))
        judged(card.sign, der)


def judged(sign, der: bytes) -> None:
    """OpenSSL, by way of `cryptography`, finds no fault with a signature."""
    key = x509.load_der_x509_certificate(der).public_key()
    digest = hashlib.sha256(b"document").digest()
    if isinstance(key, EllipticCurvePublicKey):
        made = ecdsa_der(sign(KeyUse.SIGNATURE, digest), key.key_size)
        key.verify(made, b"document", ECDSA(SHA256()))
    else:
        assert isinstance(key, RSAPublicKey)
        key.verify(sign(KeyUse.SIGNATURE, INFO + digest), b"document", PKCS1v15(), SHA256())
