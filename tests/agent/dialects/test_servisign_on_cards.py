"""The recorded pages over real operations and simulated cards, and what can go wrong there."""

import base64
import hashlib
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from agent.config import Config, OriginSettings
from agent.interaction import PinQuestion
from agent.interaction.scripted import ScriptedInteraction
from agent.vocabulary import Verb
from signing.trust import validate_chain
from tests.support.cards import simulated, simulator_ca
from tests.support.servisign_page import NHI_PATH_ID, Page, Text
from tests.support.servisign_real import workplace
from tests.support.servisign_traces import (
    B64_MESSAGE,
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

PIN = "123456"


@pytest.mark.parametrize("generation", [2020, 2022])
@pytest.mark.parametrize("kind", ["hpc", "hop", "hpc-v1"])
async def test_the_e_service_login_works_with_every_hca_card(tmp_path, kind, generation):
    async with workplace(tmp_path, kind) as place:
        pages = tuple(Page(place.dialect.handle, generation=generation) for _ in range(2))
        posted = await e_service_login(pages, PIN)
        assert place.card.pin_tries == 3
    certificate = certificate_in(posted.certificate)
    assert posted.card_type == ("0" if kind == "hop" else "1")
    assert len(posted.basic) == (8 if kind == "hop" else 6)
    assert int(posted.serial, 16) == certificate.serial_number
    assert posted.common_name == posted.basic[1 if kind == "hop" else 0]
    if kind != "hpc-v1":  # its 1024 bits and SHA-1 are no longer trusted by anybody
        der = base64.b64decode(posted.certificate)
        validate_chain(der, simulator_ca().roots, simulator_ca().intermediates)
    assert PIN not in place.audit.read_text("utf-8")


@pytest.mark.parametrize("generation", [2020, 2022])
@pytest.mark.parametrize("kind", ["hpc", "hop", "hop-secondary", "hpc-v1"])
async def test_the_environment_check_passes_with_every_hca_card(tmp_path, kind, generation):
    async with workplace(tmp_path, kind) as place:
        shown = await environment_check(Page(place.dialect.handle, generation=generation), PIN)
    assert shown.version == ("1" if kind == "hpc-v1" else "2")
    assert re.fullmatch(r"\d{12}", shown.serial)
    assert [len(item) for item in shown.info] == [1, 7, 14, 1, 1]
    assert shown.info[3:] == ["1", "0"]
    assert shown.decrypted == (None if kind == "hpc-v1" else MESSAGE)


@pytest.mark.parametrize("kind", ["hpc", "hop", "hpc-v1"])
async def test_the_environment_check_for_the_nhi_reader_passes_in_an_ordinary_one(tmp_path, kind):
    async with workplace(tmp_path, kind) as place:
        shown = await environment_check_nhi(Page(place.dialect.handle, path_id=NHI_PATH_ID), PIN)
    assert len(shown.info) == 3
    assert shown.decrypted == (None if kind == "hpc-v1" else MESSAGE)


async def test_the_national_login_gets_a_signature_that_is_right_once_reversed(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        certificate, signature = await national_login(Page(place.dialect.handle), PIN)
    certificate.public_key().verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA1())


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [(SHA1_RSA, hashes.SHA1()), (SHA256_RSA, hashes.SHA256()), (0x41, hashes.SHA384()),
     (0x42, hashes.SHA512()), (0x46, hashes.SHA224())],
)  # fmt: skip
async def test_the_document_system_gets_standard_signatures(tmp_path, algorithm, expected):
    async with workplace(tmp_path, "hpc") as place:
        certificate, signature = await document_system(Page(place.dialect.handle), PIN, algorithm)
    check_signature(certificate, signature, MESSAGE, expected)


async def opened(page: Page, pin: str = PIN) -> dict[str, str]:
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    session = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))
    return {"ulModuleHandle": module, "ulSessionHandle": session}


