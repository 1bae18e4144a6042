"""Parts of simulated cards that few kinds of card use, each by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hca_card.simulator import faults, templates
from hca_card.simulator.ec import EcKey
from hca_card.simulator.issuance import certify, generate
from hca_card.simulator.persons import current_validity
from hca_card.simulator.rsa import RsaKey
from hca_card.tlv import Tlv
from tests.support.cards import play, simulated
from tests.support.keys import kept_key

DIGEST = bytes(range(32))


@cache
def curve() -> ec.EllipticCurvePrivateKey:
    key = generate(256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def rsa_key() -> RSAPrivateKey:
    return kept_key("simulator pieces", 2048)


def test_a_key_on_a_curve_signs_digests_and_nothing_else() -> None:
    curve().public_key().verify(EcKey(curve()).sign(DIGEST), DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    with pytest.raises(ValueError, match="no digest"):
        EcKey(curve()).sign(DIGEST[:31])


def test_a_key_on_a_curve_agrees_with_a_point_in_its_template() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    point = other.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    template = Tlv(0xA6, Tlv(0x7F49, Tlv(0x86, point).encode()).encode()).encode()
    assert EcKey(curve()).decipher(template) == other.exchange(ec.ECDH(), curve().public_key())
    for wrong in (point, template[:-1], template[:-65] + b"\x04" + bytes(64)):
        with pytest.raises(ValueError, match=r"."):
            EcKey(curve()).decipher(wrong)


def test_an_rsa_key_makes_pss_over_digests_and_nothing_else() -> None:
    key, algorithm = rsa_key(), hashes.SHA256()
    made = RsaKey(key).sign_pss(DIGEST)
    key.public_key().verify(made, DIGEST, PSS(MGF1(algorithm), PSS.DIGEST_LENGTH), Prehashed(algorithm))
    with pytest.raises(ValueError, match="no digest"):
        RsaKey(key).sign_pss(DIGEST[:31])


def test_a_fault_lets_the_power_go_as_the_card_inside_does() -> None:
    card = simulated("hpc")
    wrapped = faults.Wrapper(card)
    assert wrapped.power_on() == card.power_on()
    assert wrapped.transmit(bytes.fromhex("00A4000C023F00"))[-2:] == b"\x90\x00"
    wrapped.power_off()
    assert wrapped.transmit(bytes.fromhex("00A4000C023F00")) == b""


def test_a_card_of_the_first_generation_of_hicos_knows_its_own_commands_alone() -> None:
    play(
        simulated("hicos"),
        """
        > 00 A4 00 00 02 3F 00           another class
        < 6E 00
        > 80 A4 04 00 02 3F 00
        < 6A 86
        > 80 B0 00 00 10                 nothing is selected
        < 69 86
        > 80 A4 00 00 02 4F FF
        < 6A 82
        > 80 A4 00 00 02 09 00
        < 90 00
        > 80 A4 00 00 02 09 03
        < 90 00
        > 80 B0 00 00 04
        < ... 90 00
        > 80 B0 00 00 00                 more than it gives at a time
        < 67 00
        > 80 B0 7F 00 04                 beyond the end
        < 6B 00
        > 80 20 00 81 06 31 32 33 34 35 36
        < 69 82
        """,
    )


def test_files_are_selected_one_by_one_and_nothing_by_two_names() -> None:
    play(
        simulated("hpc"),
        """
        > 00 A4 08 0C 02 50 15
        < 90 00
        > 00 A4 00 0C 02 50 15           the folder itself
        < 90 00
        > 00 A4 00 0C 02 4F FF
        < 6A 82
        > 00 A4 00 0C 04 50 15 50 31
        < 6A 87
        """,
    )


def test_an_nhi_card_has_one_application_alone() -> None:
    play(simulated("nhi"), "> 00 A4 04 00 05 A0 00 00 00 01\n< 6A 82")


def test_certificates_of_old_cards_and_of_keys_for_pss_alone_are_signed_as_they_say() -> None:
    """Made anew: what other runs of tests left in their folder would hide how."""
    names = templates.personnel("000000335388", current_validity(datetime.now(UTC).date()))
    issuer = rsa_key()
    old = certify(replace(names[0], bits=1024, legacy=True), rsa_key(), issuer)
    parsed = x509.load_der_x509_certificate(old)
    assert isinstance(parsed.signature_hash_algorithm, SHA1)
    issuer.public_key().verify(parsed.signature, parsed.tbs_certificate_bytes, PKCS1v15(), SHA1())
    alone = asn1.Certificate.load(certify(templates.of_key(names, 2048, pss=True)[0], rsa_key(), issuer))
    assert alone.public_key.algorithm == "rsassa_pss"
    signed = alone["tbs_certificate"].dump()
    issuer.public_key().verify(alone.signature, signed, PKCS1v15(), hashes.SHA256())
