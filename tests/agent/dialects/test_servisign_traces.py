import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from hca_card.model import CardKind
from tests.support.servisign_operations import PLACE
from tests.support.servisign_page import NHI_PATH_ID, Page
from tests.support.servisign_traces import (
    MESSAGE,
    SHA1_RSA,
    SHA256_RSA,
    certificate_in,
    check_signature,
    document_system,
    e_service_login,
    environment_check,
    environment_check_nhi,
    national_login,
)

pytestmark = pytest.mark.parametrize("generation", [2020, 2022])

PERSONNEL_ITEMS = ["測試人員卡", "TEST CARD", "M", "0650101", "BA00312361", "A"]
INFO_ITEMS = ["0", "1120628", "11206281220628", "1", "0"]


def pages(dialect, generation):
    return tuple(Page(dialect.handle, generation=generation) for _ in range(2))


async def test_the_e_service_login_posts_who_the_card_says(dialect, operations, generation):
    posted = await e_service_login(pages(dialect, generation), "123456")
    certificate = certificate_in(posted.certificate)
    assert posted.card_type == "1"
    assert posted.basic == PERSONNEL_ITEMS
    assert int(posted.serial, 16) == certificate.serial_number
    assert posted.serial == posted.serial.upper()
    assert posted.common_name == "測試人員卡"
    assert posted.email == ""
    assert posted.not_before.endswith("\n")
    assert operations.verifies == 1
    assert "sign" not in operations.asked
    assert all(kept.wiped for kept in operations.kept)


async def test_the_environment_check_passes_with_a_personnel_card(dialect, operations, generation):
    shown = await environment_check(Page(dialect.handle, generation=generation), "123456")
    assert (shown.version, shown.card_type, shown.serial) == ("2", "1", "000000335361")
    assert shown.basic == PERSONNEL_ITEMS
    assert shown.info == INFO_ITEMS
    assert shown.decrypted == MESSAGE


async def test_the_environment_check_passes_with_an_institution_card(dialect, operations, generation):
    operations.insert(CardKind.INSTITUTION, PLACE)
    shown = await environment_check(Page(dialect.handle, generation=generation), "123456")
    assert shown.card_type == "0"
    assert len(shown.basic) == 8
    assert shown.basic[5] == "臺北市；1號"
    assert shown.decrypted == MESSAGE


async def test_the_environment_check_leaves_out_what_a_version_1_card_lacks(dialect, operations, generation):
    operations.insert(version="1")
    operations.missing = frozenset((2, 4))
    shown = await environment_check(Page(dialect.handle, generation=generation), "123456")
    assert shown.decrypted is None


@pytest.mark.parametrize("version", ["1", "2"])
async def test_the_environment_check_passes_as_for_the_nhi_reader(dialect, operations, generation, version):
    operations.insert(version=version)
    operations.missing = frozenset((2, 4)) if version == "1" else frozenset()
    page = Page(dialect.handle, generation=generation, path_id=NHI_PATH_ID)
    shown = await environment_check_nhi(page, "123456")
    assert shown.basic == PERSONNEL_ITEMS
    assert shown.info == ["1120628", "1120628", "1220628"]
    assert shown.decrypted == (MESSAGE if version == "2" else None)


async def test_the_national_login_gets_a_signature_that_is_right_once_reversed(dialect, generation):
    certificate, signature = await national_login(Page(dialect.handle, generation=generation), "123456")
    certificate.public_key().verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA1())


@pytest.mark.parametrize(
    ("algorithm", "expected"), [(SHA1_RSA, hashes.SHA1()), (SHA256_RSA, hashes.SHA256())]
)
async def test_the_document_system_gets_standard_signatures(dialect, generation, algorithm, expected):
    page = Page(dialect.handle, "https://doc.hospital.example.tw", generation=generation)
    certificate, signature = await document_system(page, "123456", algorithm)
    check_signature(certificate, signature, MESSAGE, expected)
