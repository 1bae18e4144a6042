"""CMS: what the card makes is what openssl accepts, with the attributes it should have, in DER order."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import cms, core
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from hca_card.errors import ObjectMissingError
from hca_card.simulator import templates
from hca_card.simulator.persons import current_validity
from signing.cms.build import (
    CARD_NUMBER,
    RANDOM_NONCE,
    REASON_MAX,
    CmsForm,
    sign_cms,
    signed_attributes,
    signed_data,
    signer_info,
)
from signing.cms.verify import verify_cms
from signing.errors import DocumentRefusedError, HashUnsupportedError, SignatureInvalidError
from signing.hashes import Hash
from tests.support.cards import simulator_ca
from tests.support.certificates import Made, key
from tests.support.openssl import openssl_program
from tests.support.software_card import SoftwareCard, rsa_key, signature_certificate

DOCUMENT = "出生通報 birth report".encode()
WHEN = datetime(2026, 11, 22, 5, 30, 15, 999, tzinfo=UTC)
ALL = CmsForm(card_number=True, nonce=b"0123456789abcdef")


def read(der: bytes) -> cms.SignedData:
    info = cms.ContentInfo.load(der, strict=True)
    assert info["content_type"].native == "signed_data"
    return info["content"]


def run_openssl(folder: Path, der: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    (folder / "signature.der").write_bytes(der)
    command = [openssl_program(), *words, "-inform", "DER", "-in", str(folder / "signature.der")]
    return subprocess.run(command, capture_output=True, check=False)


def verified(folder: Path, der: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    pem = x509.load_der_x509_certificate(signature_certificate()).public_bytes(Encoding.PEM)
    (folder / "root.pem").write_bytes(pem)
    trust = ("-CAfile", str(folder / "root.pem"), "-partial_chain", "-purpose", "any", "-binary")
    return run_openssl(folder, der, "cms", "-verify", *trust, *words)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", Hash)
def test_openssl_verifies_an_attached_signature_and_finds_the_document_in_it(algorithm: Hash, tmp_path: Path):
    der = sign_cms(SoftwareCard(), DOCUMENT, algorithm, ALL, allow_sha1=True)
    done = verified(tmp_path, der)
    assert (done.returncode, done.stdout) == (0, DOCUMENT), done.stderr


def test_openssl_verifies_a_detached_signature_against_the_document_and_no_other(tmp_path: Path):
    der = sign_cms(SoftwareCard(), DOCUMENT, Hash.SHA_256, CmsForm(detached=True))
    assert DOCUMENT not in der
    document = tmp_path / "document"
    document.write_bytes(DOCUMENT)
    assert verified(tmp_path, der, "-content", str(document)).returncode == 0
    document.write_bytes(DOCUMENT + b".")
    assert verified(tmp_path, der, "-content", str(document)).returncode != 0


def test_openssl_asn1parse_shows_the_attributes_and_their_values(tmp_path: Path):
    der = sign_cms(SoftwareCard(), DOCUMENT, Hash.SHA_256, ALL, when=WHEN)
    text = run_openssl(tmp_path, der, "asn1parse").stdout.decode("utf-8", "replace")
    for line in (
        ":contentType", ":signingTime", ":261122053015Z", ":messageDigest", f":{CARD_NUMBER}",
        ":000000335361", f":{RANDOM_NONCE}", f":{ALL.nonce.decode()}",
        f"[HEX DUMP]:{Hash.SHA_256.digest(DOCUMENT).hex().upper()}",
    ):  # fmt: skip
        assert line in text, line


def test_there_is_one_signer_named_by_issuer_and_number_and_its_certificate_alone():
    data = read(sign_cms(SoftwareCard(), DOCUMENT, Hash.SHA_256, CmsForm()))
    certificate = x509.load_der_x509_certificate(signature_certificate())
    assert [each.dump() for each in data["certificates"]] == [signature_certificate()]
    [signer] = data["signer_infos"]
    assert signer["sid"].name == "issuer_and_serial_number"
    assert signer["sid"].chosen["serial_number"].native == certificate.serial_number
    assert (data["version"].native, signer["version"].native) == ("v1", "v1")
    assert signer["signature_algorithm"].signature_algo == "rsassa_pkcs1v15"
    assert signer["digest_algorithm"]["algorithm"].native == "sha256"
    assert [each["type"].native for each in signer["signed_attrs"]] == [
        "content_type",
        "signing_time",
        "message_digest",
    ]


def test_what_is_signed_is_the_der_set_of_the_attributes():
    """RFC 5652 §5.4: an EXPLICIT SET OF tag, not the [0] under which they are sent; X.690 §11.6: sorted."""
    data = read(sign_cms(SoftwareCard(), DOCUMENT, Hash.SHA_256, ALL, when=WHEN))
    signer = data["signer_infos"][0]
    encodings = [each.dump() for each in signer["signed_attrs"]]
    assert len(encodings) == 5
    assert encodings == sorted(encodings)
    signed = b"\x31" + signer["signed_attrs"].dump()[1:]
    key = rsa_key("signature").public_key()
    key.verify(signer["signature"].native, signed, padding.PKCS1v15(), SHA256())


@pytest.mark.parametrize(("year", "kind"), [(2049, core.UTCTime), (2050, core.GeneralizedTime)])
def test_the_signing_time_is_of_the_type_that_its_year_demands(year: int, kind: type):
    attributes = signed_attributes(bytes(32), WHEN.replace(year=year))
    [time] = [each["values"][0].chosen for each in attributes if each["type"].native == "signing_time"]
    assert isinstance(time, kind)
    assert time.native == WHEN.replace(year=year, microsecond=0)


def test_signed_attributes_can_never_be_what_a_login_signs():
    """As long as a login's hashes they may be; but they begin with a SET of attributes, not with a hash."""
    lengths = set()
    for size in range(64):
        attributes = signed_attributes(bytes(32), WHEN, nonce=bytes(size)).dump()
        lengths.add(len(attributes))
        assert attributes[0] == 0x31
        assert b"\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03" in attributes
    assert 128 in lengths


