import asyncio
import base64
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from agent.config import Config
from agent.dialects.servisign import FUNCTIONS, ServiSignDialect, refusal
from hca_card.model import CardKind
from tests.support.operations import until
from tests.support.servisign_page import Page, Text, body_of, reply_of, until_waiting
from tests.support.software_card import signature_certificate
from tests.support.waiting import LIMIT

OTHER = "https://euservice.mohw.gov.tw"


async def module(page: Page) -> str:
    return await page.call("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))


async def session(page: Page, handle: str, pin: str = "123456") -> str:
    return await page.call("ATL_InitSession", ulModuleHandle=handle, iFlags=6, userPin=Text(pin))


async def new_page(dialect: ServiSignDialect, **how: object) -> Page:
    page = Page(dialect.handle, **how)  # type: ignore[arg-type]
    assert await page.echo() == "0"
    return page


@pytest.mark.parametrize("generation", [2020, 2022])
async def test_an_echo_tells_versions_that_beat_every_minimum_and_a_session(dialect, generation):
    page = Page(dialect.handle, generation=generation)
    assert await page.echo() == "0"
    assert page.versions == {
        "ServerVersion": "1.0.23.1227",
        "LibVersion": "9.9.99.9999",
        "InstallerVersion": "9.9.99.9999",
    }
    assert int(page.versions["InstallerVersion"].replace(".", "")) > int("1.0.24.9999".replace(".", ""))
    assert len(page.session_id) >= 20


async def test_the_versions_are_the_configured_ones(operations):
    config = Config()
    object.__setattr__(config.servisign, "installer_version", "1.0.24.0101")
    dialect = ServiSignDialect(operations, config)
    page = Page(dialect.handle)
    await page.echo()
    assert page.versions["InstallerVersion"] == "1.0.24.0101"
    dialect.close()


async def test_every_echo_opens_a_session_of_its_own(dialect):
    first, second = await new_page(dialect), await new_page(dialect)
    assert first.session_id != second.session_id
    assert await module(first) == await module(second) == "1"


async def test_the_refusal_is_an_echo_result_that_stops_the_sweep():
    assert reply_of(refusal()) == {"result": "61908"}


async def test_an_unknown_function_is_said_so_in_the_result(page):
    assert await page.call("ATL_FormatDisk") == "61013"
    assert await page.call("__init__") == "61013"


async def test_a_call_without_a_session_is_said_so_in_the_result(dialect):
    page = Page(dialect.handle)
    assert await module(page) == "61012"
    page.session_id = "made up"
    assert await page.error() == "61012"


async def test_a_session_of_another_origin_is_unknown(dialect, page):
    await module(page)
    thief = Page(dialect.handle, OTHER)
    thief.session_id = page.session_id
    assert await thief.call("ATL_GetHCABasicData", ulModuleHandle="1") == "61012"
    assert await thief.call("ServiSignForceRelease") == "0"
    assert await page.call("ATL_GetHCACardType", ulModuleHandle="1") == "1"


async def test_a_broken_body_fails_for_the_pages_of_its_origin_and_for_no_other(dialect, page):
    handle, stranger = await module(page), await new_page(dialect, origin=OTHER)
    assert reply_of(await dialect.handle(page.origin, b"Parameter=%%%")) == {"result": "61005"}
    assert [await page.error(), await stranger.error()] == ["61005", "0"]
    assert await page.good("ATL_GetHCACardType", ulModuleHandle=handle) == "1"


@pytest.mark.parametrize(("status", "code"), [(413, "61005"), (415, "61005"), (408, "61005"), (429, "61010")])
async def test_a_request_that_is_not_read_is_no_success_when_its_page_asks_for_the_error(
    dialect, page, status, code
):
    await module(page)
    stranger = await new_page(dialect, origin=OTHER)
    assert reply_of(dialect.excuse(page.origin, status)) == {"result": code}
    assert [await page.error(), await page.error(), await stranger.error()] == [code, code, "0"]


async def test_an_unknown_function_is_no_success_either(page):
    await module(page)
    assert await page.failing("ATL_FormatDisk") == ("61013", "61013")


async def test_a_call_that_finds_too_many_waiting_is_no_success_either(dialect, page, operations):
    operations.hold = asyncio.Event()
    waiting = [asyncio.create_task(module(page)) for _ in range(3)]
    await until_waiting(dialect, 3)
    assert await module(page) == "61010"
    assert await page.error() == "61010"
    operations.hold.set()
    await asyncio.gather(*waiting)


async def test_words_are_no_documents_and_no_certificate_is_as_long_as_one(page):
    assert await page.failing("ATL_GetRDNFromDN", dn=Text("," * 70_000), rdn=Text("CN")) == ("", "5005")
    long = Text(base64.b64encode(bytes(70_000)).decode())
    assert await page.failing("ATL_GetSerialNumber", b64Cert=long) == ("", "5060")
    assert await page.failing("HCA_LoadCert", bCert=long, flag=0) == ("5060", "5060")
    assert await page.failing("setServiSignValue", domain_list=Text("a," * 9000)) == ("61005", "61005")


async def test_a_large_document_is_read_and_signed_beside_other_calls(page, operations):
    handle = await module(page)
    opened = {"ulModuleHandle": handle, "ulSessionHandle": await session(page, handle)}
    key = await page.good("ATL_GetKeyObjectHandle", **opened, iKeyType=0, key_id=Text(""), param=Text("1"))
    document = bytes(range(256)) * 6000
    signature = await page.good(
        "ATL_MakeSignature",
        **opened,
        ulAlgorithm=64,
        b64Data=Text(base64.b64encode(document).decode()),
        ulPvKeyObject=key,
    )
    public = x509.load_der_x509_certificate(signature_certificate()).public_key()
    public.verify(base64.b64decode(signature), document, padding.PKCS1v15(), hashes.SHA256())


async def test_a_bad_argument_is_told_in_the_result_and_by_the_error_code(page):
    assert await page.failing("ATL_CloseModule", ulModuleHandle="abc") == ("61005", "61005")


@pytest.mark.parametrize("function", ["ServiSignRelease", "ServiSignForceRelease"])
async def test_releasing_twice_is_the_same_as_once(page, function):
    await module(page)
    assert await page.call(function) == "0"
    assert await page.call(function) == "0"
    assert await page.error() == "61012"


async def test_releasing_without_a_session_is_harmless(dialect):
    assert await Page(dialect.handle).call("ServiSignRelease") == "0"


async def test_an_update_is_never_needed(page):
    assert await page.call("ServiSignCheckUpdate") == "0"


async def test_a_released_session_forgets_its_pin(page, operations):
    await session(page, await module(page))
    assert not operations.kept[0].wiped
    await page.call("ServiSignRelease")
    assert operations.kept[0].wiped


@pytest.mark.parametrize("pin", ["123456", "999999", "1"])
async def test_the_pin_of_a_call_is_wiped_when_the_call_ends(page, operations, pin):
    await session(page, await module(page), pin)
    assert [given.wiped for given in operations.given] == [True]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("ATL_CloseSession", {"ulModuleHandle": "1", "ulSessionHandle": "2"}),
        ("ATL_CloseModule", {"ulModuleHandle": "1"}),
        ("ATL_CloseModuleEx", {"ulModuleHandle": "1", "iFlag": 0}),
    ],
)
async def test_closing_forgets_the_pin_and_returns_zero(page, operations, function, arguments):
    await session(page, await module(page))
    assert await page.good(function, **arguments) == "0"
    assert operations.kept[0].wiped
    result, code = await page.failing(function, **arguments)
    assert result == code != "0"