async def init_session(page: Page, pin: str) -> tuple[str, str]:
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    return await page.failing("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(pin))


async def test_a_wrong_pin_costs_exactly_one_try(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        assert await init_session(Page(place.dialect.handle), "999999") == ("0", "9039")
        assert place.card.pin_tries == 2


@pytest.mark.parametrize("pin", ["12345", "123456789", "1", "x" * 200])
async def test_a_pin_of_a_wrong_length_costs_no_try(tmp_path, pin):
    async with workplace(tmp_path, "hpc") as place:
        assert await init_session(Page(place.dialect.handle), pin) == ("0", "9041")
        assert place.card.pin_tries == 3


async def test_a_pin_with_characters_no_card_takes_costs_no_try(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        assert await init_session(Page(place.dialect.handle), "密碼密碼密碼") == ("0", "9040")
        assert place.card.pin_tries == 3


async def test_a_locked_card_is_named_as_the_pages_know_it(tmp_path):
    async with workplace(tmp_path, "hpc-locked") as place:
        assert await init_session(Page(place.dialect.handle), PIN) == ("0", "9043")


async def test_the_last_try_is_not_spent_by_a_page(tmp_path):
    async with workplace(tmp_path, "hpc-last-try") as place:
        result, code = await init_session(Page(place.dialect.handle), PIN)
        assert (result, code) == ("0", "9040")
        assert place.card.pin_tries == 1


async def test_a_card_that_is_none_of_hcas_is_not_there(tmp_path):
    for kind in ("nhi", "citizen"):
        async with workplace(tmp_path / kind, kind) as place:
            page = Page(place.dialect.handle)
            await page.echo()
            assert await page.failing("ATL_InitModule", moduleName=Text("x"), initArgs=Text("")) == (
                "0",
                "9056",
            ), kind


async def test_an_empty_reader_is_named_in_each_librarys_number(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        place.reader.remove()
        page = Page(place.dialect.handle)
        await page.echo()
        assert await page.failing("ATL_InitModule", moduleName=Text("x"), initArgs=Text("")) == (
            "0",
            "9056",
        )
        assert await page.failing("HCA_OpenCOMPort", comport=0) == ("30037", "30037")


async def test_a_card_pulled_between_calls_is_named_and_nothing_is_verified_again(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        key = await page.good(
            "ATL_GetKeyObjectHandle", **handles, iKeyType=0, key_id=Text(""), param=Text("1")
        )
        place.reader.remove()
        result, code = await page.failing("ATL_GetHCABasicData", ulModuleHandle=handles["ulModuleHandle"])
        assert (result, code) == ("", "9056")
        place.reader.insert(place.card)
        result, code = await page.failing(
            "ATL_MakeSignature", **handles, ulAlgorithm=64, b64Data=Text(B64_MESSAGE), ulPvKeyObject=key
        )
        assert result == ""
        # Device removed, or not logged in any more where the watcher was first to notice.
        assert code in ("9018", "9063")
        assert place.card.pin_tries == 3


async def test_the_pin_of_one_card_does_not_vouch_for_another(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        place.reader.remove()
        place.reader.insert(simulated("hop"))
        result, code = await page.failing(
            "ATL_GetCertificateFromGPKICard", **handles, iCertId=1, readerName=Text("")
        )
        assert (result, code) == ("", "9018")
        module = handles["ulModuleHandle"]
        assert await page.failing("ATL_GetHCABasicData", ulModuleHandle=module) == ("", "9018")


async def test_a_module_kept_for_hours_serves_the_next_persons_card(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        module = (await opened(page))["ulModuleHandle"]
        place.reader.remove()
        place.reader.insert(simulated("hop"))
        await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(PIN))
        assert await page.good("ATL_GetHCACardType", ulModuleHandle=module) == "0"


async def test_without_a_pin_from_the_page_the_persons_own_window_asks_once_and_proves_it(tmp_path):
    person = ScriptedInteraction(pins=[PIN])
    async with workplace(tmp_path, "hpc", person) as place:
        page = Page(place.dialect.handle)
        handles = await opened(page, pin="")
        key = await page.good(
            "ATL_GetKeyObjectHandle", **handles, iKeyType=0, key_id=Text(""), param=Text("1")
        )
        sign = {**handles, "ulAlgorithm": 64, "b64Data": Text(B64_MESSAGE), "ulPvKeyObject": key}
        certificate = certificate_in(
            await page.good("ATL_GetCertificateFromGPKICard", **handles, iCertId=1, readerName=Text(""))
        )
        for _ in range(2):
            check_signature(
                certificate, await page.good("ATL_MakeSignature", **sign), MESSAGE, hashes.SHA256()
            )
    assert len([question for question in person.questions if isinstance(question, PinQuestion)]) == 1


@pytest.mark.parametrize(
    ("person", "code", "tries"),
    [
        (ScriptedInteraction(available=False), "9041", 3),
        (ScriptedInteraction(pins=[None]), "9001", 3),
        (ScriptedInteraction(pins=["999999"]), "9039", 2),
    ],
    ids=["nobody is there", "cancelled", "wrong"],
)
async def test_without_a_pin_no_session_opens_that_proves_nothing(tmp_path, person, code, tries):
    origin = "https://portal.example.tw"
    config = Config(origins=OriginSettings(allow=frozenset((origin,))))
    async with workplace(tmp_path, "hpc", person, config) as place:
        page = Page(place.dialect.handle, origin)
        assert await init_session(page, "") == ("0", code)
        assert place.card.pin_tries == tries


async def test_several_signatures_in_one_session_verify_each_on_its_own(tmp_path):
    person = ScriptedInteraction()
    async with workplace(tmp_path, "hpc", person) as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        key = await page.good(
            "ATL_GetKeyObjectHandle", **handles, iKeyType=0, key_id=Text(""), param=Text("1")
        )
        certificate = certificate_in(
            await page.good("ATL_GetCertificateFromGPKICard", **handles, iCertId=1, readerName=Text(""))
        )
        for number in range(3):
            message = f"record {number}".encode()
            signature = await page.good(
                "ATL_MakeSignature",
                **handles,
                ulAlgorithm=64,
                b64Data=Text(base64.b64encode(message).decode()),
                ulPvKeyObject=key,
            )
            check_signature(certificate, signature, message, hashes.SHA256())
    assert not any(isinstance(question, PinQuestion) for question in person.questions)


async def test_what_looks_like_a_login_is_not_signed_as_a_document(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        key = await page.good(
            "ATL_GetKeyObjectHandle", **handles, iKeyType=0, key_id=Text(""), param=Text("1")
        )
        disguised = base64.b64encode(bytes(range(128, 192))).decode()
        assert await page.failing(
            "ATL_MakeSignature", **handles, ulAlgorithm=64, b64Data=Text(disguised), ulPvKeyObject=key
        ) == ("", "9014")


@pytest.mark.parametrize("listed", [True, False])
async def test_a_bare_digest_is_signed_for_listed_origins_only(tmp_path, listed):
    origin = "https://doc.hospital.example.tw"
    config = Config(origins=OriginSettings(digest=frozenset((origin,) if listed else ())))
    async with workplace(tmp_path, "hpc", config=config) as place:
        page = Page(place.dialect.handle, origin)
        handles = await opened(page)
        key = await page.good(
            "ATL_GetKeyObjectHandle", **handles, iKeyType=0, key_id=Text(""), param=Text("1")
        )
        certificate = certificate_in(
            await page.good("ATL_GetCertificateFromGPKICard", **handles, iCertId=1, readerName=Text(""))
        )
        for algorithm in (hashes.SHA1(), hashes.SHA256()):
            context = hashes.Hash(algorithm)
            context.update(MESSAGE)
            signature, code = await page.failing(
                "ATL_SignWithoutHash",
                **handles,
                b64Data=Text(base64.b64encode(context.finalize()).decode()),
                ulPvKeyObject=key,
            )
            if listed:
                assert code == "0"
                check_signature(certificate, signature, MESSAGE, algorithm)
            else:
                assert (signature, code) == ("", "5906")


@pytest.mark.parametrize("listed", [True, False])
async def test_the_nhi_readers_function_signs_a_bare_digest_for_listed_origins_only(tmp_path, listed):
    origin = "https://doc.hospital.example.tw"
    config = Config(origins=OriginSettings(digest=frozenset((origin,) if listed else ())))
    async with workplace(tmp_path, "hpc", config=config) as place:
        page = Page(place.dialect.handle, origin, path_id=NHI_PATH_ID)
        assert await page.echo() == "0"
        assert await page.good("HCA_OpenCOMPort", comport=0) == "0"
        assert await page.good("HCA_VerifyPIN", pincode=Text("123456"), flag=0) == "0"
        certificate = certificate_in(await page.good("HCA_GetCert", flag=1))
        digest = Text(base64.b64encode(hashlib.sha256(MESSAGE).digest()).decode())
        signature, code = await page.failing("HCA_SignDigest", data=digest, flag=0)
        if listed:
            assert code == "0"
            check_signature(certificate, signature, MESSAGE, hashes.SHA256())
        else:
            assert (signature, code) == ("", "5906")


async def test_an_origin_that_the_person_refuses_is_told_so_in_the_result(tmp_path):
    person = ScriptedInteraction(consents={Verb.READ: False})
    async with workplace(tmp_path, "hpc", person) as place:
        page = Page(place.dialect.handle, "https://stranger.example")
        await page.echo()
        assert await page.failing("ATL_InitModule", moduleName=Text("x"), initArgs=Text("")) == (
            "0",
            "61906",
        )


async def test_a_page_may_read_and_still_not_use_a_pin(tmp_path):
    person = ScriptedInteraction(consents={Verb.READ: True, Verb.PAGE_PIN: False})
    async with workplace(tmp_path, "hpc", person) as place:
        page = Page(place.dialect.handle, "https://stranger.example")
        assert await init_session(page, "999999") == ("0", "61906")
        assert place.card.pin_tries == 3


async def test_public_work_with_the_cards_keys_needs_no_card(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        public = await page.good(
            "ATL_GetKeyObjectHandle", **handles, iKeyType=1, key_id=Text(""), param=Text("2")
        )
        place.reader.remove()
        assert await page.good(
            "ATL_PublicKeyEncryption", **handles, ulAlgorithm=1, b64Data=Text("YQ=="), ulPubKeyObject=public
        )


async def test_a_version_1_card_has_no_handle_for_an_encryption_key(tmp_path):
    async with workplace(tmp_path, "hpc-v1") as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        for kind in (0, 1):
            assert await page.failing(
                "ATL_GetKeyObjectHandle", **handles, iKeyType=kind, key_id=Text(""), param=Text("2")
            ) == ("0", "9100")


async def test_key_length_and_certificate_type_come_from_the_card(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        module = handles["ulModuleHandle"]
        assert await page.good("ATL_GetHCAKeyLength", ulModuleHandle=module) == "256"
        assert await page.good("ATL_GetHCACertType", ulModuleHandle=module) == "2"
        assert await page.good("HCA_GetKeySize") == "256"
        assert await page.good("HCA_GetCertType") == "2"


async def test_the_nhi_librarys_pin_cannot_be_left_out_where_nobody_can_be_asked(tmp_path):
    origin = "https://portal.example.tw"
    config = Config(origins=OriginSettings(allow=frozenset((origin,))))
    async with workplace(tmp_path, "hpc", ScriptedInteraction(available=False), config) as place:
        page = Page(place.dialect.handle, origin, path_id=NHI_PATH_ID)
        await page.echo()
        assert await page.good("HCA_OpenCOMPort", comport=0) == "0"
        assert await page.failing("HCA_VerifyPIN", pincode=Text(""), flag=1) == ("9041", "9041")


async def test_a_puk_that_was_handed_over_is_gone_when_its_time_or_its_session_is_over(tmp_path):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        for end in ("ATL_CloseSession", "ATL_CloseModule", "ServiSignRelease"):
            module = await page.good("ATL_InitModule", moduleName=Text("x"), initArgs=Text(""))
            officer = await page.good(
                "ATL_InitSOSession", ulModuleHandle=module, iFlags=6, cardPuk=Text("12345678")
            )
            given = {"ulModuleHandle": module, "ulSessionHandle": officer}
            if end == "ATL_CloseSession":
                # Somebody else's module is not the one it was opened on.
                crossed = given | {"ulModuleHandle": handles["ulModuleHandle"]}
                assert await page.failing("ATL_CloseSession", **crossed) == ("9046", "9046")
            assert await page.call(end, **given) == "0"
            code = await page.call("ATL_UnblockUserPIN", **given, newUserPin=Text("654321"))
            assert code in ("9046", "5006", "61012")
        assert place.card.puk_tries == 10


async def test_the_page_that_holds_a_puk_for_too_long_loses_it_and_the_person_is_asked(tmp_path):
    person = ScriptedInteraction(pairs=[None])
    async with workplace(tmp_path, "hpc", person) as place:
        page = Page(place.dialect.handle)
        handles = await opened(page)
        module = {"ulModuleHandle": handles["ulModuleHandle"]}
        officer = await page.good("ATL_InitSOSession", **module, iFlags=6, cardPuk=Text("12345678"))
        (session,) = place.dialect._sessions._sessions.values()
        session.objects.forget()
        assert await page.failing(
            "ATL_UnblockUserPIN", **module, ulSessionHandle=officer, newUserPin=Text("654321")
        ) == ("9001", "9001")
        assert place.card.puk_tries == 10


@pytest.mark.parametrize("selected", [False, True], ids=["put in", "its module works with since"])
async def test_a_puk_for_one_card_is_never_sent_to_another(tmp_path, selected):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        module = {"ulModuleHandle": (await opened(page))["ulModuleHandle"]}
        officer = await page.good("ATL_InitSOSession", **module, iFlags=6, cardPuk=Text("00000000"))
        place.reader.remove()
        other = simulated("hop")
        place.reader.insert(other)
        if selected:
            await page.good("ATL_InitSession", **module, iFlags=6, userPin=Text(PIN))
        assert await page.failing(
            "ATL_UnblockUserPIN", **module, ulSessionHandle=officer, newUserPin=Text("654321")
        ) == ("9018", "9018")
        assert other.puk_tries == place.card.puk_tries == 10


async def test_the_pin_is_in_no_log_and_no_file_whatever_happens(tmp_path, caplog):
    caplog.set_level("DEBUG")
    pin = "739155"
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        assert await init_session(page, pin) == ("0", "9039")
        broken = page.request("ATL_InitSession", ulModuleHandle={}, iFlags=6, userPin=Text(pin))
        assert (await page.send(broken))["result"] == "61005"
        for name in ("ATL_ChangeUserPIN", "ATL_UnblockUserPIN"):
            await page.call(name, ulModuleHandle="1", ulSessionHandle="2", newUserPin=Text(pin))
        officer = await page.good("ATL_InitSOSession", ulModuleHandle="1", iFlags=6, cardPuk=Text(pin))
        await page.call(
            "ATL_UnblockUserPIN", ulModuleHandle="1", ulSessionHandle=officer, newUserPin=Text(pin)
        )
        await page.call("HCA_SetPIN", newPincode=Text(pin), pukcode=Text(pin), flag=0)
        await page.call("ATL_GetDataRecord", ulModuleHandle="1", pin=Text(pin), recordName=Text("x"))
        assert place.card.pin_tries == 2
    written = "".join(file.read_text("utf-8") for file in tmp_path.rglob("*") if file.is_file())
    for text in (caplog.text, written):
        assert pin not in text
        assert base64.b64encode(pin.encode()).decode() not in text


async def test_a_certificate_of_a_card_left_in_its_reader_is_only_looked_at_again(tmp_path, monkeypatch):
    async with workplace(tmp_path, "hpc") as place:
        page = Page(place.dialect.handle)
        module = {"ulModuleHandle": (await opened(page))["ulModuleHandle"]}
        public = {**module, "iKeyType": 1, "key_id": Text(""), "param": Text("1")}
        session = await page.good("ATL_InitSession", **module, iFlags=6, userPin=Text(PIN))
        await page.good("ATL_GetKeyObjectHandle", **public, ulSessionHandle=session)
        sent = []
        transmit = place.card.transmit
        monkeypatch.setattr(
            type(place.card), "transmit", lambda _card, command: sent.append(command) or transmit(command)
        )
        await page.good("ATL_GetKeyObjectHandle", **public, ulSessionHandle=session)
        assert [each.hex() for each in sent if each[1] == 0xB0] == ["00b08b0000"]
        place.reader.remove()
        assert (await page.failing("ATL_GetHCACardInfo", **module))[1] == "9056"
        place.reader.insert(place.card)
        await page.good("ATL_GetHCACardInfo", **module)
