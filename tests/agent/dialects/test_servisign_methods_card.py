"""Card, sessions, PINs and records of the PC/SC library, by wire, with good and with bad arguments.

What comes back is compared with OpenSSL's command line, with `cryptography`, and with what was put on the
card; never with this program's own helpers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.servisign_page import Text, items
from tests.support.servisign_shop import DATA, Row, Shop, Table, b64, octets_of
from tests.support.servisign_wire import PIN, PUK

TABLE = Table()
PERSON = ["測試人員卡", "TEST CARD", "M", "0650101", "BA00312361", "A"]
NO_MODULE, NO_SESSION = {"ulModuleHandle": 99}, {"ulModuleHandle": 99, "ulSessionHandle": 99}
NEW_PIN = "654321"


@TABLE.good("ATL_InitModule")
def _(shop: Shop) -> None:
    first = shop.module["ulModuleHandle"]
    again = shop.page.good("ATL_InitModule", moduleName=Text("..\\..\\evil.dll"), initArgs=Text("x"))
    assert int(again) > int(first) > 0


@TABLE.bad("ATL_InitModule")
def _(shop: Shop) -> Iterator[Row]:
    card = shop.place.card
    shop.place.reader.remove()
    yield {"moduleName": Text("HCAPKCS11.dll"), "initArgs": Text("")}, "0", "9056"
    shop.place.put("nhi")
    yield {"moduleName": Text("HCAPKCS11.dll"), "initArgs": Text("")}, "0", "9056"
    shop.place.reader.remove()
    shop.place.reader.insert(card)
    shop.place.card = card


@TABLE.good("ATL_CloseModule")
def _(shop: Shop) -> None:
    session = shop.session
    assert shop.page.good("ATL_CloseModule", **shop.module) == "0"
    assert shop.page.failing("ATL_CloseSession", **session) == ("5006", "5006")


@TABLE.good("ATL_CloseModuleEx")
def _(shop: Shop) -> None:
    assert shop.page.good("ATL_CloseModuleEx", **shop.module, iFlag=0) == "0"
    assert shop.page.failing("ATL_GetHCACardSN", **shop.module) == ("", "5006")


@TABLE.bad("ATL_CloseModule", "ATL_CloseModuleEx")
def _(shop: Shop) -> Iterator[Row]:
    yield dict(NO_MODULE), "5006", "5006"
    yield {}, "5006", "5006"


@TABLE.good("ATL_InitSession")
def _(shop: Shop) -> None:
    assert int(shop.session["ulSessionHandle"]) > 0
    # The page leaves its field empty: the person enters the PIN in this program's own window.
    shop.place.answers.append(PIN)
    empty = shop.page.good("ATL_InitSession", **shop.module, iFlags=4, userPin=Text(""))
    assert int(empty) > 0
    assert not shop.place.answers


@TABLE.bad("ATL_InitSession")
def _(shop: Shop) -> Iterator[Row]:
    yield {**shop.module, "iFlags": 6, "userPin": Text("999999")}, "0", "9039"
    assert shop.place.card.pin_tries == 2
    shop.page.good("ATL_InitSession", **shop.module, iFlags=6, userPin=Text(PIN))
    assert shop.place.card.pin_tries == 3
    yield {**shop.module, "iFlags": 6, "userPin": Text("12345")}, "0", "9041"
    yield {**shop.module, "iFlags": 6, "userPin": Text("١٢٣٤٥٦")}, "0", "9040"
    yield {**NO_MODULE, "iFlags": 6, "userPin": Text(PIN)}, "0", "5006"
    # Empty, and the person cancels: no session that proves nothing.
    yield {**shop.module, "iFlags": 6, "userPin": Text("")}, "0", "9001"
    assert shop.place.card.pin_tries == 3


@TABLE.good("ATL_CloseSession")
def _(shop: Shop) -> None:
    assert shop.page.good("ATL_CloseSession", **shop.session) == "0"
    officer = shop.page.good("ATL_InitSOSession", **shop.module, iFlags=6, cardPuk=Text(PUK))
    assert shop.page.good("ATL_CloseSession", **shop.module, ulSessionHandle=officer) == "0"


@TABLE.bad("ATL_CloseSession")
def _(shop: Shop) -> Iterator[Row]:
    yield {**shop.module, "ulSessionHandle": 99}, "9046", "9046"
    yield {**shop.module, "ulSessionHandle": shop.module["ulModuleHandle"]}, "9046", "9046"
    yield dict(NO_SESSION), "5006", "5006"


def _card_value(name: str, expected: str) -> None:
    def check(shop: Shop) -> None:
        assert shop.page.good(name, **shop.module) == expected

    TABLE.good(name)(check)


for _name, _value in {
    "ATL_GetCardHCACardVersion": "2", "ATL_GetHCACardType": "1", "ATL_GetCardType": "1",
    "ATL_GetHCACardSN": "000000335361", "ATL_GetHCAKeyLength": "256", "ATL_GetHCACertType": "2",
}.items():  # fmt: skip
    _card_value(_name, _value)


@TABLE.bad("ATL_GetCardHCACardVersion", "ATL_GetHCACardType", "ATL_GetCardType", "ATL_GetHCACardSN",
     "ATL_GetHCABasicData", "ATL_GetBasicData", "ATL_GetHCACardInfo")  # fmt: skip
def _(_shop: Shop) -> Iterator[Row]:
    yield dict(NO_MODULE), "", "5006"
    yield {"ulModuleHandle": ""}, "", "5006"


@TABLE.bad("ATL_GetHCAKeyLength", "ATL_GetHCACertType")
def _(_shop: Shop) -> Iterator[Row]:
    yield dict(NO_MODULE), "-1", "5006"


@TABLE.good("ATL_GetHCABasicData")
def _(shop: Shop) -> None:
    assert items(shop.page.good("ATL_GetHCABasicData", **shop.module)) == PERSON


@TABLE.good("ATL_GetBasicData")
def _(shop: Shop) -> None:
    assert items(shop.page.good("ATL_GetBasicData", **shop.module)) == PERSON


def _info_is_right(listed: str) -> None:
    generates, issued, valid, opened, terminated = items(listed)
    assert (generates, opened, terminated) == ("1", "1", "0")
    assert re.fullmatch(r"1\d{6}", issued)
    assert valid[:7] == issued
    assert re.fullmatch(r"1\d{6}", valid[7:])


@TABLE.good("ATL_GetHCACardInfo")
def _(shop: Shop) -> None:
    _info_is_right(shop.page.good("ATL_GetHCACardInfo", **shop.module))


@TABLE.good("ATL_GetCardInfo")
def _(shop: Shop) -> None:
    assert shop.module
    _info_is_right(shop.page.good("ATL_GetCardInfo"))


@TABLE.good("ATL_GetCardSN")
def _(shop: Shop) -> None:
    assert shop.module
    assert shop.page.good("ATL_GetCardSN") == "000000335361"


@TABLE.bad("ATL_GetCardSN", "ATL_GetCardInfo")
def _(_shop: Shop) -> Iterator[Row]:
    yield {}, "", "9038"


@TABLE.good("ATL_GetErrorCode")
def _(shop: Shop) -> None:
    assert shop.page.call("ATL_GetErrorCode") == "0"
    assert shop.page.call("ATL_CloseModule", **NO_MODULE) == "5006"
    assert shop.page.call("ATL_GetErrorCode") == shop.page.call("ATL_GetErrorCode") == "5006"


@TABLE.bad("ATL_GetErrorCode")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"any": Text("thing")}, "0", "0"


@TABLE.good("ATL_SetCodePage")
def _(shop: Shop) -> None:
    assert shop.page.good("ATL_SetCodePage", codePage=950) == "0"


@TABLE.bad("ATL_SetCodePage")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"codePage": [950]}, "61005", "61005"


@TABLE.good("ATL_GetDataRecord")
def _(shop: Shop) -> None:
    for name, expected in {"CardSN": "000000335361", "CardVersion": "2", "cardtype": "1",
                           "BasicData": ";".join(PERSON) + ";"}.items():  # fmt: skip
        given = {"pin": Text(PIN), "recordName": Text(name)}
        assert shop.page.good("ATL_GetDataRecord", **shop.module, **given) == expected
    _info_is_right(
        shop.page.good("ATL_GetDataRecord", **shop.module, pin=Text(PIN), recordName=Text("CardInfo"))
    )


@TABLE.bad("ATL_GetDataRecord")
def _(shop: Shop) -> Iterator[Row]:
    yield {**shop.module, "pin": Text("000000"), "recordName": Text("Nothing")}, "", "9100"
    assert shop.place.card.pin_tries == 3
    yield {**shop.module, "pin": Text("000000"), "recordName": Text("CardSN")}, "", "9039"
    assert shop.place.card.pin_tries == 2
    shop.page.good("ATL_GetDataRecord", **shop.module, pin=Text(PIN), recordName=Text("CardSN"))
    # Without a PIN the person is asked, and cancels.
    yield {**shop.module, "pin": Text(""), "recordName": Text("CardSN")}, "", "9001"


@TABLE.good("ATL_InitSOSession")
def _(shop: Shop) -> None:
    handle = shop.page.good("ATL_InitSOSession", **shop.module, iFlags=6, cardPuk=Text(PUK))
    assert int(handle) > 0
    # The card takes a PUK only together with a new PIN, so nothing has been sent yet.
    assert shop.place.card.puk_tries == 10


@TABLE.bad("ATL_InitSOSession")
def _(shop: Shop) -> Iterator[Row]:
    yield {**NO_MODULE, "iFlags": 6, "cardPuk": Text(PUK)}, "0", "5006"
    yield {**shop.module, "iFlags": 6, "cardPuk": Text("中文密碼一二三四")}, "0", "9040"


@TABLE.good("ATL_UnblockUserPIN")
def _(shop: Shop) -> None:
    shop.place.put("hpc-locked")
    officer = shop.page.good("ATL_InitSOSession", **shop.module, iFlags=6, cardPuk=Text(PUK))
    given = {**shop.module, "ulSessionHandle": officer}
    assert shop.page.good("ATL_UnblockUserPIN", **given, newUserPin=Text(NEW_PIN)) == "0"
    assert shop.place.card.pin_tries == 3
    shop.page.good("ATL_InitSession", **shop.module, iFlags=6, userPin=Text(NEW_PIN))
    # The PUK was used once; from now on the person enters it.
    shop.place.pairs.append((PUK, PIN))
    assert shop.page.good("ATL_UnblockUserPIN", **given, newUserPin=Text(NEW_PIN)) == "0"
    assert not shop.place.pairs
    shop.place.put("hpc")


@TABLE.bad("ATL_UnblockUserPIN")
def _(shop: Shop) -> Iterator[Row]:
    yield {**shop.session, "newUserPin": Text(NEW_PIN)}, "9046", "9046"
    wrong = shop.page.good("ATL_InitSOSession", **shop.module, iFlags=6, cardPuk=Text("00000000"))
    yield {**shop.module, "ulSessionHandle": wrong, "newUserPin": Text(NEW_PIN)}, "9039", "9039"
    assert shop.place.card.puk_tries == 9
    right = shop.page.good("ATL_InitSOSession", **shop.module, iFlags=6, cardPuk=Text(PUK))
    yield {**shop.module, "ulSessionHandle": right, "newUserPin": Text("12345")}, "9041", "9041"
    asked = shop.page.good("ATL_InitSOSession", **shop.module, iFlags=6, cardPuk=Text(""))
    yield {**shop.module, "ulSessionHandle": asked, "newUserPin": Text(NEW_PIN)}, "9001", "9001"
    shop.place.put("hpc")


@TABLE.good("ATL_ChangeUserPIN")
def _(shop: Shop) -> None:
    shop.place.put("hpc")
    assert shop.page.good("ATL_ChangeUserPIN", **shop.session, newUserPin=Text(NEW_PIN)) == "0"
    # The session goes on with the new PIN, and the card has it.
    given = {"ulAlgorithm": 0x40, "b64Data": b64(DATA), "ulPvKeyObject": shop.key(0, "1")}
    signature = shop.page.good("ATL_MakeSignature", **shop.session, **given)
    shop.signature_holds(1, "sha256", octets_of(signature))
    assert shop.page.failing("ATL_InitSession", **shop.module, iFlags=6, userPin=Text(PIN)) == ("0", "9039")
    shop.page.good("ATL_InitSession", **shop.module, iFlags=6, userPin=Text(NEW_PIN))
    shop.place.put("hpc")


@TABLE.bad("ATL_ChangeUserPIN")
def _(shop: Shop) -> Iterator[Row]:
    yield {**shop.module, "ulSessionHandle": 99, "newUserPin": Text(NEW_PIN)}, "9046", "9046"
    yield {**shop.session, "newUserPin": Text("12")}, "9041", "9041"
    yield {**shop.session, "newUserPin": Text("")}, "9001", "9001"
    assert shop.place.card.pin_tries == 3


@TABLE.good("ATL_Util_ReadFileToBase64")
def _(shop: Shop) -> None:
    # There is no good use of it.
    name = shop.file("secret", b"secret")
    assert shop.page.failing("ATL_Util_ReadFileToBase64", filename=Text(name)) == ("", "5906")


@TABLE.good("ATL_Util_WriteFileFromBase64")
def _(shop: Shop) -> None:
    name = str(shop.folder / "written")
    refused = shop.page.failing("ATL_Util_WriteFileFromBase64", filename=Text(name), b64Data=b64(b"x"))
    assert refused == ("5906", "5906")
    assert not (shop.folder / "written").exists()


@TABLE.bad("ATL_Util_ReadFileToBase64")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"filename": Text("")}, "", "5906"
    yield {"filename": Text("C:\\Windows\\win.ini")}, "", "5906"


@TABLE.bad("ATL_Util_WriteFileFromBase64")
def _(_shop: Shop) -> Iterator[Row]:
    yield {"filename": Text("../x"), "b64Data": Text("%%")}, "5906", "5906"


@pytest.mark.parametrize("name", TABLE.rightly)
def test_with_good_arguments_it_does_what_it_says(shop, name):
    TABLE.try_good(shop, name)


@pytest.mark.parametrize("name", TABLE.wrongly)
def test_with_bad_arguments_it_fails_with_the_number_that_is_written(shop, name):
    TABLE.try_bad(shop, name)