async def test_an_idle_session_expires_and_wipes_what_it_kept(page, operations, clock):
    await session(page, await module(page))
    clock.now += 8 * 3600 - 1
    assert await page.error() == "0"
    clock.now += 8 * 3600 + 1
    assert await page.error() == "61012"
    assert operations.kept[0].wiped


async def test_an_idle_pin_is_wiped_and_the_window_asks_at_the_next_signature(page, operations, clock):
    await session(page, await module(page))
    key = await page.call(
        "ATL_GetKeyObjectHandle", ulModuleHandle="1", ulSessionHandle="2", iKeyType=0, key_id=Text(""),
        param=Text("1"),
    )  # fmt: skip
    clock.now += 601
    operations.window_pin = "123456"
    assert await page.good(
        "ATL_MakeSignature", ulModuleHandle="1", ulSessionHandle="2", ulAlgorithm=64, b64Data=Text("YQ=="),
        ulPvKeyObject=key,
    )  # fmt: skip
    assert operations.kept[0].wiped
    assert operations.asked[-2:] == ["sign", "window"]


async def test_the_timer_wipes_a_pin_that_no_call_comes_back_for(operations):
    from agent.dialects.servisign import SessionLimits

    dialect = ServiSignDialect(
        operations, Config(), limits=SessionLimits(pin_idle_s=0.05, session_idle_s=LIMIT)
    )
    page = await new_page(dialect)
    await session(page, await module(page))
    await until(lambda: operations.kept[0].wiped)
    dialect.close()


