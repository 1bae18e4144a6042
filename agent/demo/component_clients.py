"""The older components without a browser: what servisign.js, hipki.js and nhi-component.js do on the wire."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from agent.demo.page_client import SECONDS, PageClient

PCSC: Final = ("6BD4EA2493354E298DD0B09B72A5EA59", "ATL_GetErrorCode")
NHI_READER: Final = ("18463EED6A6E496BB4381EA090DA5882", "GetErrorCode")
_SHA256_RSA: Final = 0x40
_SHA256_FLAG: Final = 2
_READ_WRITE: Final = 6


class ComponentError(Exception):
    """A component answered with this number."""

    def __init__(self, number: int) -> None:
        super().__init__(str(number))
        self.number = number


class ServiSignClient:
    """A page's session with ServiSign (docs/servisign.md).

    Args:
        page: whose browser sends the requests.
        base: `https://localhost:PORT`.
        library: which of the two libraries, and what its last error is called.
    """

    def __init__(self, page: PageClient, base: str, library: tuple[str, str]) -> None:
        self._page = page
        self._base = base
        self._path_id, self._error = library
        self._session = ""

    async def sign(self, pin: str, text: str) -> Mapping[str, str]:
        """Return the card's signature of `text`, and its certificate; base64 as the component gives it.

        Raises:
            ComponentError: if the component refuses, with its number.
        """
        self._session = _text((await self._send("Echo", {}))["SessionID"])
        return await (self._sign_pcsc if self._error == PCSC[1] else self._sign_nhi)(pin, text)

    async def _sign_pcsc(self, pin: str, text: str) -> Mapping[str, str]:
        module = int(await self._call("ATL_InitModule", moduleName="HCAPKCS11.dll", initArgs=""))
        opened = {"ulModuleHandle": module}
        session = int(await self._call("ATL_InitSession", **opened, iFlags=_READ_WRITE, userPin=pin))
        both = opened | {"ulSessionHandle": session}
        certificate = await self._call("ATL_GetCertificateFromGPKICard", **both, iCertId=1, readerName="")
        key = int(await self._call("ATL_GetKeyObjectHandle", **both, iKeyType=0, key_id="", param="1"))
        signature = await self._call(
            "ATL_MakeSignatureEx2",
            **both,
            ulAlgorithm=_SHA256_RSA,
            ulEndianness=0,
            b64Data=_base64(text),
            ulPvKeyObject=key,
        )
        await self._call("ATL_CloseSession", **both)
        await self._call("ATL_CloseModule", **opened)
        return {"certificate": certificate, "signature": signature}

    async def _sign_nhi(self, pin: str, text: str) -> Mapping[str, str]:
        await self._call("HCA_OpenCOMPort", comport=0)
        await self._call("HCA_VerifyPIN", pincode=pin, flag=0)
        certificate = await self._call("HCA_GetCert", flag=1)
        signature = await self._call("HCA_SignMessageEx2", data=_base64(text), hashflag=_SHA256_FLAG, flag=0)
        await self._call("HCA_CloseCOMPort")
        return {"certificate": certificate, "signature": signature}

    async def _call(self, name: str, **values: str | int) -> str:
        result = _text((await self._send(name, values))["result"])
        if number := int(_text((await self._send(self._error, {}))["result"])):
            raise ComponentError(number)
        return result

    async def _send(self, name: str, values: Mapping[str, str | int]) -> Mapping[str, str]:
        request: dict[str, object] = {"functionname": name, "sessionid": self._session}
        for key, value in values.items():
            marked = isinstance(value, str)
            request |= {f"{key}_ServiSignBase64Flag": True} if marked else {}
            request[key] = quote(_base64(str(value)), safe="") if marked else value
        request["PathID"] = self._path_id
        body = "Parameter=" + quote(_base64(json.dumps(request)), safe="")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self._page.http.post(self._base + "/", data=body, headers=headers) as response:
            answer: Mapping[str, str] = await response.json(content_type=None)
            return answer


async def sign_through_hipki(
    page: PageClient, base: str, pin: str, text: str, reader: str
) -> Mapping[str, Any]:
    """Return what the popup of HiPKI hands to its page: a PKCS#7 signature of `text` (docs/hipki.md).

    Args:
        page: the page that opens the popup.
        base: `http://localhost:PORT`.
        pin: typed in the page.
        text: what is signed.
        reader: where the card is.
    """
    # Opening a window sends no Origin, so the page's own requests cannot stand in for it.
    async with aiohttp.ClientSession() as window, window.get(f"{base}/popupForm") as popup:
        found = re.search(r'name="ticket" content="([^"]+)"', await popup.text())
    if found is None:
        raise ComponentError(0)
    request = {
        "func": "MakeSignature",
        "tbs": text,
        "tbsEncoding": "NONE",
        "hashAlgorithm": "SHA256",
        "signatureType": "PKCS7",
        "withCardSN": "true",
        "pin": pin,
        "slotDescription": reader,
    }
    headers = {
        "Origin": base,
        "Content-Type": "application/x-www-form-urlencoded",
        "X-HCA-Ticket": found[1],
        "X-HCA-Portal": page.origin,
    }
    body = "tbsPackage=" + quote(json.dumps(request), safe="")
    async with page.http.post(f"{base}/sign", data=body, headers=headers) as response:
        answer: Mapping[str, Any] = await response.json()
    if answer["ret_code"]:
        raise ComponentError(answer["ret_code"])
    return answer


async def read_nhi_card(page: PageClient, address: str) -> tuple[Mapping[str, str], str]:
    """Return the card's basic data, and the answer to H_Sign, asked in the order of NHI's pages."""
    async with page.http.ws_connect(address) as socket:

        async def ask(command: str) -> str:
            await socket.send_str(command)
            return str(await socket.receive_str(timeout=SECONDS))

        basic, version, random = [
            (await ask(command)).removeprefix(f"{command}:")
            for command in ("GetBasic", "GetVersion", "GetRandom")
        ]
        signature = await ask(f"H_Sign?Random={version}{random}")
    number, *fields = basic.split(",")
    if len(fields) < 2:
        raise ComponentError(int(number))
    return {"number": number, "idNumber": fields[0], "name": fields[1]}, signature


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