def test_a_document_that_looks_like_a_login_is_refused_before_the_card_is_asked():
    card = SoftwareCard()
    with pytest.raises(DocumentRefusedError):
        sign_cms(card, bytes(range(64)), Hash.SHA_256, CmsForm())
    assert card.asked == []


def test_sha_1_is_for_old_portals_only():
    with pytest.raises(HashUnsupportedError):
        sign_cms(SoftwareCard(), DOCUMENT, Hash.SHA_1, CmsForm())


def test_a_card_without_a_number_cannot_sign_with_it():
    with pytest.raises(ObjectMissingError):
        sign_cms(SoftwareCard(serial=""), DOCUMENT, Hash.SHA_256, CmsForm(card_number=True))


def test_a_spoilt_signature_is_not_handed_out():
    with pytest.raises(SignatureInvalidError):
        sign_cms(SoftwareCard(spoils=True), DOCUMENT, Hash.SHA_256, CmsForm())


def test_the_certificate_may_be_bound_to_what_it_signs_and_the_reason_said_in_words():
    attributes = signed_attributes(bytes(32), WHEN, bound_to=signature_certificate(), reason="審核 approved")
    values = {each["type"].dotted: each["values"][0] for each in attributes}
    [named] = values["1.2.840.113549.1.9.16.2.47"]["certs"]
    assert named["cert_hash"].native == Hash.SHA_256.digest(signature_certificate())
    said = values["1.2.840.113549.1.9.16.2.16"]
    assert said["commitment_type_id"].dotted == "1.2.840.113549.1.9.16.6.5"  # proofOfApproval
    [qualifier] = said["commitment_type_qualifier"].native
    assert qualifier["qualifier"]["explicit_text"] == "審核 approved"


def test_a_reason_is_as_long_as_a_display_text_and_no_longer():
    assert signed_attributes(bytes(32), WHEN, reason="是" * REASON_MAX)
    with pytest.raises(ValueError, match="200 characters"):
        signed_attributes(bytes(32), WHEN, reason="是" * (REASON_MAX + 1))


def test_the_algorithm_is_that_of_the_signers_kind_of_key():
    attributes = signed_attributes(Hash.SHA_384.digest(DOCUMENT), WHEN)
    octets = attributes.dump()
    validity = current_validity(WHEN.date())
    person = templates.of_key(templates.personnel("000000335387", validity), 2048, pss=True)
    identity = simulator_ca().identities(person)[0]
    pss = identity.load().sign(octets, padding.PSS(padding.MGF1(SHA384()), 48), SHA384())
    holder = Made("holder", "issuer").der()
    curve = key("holder").sign(octets, ec.ECDSA(SHA384()))
    for certificate, signature, name in (
        (identity.certificate, pss, "rsassa_pss"),
        (holder, curve, "sha384_ecdsa"),
    ):
        info = signer_info(certificate, attributes, signature, Hash.SHA_384)
        message = signed_data((certificate,), info, Hash.SHA_384, content=DOCUMENT)
        algorithm = read(message)["signer_infos"][0]["signature_algorithm"]
        assert algorithm["algorithm"].native == name
        if name == "rsassa_pss":
            said = algorithm["parameters"].native
            assert (said["hash_algorithm"]["algorithm"], said["salt_length"]) == ("sha384", 48)
            assert said["mask_gen_algorithm"]["parameters"]["algorithm"] == "sha384"
        else:
            assert algorithm["parameters"].native is None
        assert verify_cms(message).certificate == certificate