async def test_an_origin_that_opens_too_many_loses_its_own_oldest_session_only(dialect):
    other = await new_page(dialect, origin=OTHER)
    pages = [await new_page(dialect) for _ in range(5)]
    assert await pages[0].error() == "61012"
    assert [await page.error() for page in pages[1:]] == ["0"] * 4
    assert await other.error() == "0"


async def test_a_session_for_each_click_never_ends_the_one_its_other_tab_works_with(dialect):
    working = await new_page(dialect)
    await module(working)
    for _ in range(20):
        await new_page(dialect)
    assert await working.good("ATL_GetHCACardType", ulModuleHandle="1") == "1"


async def test_sessions_with_something_open_are_never_ended_for_another_origin(dialect):
    portals = [await new_page(dialect, origin=f"https://portal{number}.example.tw") for number in range(4)]
    for portal in portals:
        await module(portal)
    for number in range(20):
        await new_page(dialect, origin=f"https://flood{number}.example")
    assert [await portal.error() for portal in portals] == ["0"] * 4


async def test_echos_of_strangers_end_no_session_of_a_page_that_is_allowed(dialect, operations):
    strangers = [f"https://flood{number}.example" for number in range(20)]
    operations.strangers.update(strangers)
    portals = [await new_page(dialect, origin=f"https://portal{number}.example.tw") for number in range(7)]
    flood = [await new_page(dialect, origin=origin) for origin in strangers]
    assert [await portal.error() for portal in portals] == ["0"] * 7
    assert [await page.error() for page in flood[-2:]] == ["61012", "0"]
    portals.append(await new_page(dialect, origin=OTHER))
    assert [await portal.error() for portal in portals] == ["0"] * 8
    assert await Page(dialect.handle, strangers[0]).echo() == "61010"


async def test_a_call_of_a_stranger_that_waits_for_the_person_gives_way_too(dialect, operations):
    operations.strangers.add("https://flood.example")
    operations.hold = asyncio.Event()
    waiting = asyncio.create_task(module(await new_page(dialect, origin="https://flood.example")))
    await until_waiting(dialect, 1)
    portals = [await new_page(dialect, origin=f"https://portal{number}.example.tw") for number in range(8)]
    assert [await portal.error() for portal in portals] == ["0"] * 8
    operations.hold.set()
    await waiting


async def test_where_everything_is_in_use_another_echo_is_told_so(dialect):
    for number in range(8):
        await module(await new_page(dialect, origin=f"https://portal{number}.example.tw"))
    assert await Page(dialect.handle, OTHER).echo() == "61010"


async def test_calls_of_one_session_run_one_after_another(dialect, page, operations):
    await module(page)
    operations.hold = asyncio.Event()
    slow = asyncio.ensure_future(page.call("ATL_GetHCACardSN", ulModuleHandle="1"))
    await until_waiting(dialect, 1)
    bad = asyncio.ensure_future(page.call("ATL_GetHCACardSN", ulModuleHandle="77"))
    code = asyncio.ensure_future(page.error())
    await until_waiting(dialect, 3)
    assert not bad.done()
    assert not code.done()
    operations.hold.set()
    assert (await slow, await bad, await code) == ("000000335361", "", "5006")


async def test_calls_of_other_sessions_do_not_wait(dialect, page, operations):
    await module(page)
    other = await new_page(dialect, origin=OTHER)
    operations.hold = asyncio.Event()
    slow = asyncio.ensure_future(page.call("ATL_GetHCACardSN", ulModuleHandle="1"))
    await until_waiting(dialect, 1)
    assert await other.error() == "0"
    operations.hold.set()
    await slow


async def test_a_session_takes_no_endless_queue(page, operations):
    await module(page)
    operations.hold = asyncio.Event()
    calls = [asyncio.ensure_future(page.call("ATL_GetHCACardSN", ulModuleHandle="1")) for _ in range(5)]
    await until(lambda: sum(call.done() for call in calls) == 2)
    operations.hold.set()
    assert sorted(await asyncio.gather(*calls)) == ["000000335361"] * 3 + ["61010"] * 2


async def test_a_release_during_a_call_does_not_wait_and_leaves_nothing_behind(dialect, page, operations):
    handle = await module(page)
    operations.hold = asyncio.Event()
    opening = asyncio.ensure_future(session(page, handle))
    await until_waiting(dialect, 1)
    waiting = asyncio.ensure_future(page.error())
    await until_waiting(dialect, 2)
    assert await page.call("ServiSignRelease") == "0"
    operations.hold.set()
    assert await opening != "61012"
    assert await waiting == "61012"
    assert [kept.wiped for kept in operations.kept] == [True]


