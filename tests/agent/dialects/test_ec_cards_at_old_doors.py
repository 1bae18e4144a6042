"""Cards with an elliptic curve or RSA-PSS at the doors of old pages: what these can use, and words."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from agent.config import Config, OriginSettings
from agent.dialects.hipki.dialect import HipkiDialect, HipkiVerb
from agent.dialects.servisign import ServiSignDialect
from agent.errors.numbers.words import number_words
from hca_card.model import CardKind
from tests.support.hipki import check_cms, package
from tests.support.operations import PIN, PORTAL, World, agent
from tests.support.servisign_page import NHI_PATH_ID, Page, Text

ORIGIN = str(PORTAL.origin)
ALLOWED = Config(origins=OriginSettings(allow=frozenset((ORIGIN,)), digest=frozenset((ORIGIN,))))
TEXT = "出生通報 birth report"
INFO = bytes.fromhex("3031300D060960864801650304020105000420") + bytes(range(32))


@pytest.fixture(params=["pkcs15-p256", "pkcs15-pss"])
async def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    # As if it were issued as an HCA card, which these pages want.
    monkeypatch.setattr("agent.dialects.servisign.card.HCA_KINDS", frozenset((CardKind.PKCS15,)))
    async with agent(tmp_path, request.param, config=ALLOWED) as world:
        yield world


async def hipki(world: World, verb: HipkiVerb, **members: object) -> dict[str, object]:
    dialect = HipkiDialect(world.operations, ALLOWED)
    answer = await dialect.answer(verb, ORIGIN, package(**members), certificates=True)
    return dict(json.loads(answer or b"{}"))


@pytest.mark.parametrize("world", ["pkcs15-p256"], indirect=True)
async def test_hipki_lists_the_key_for_what_it_is(world: World) -> None:
    [slot] = (await hipki(world, HipkiVerb.INFO, func="GetUserCert"))["slots"]
    [key] = slot["token"]["keys"]
    assert key["type"] == "EC"
    assert isinstance(load_der_public_key(base64.b64decode(key["keyb64"])), EllipticCurvePublicKey)
    assert next(each["usage"] for each in slot["token"]["certs"]) == "digitalSignature"


async def test_hipki_makes_cms_which_says_itself_what_it_is(world: World, tmp_path: Path) -> None:
    answer = await hipki(
        world, HipkiVerb.SIGN, func="MakeSignature", tbs=TEXT, signatureType="PKCS7", hashAlgorithm="SHA256"
    )
    assert answer["ret_code"] == 0
    assert check_cms(base64.b64decode(str(answer["signature"])), tmp_path) == TEXT.encode()


@pytest.mark.parametrize(
    "members",
    [
        {"tbs": TEXT, "signatureType": "PKCS1", "hashAlgorithm": "SHA256"},
        {"tbs": base64.b64encode(INFO).decode(), "signatureType": "RAW"},
    ],
    ids=["PKCS1", "RAW"],
)
@pytest.mark.parametrize("pin", [None, PIN])
async def test_hipki_refuses_bare_signatures_in_words(
    world: World, members: dict[str, object], pin: str | None
) -> None:
    typed = {} if pin is None else {"pin": pin}
    answer = await hipki(world, HipkiVerb.SIGN, func="MakeSignature", **members, **typed)
    assert answer["ret_code"] != 0
    assert "RSA" in str(answer["message"])
    assert "signature" not in answer
    assert world.pins_asked() == []
    assert not [each for each in world.apdus if each[1] == 0x2A]


async def test_servisign_gives_no_handle_for_such_a_key(world: World) -> None:
    page = Page(ServiSignDialect(world.operations, ALLOWED).handle, ORIGIN)
    assert await page.echo() == "0"
    module = await page.good("ATL_InitModule", moduleName=Text("HCAPKCS11.dll"), initArgs=Text(""))
    opened = await page.good("ATL_InitSession", ulModuleHandle=module, iFlags=6, userPin=Text(PIN))
    arguments = {"ulModuleHandle": module, "ulSessionHandle": opened, "key_id": Text(""), "param": Text("1")}
    for kind in (0, 1):
        result = await page.failing("ATL_GetKeyObjectHandle", **arguments, iKeyType=kind)
        assert result == ("0", "9026")
    assert number_words("servisign")[9026].zh


async def test_servisign_with_an_nhi_reader_signs_nothing_and_asks_nobody(world: World) -> None:
    page = Page(ServiSignDialect(world.operations, ALLOWED).handle, ORIGIN, path_id=NHI_PATH_ID)
    assert await page.echo() == "0"
    await page.good("HCA_OpenCOMPort", comport=0)
    document = Text(base64.b64encode(TEXT.encode()).decode())
    assert await page.failing("HCA_SignMessageEx2", data=document, hashflag=1) == ("", "9026")
    assert world.pins_asked() == []
    await page.good("HCA_VerifyPIN", pincode=Text(PIN), flag=0)
    assert await page.failing("HCA_SignMessageEx2", data=document, hashflag=1) == ("", "9026")
    assert not [each for each in world.apdus if each[1] == 0x2A]