async def test_tab_mode_one_shares_a_session_within_an_origin_only(dialect):
    first, second = await new_page(dialect, tab_mode=1), await new_page(dialect, tab_mode=1)
    assert first.session_id == second.session_id == "Chrome"
    assert await module(first) == "1"
    assert await second.call("ATL_GetHCACardType", ulModuleHandle="1") == "1"
    stranger = await new_page(dialect, tab_mode=1, origin=OTHER)
    assert await stranger.failing("ATL_GetHCACardType", ulModuleHandle="1") == ("", "5006")


async def test_in_tab_mode_one_the_last_tab_ends_the_session(dialect):
    first, second = await new_page(dialect, tab_mode=1), await new_page(dialect, tab_mode=1)
    await module(first)
    await first.call("ServiSignRelease")
    assert await second.good("ATL_GetHCACardType", ulModuleHandle="1") == "1"
    await second.call("ServiSignRelease")
    assert await second.failing("ATL_GetHCACardType", ulModuleHandle="1") == ("", "5006")


async def test_in_tab_mode_one_forcing_ends_the_session_for_every_tab(dialect):
    first, second = await new_page(dialect, tab_mode=1), await new_page(dialect, tab_mode=1)
    await module(first)
    assert await first.call("ServiSignForceRelease") == "0"
    assert await second.failing("ATL_GetHCACardType", ulModuleHandle="1") == ("", "5006")


async def test_in_tab_mode_one_the_tabs_of_another_origin_do_not_count(dialect):
    page = await new_page(dialect, tab_mode=1)
    stranger = await new_page(dialect, tab_mode=1, origin=OTHER)
    await module(page)
    await module(stranger)
    await page.call("ServiSignRelease")
    assert await stranger.good("ATL_GetHCACardType", ulModuleHandle="1") == "1"
    assert await page.failing("ATL_GetHCACardType", ulModuleHandle="1") == ("", "5006")


async def test_a_module_opened_again_without_closing_works_beside_the_first(page):
    assert await module(page) == "1"
    assert await module(page) == "2"
    assert await page.good("ATL_GetHCACardType", ulModuleHandle="1") == "1"
    assert await page.good("ATL_GetHCACardType", ulModuleHandle="2") == "1"


async def test_a_page_that_never_closes_anything_goes_on_working(page):
    for _ in range(100):
        handle = await module(page)
        opened = await session(page, handle)
    assert await page.good(
        "ATL_GetCertificateFromGPKICard",
        ulModuleHandle=handle,
        ulSessionHandle=opened,
        iCertId=1,
        readerName=Text(""),
    )


async def test_a_handle_of_one_sort_is_no_handle_of_another(page):
    handle = await module(page)
    opened = await session(page, handle)
    assert await page.failing("ATL_GetHCACardType", ulModuleHandle=opened) == ("", "5006")
    assert await page.failing("ATL_CloseSession", ulModuleHandle=handle, ulSessionHandle=handle) == (
        "9046",
        "9046",
    )


async def test_a_session_is_only_good_with_its_own_module(page):
    first, second = await module(page), await module(page)
    opened = await session(page, first)
    assert await page.failing("ATL_CloseSession", ulModuleHandle=second, ulSessionHandle=opened) == (
        "9046",
        "9046",
    )


async def test_a_card_exchanged_unnoticed_by_the_reader_is_still_another_card(page, operations):
    handle = await module(page)
    opened = {"ulModuleHandle": handle, "ulSessionHandle": await session(page, handle)}
    # A reader that was unplugged and plugged in again counts from the beginning.
    operations.card_in = replace(operations.card_in, serial="000000999999")
    assert await page.failing("ATL_GetHCABasicData", ulModuleHandle=handle) == ("", "9018")
    assert await page.failing("ATL_GetCertificateFromGPKICard", **opened, iCertId=1, readerName=Text("")) == (
        "",
        "9018",
    )


async def test_a_card_exchanged_while_the_session_opens_leaves_no_pin_behind(page, operations, monkeypatch):
    handle, choose = await module(page), operations.choose
    operations.insert()

    async def exchange_and_choose(*given, **named):
        operations.insert(serial="000000999999")
        return await choose(*given, **named)

    monkeypatch.setattr(operations, "choose", exchange_and_choose)
    assert await page.failing("ATL_InitSession", ulModuleHandle=handle, iFlags=6, userPin=Text("123456")) == (
        "0",
        "9018",
    )
    assert [kept.wiped for kept in operations.kept] == [True]


async def test_a_card_that_stayed_in_is_not_looked_at_again_for_its_pin(page, operations):
    handle = await module(page)
    operations.asked.clear()
    assert await session(page, handle) != "0"
    assert operations.asked == ["keep_pin"]


async def test_a_pin_opens_the_card_in_a_reader_that_counts_from_the_beginning_again(page, operations):
    handle = await module(page)
    assert await page.good("ATL_GetHCACardSN", ulModuleHandle=handle) == "000000335361"
    operations.card_in = replace(operations.card_in, serial="000000999999")
    assert await session(page, handle) != "0"
    assert await page.good("ATL_GetHCACardSN", ulModuleHandle=handle) == "000000999999"


async def test_a_card_exchanged_at_the_last_moment_in_such_a_reader_leaves_no_pin_behind(
    page, operations, monkeypatch
):
    handle, choose = await module(page), operations.choose
    operations.card_in = replace(operations.card_in, serial="000000999999")

    async def exchange_and_choose(*given, **named):
        operations.remove()
        return await choose(*given, **named)

    monkeypatch.setattr(operations, "choose", exchange_and_choose)
    assert await page.failing("ATL_InitSession", ulModuleHandle=handle, iFlags=6, userPin=Text("123456")) == (
        "0",
        "9056",
    )
    assert [kept.wiped for kept in operations.kept] == [True]


async def test_a_card_of_another_kind_in_such_a_reader_is_not_sent_the_pin(page, operations):
    handle = await module(page)
    operations.card_in = replace(operations.card_in, kind=CardKind.CITIZEN)
    assert await page.failing("ATL_InitSession", ulModuleHandle=handle, iFlags=6, userPin=Text("123456")) == (
        "0",
        "9057",
    )
    assert operations.given == []


async def test_the_error_code_stays_until_the_next_library_call(page):
    assert await page.call("ATL_GetHCACardType", ulModuleHandle="9") == ""
    assert [await page.error(), await page.error(), await page.call("GetErrorCode")] == ["5006"] * 3
    await module(page)
    assert await page.error() == "0"


async def test_an_error_nobody_foresaw_is_answered_and_logged_without_its_message(page, operations, caplog):
    operations.errors["choose"] = RuntimeError("the PIN is 123456")
    assert await module(page) == "0"
    assert await page.error() == "9999"
    assert "ATL_InitModule failed: RuntimeError" in caplog.text
    assert "123456" not in caplog.text


async def test_every_method_answers_arguments_that_make_no_sense(page):
    for name, method in FUNCTIONS.items():
        names = (*method.texts, *method.numbers, *method.secrets)
        arguments = dict.fromkeys(names, Text("undefined"))
        for given in ({}, arguments):
            result = await page.call(name, **given)
            assert result not in ("61013", "61012"), name
            assert await page.error() != "9999", name


async def test_the_tables_are_whole():
    from agent.dialects.servisign import nhi_reader_functions, pcsc_functions

    assert [method.index for method in pcsc_functions.FUNCTIONS.values()] == list(range(74))
    assert [method.index for method in nhi_reader_functions.FUNCTIONS.values()] == list(range(39))
    assert len(FUNCTIONS) == 113
    assert all(name.startswith("ATL_") for name in pcsc_functions.FUNCTIONS)
    for name, index in (("ATL_GetErrorCode", 46), ("ATL_GetHCABasicData", 59), ("ATL_ChangeUserPIN", 73)):
        assert pcsc_functions.FUNCTIONS[name].index == index
    for name, index in (("GetErrorCode", 20), ("HCA_GetCert", 14), ("HCA_UnlockHPC", 38)):
        assert nhi_reader_functions.FUNCTIONS[name].index == index


async def test_file_functions_are_refused_whatever_they_name(page):
    for name in (
        "ATL_Util_ReadFileToBase64",
        "ATL_Util_WriteFileFromBase64",
        "Util_ReadFileToBase64",
        "Util_WriteFileFromBase64",
        "Util_WriteFileFromHexString",
    ):
        arguments = dict.fromkeys(FUNCTIONS[name].texts, Text("/etc/passwd"))
        result, code = await page.failing(name, **arguments)
        assert result in ("", "5906")
        assert code == "5906"


async def test_a_lookup_that_fails_never_reads_as_a_good_answer(page):
    result, _ = await page.failing("ATL_OCSPGetCertStatus", idx=0)
    assert result not in ("", "0")
    result, _ = await page.failing("ATL_SearchCRL_GetCertStatus", b64Crl=Text(""), certSN=Text("01"))
    assert result not in ("", "0")


async def test_raw_requests_without_any_common_key_are_served(dialect):
    reply = reply_of(await dialect.handle(OTHER, body_of({"functionname": "Echo"})))
    assert reply["result"] == "0"
