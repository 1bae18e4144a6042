"""Time stamps as OpenSSL reads and judges them."""

from __future__ import annotations

import re

from tests.support.outside_world import TSA_POLICY, openssl
from tests.support.servisign_page import Text
from tests.support.servisign_shop import DATA, Shop, b64, ctime, octets_of


def server(shop: Shop) -> dict[str, Text]:
    host, port = shop.place.outside.http.split(":")
    return {"hostname": Text(host), "hostport": Text(port)}


def stamp(shop: Shop, data: bytes = DATA) -> bytes:
    return octets_of(shop.page.good("ATL_TSQuery", **server(shop), b64Data=b64(data)))


def stamp_holds(shop: Shop, answer: bytes) -> None:
    """OpenSSL's verdict on a stamp over DATA."""
    data, file = shop.file("data", DATA), shop.file("stamp", answer)
    ca = str(shop.authority.folder / "ca.pem")
    said = openssl("ts", "-verify", "-data", data, "-in", file, "-CAfile", ca)
    assert b"Verification: OK" in said


def stamp_text(shop: Shop, answer: bytes) -> dict[str, str]:
    """What OpenSSL reads in a stamp."""
    said = openssl("ts", "-reply", "-in", shop.file("stamp", answer), "-text").decode()
    rows = dict(re.findall(r"^([A-Z][A-Za-z ]+): (.*)$", said, re.MULTILINE))
    dump = re.findall(r"^ +00[0-9a-f]0 - (.{48})", said, re.MULTILINE)
    rows["imprint"] = re.sub(r"[^0-9a-f]", "", "".join(dump)).upper()
    return rows


def infos(shop: Shop, answer: bytes, function: str, stamp_name: str, number_name: str) -> list[str]:
    return [shop.page.good(function, **{stamp_name: b64(answer), number_name: number}) for number in range(7)]


def infos_are_right(shop: Shop, answer: bytes, found: list[str]) -> None:
    said = stamp_text(shop, answer)
    policy, imprint, serial, moment, version, accuracy, nonce = found
    assert policy == said["Policy OID"] == TSA_POLICY
    assert imprint == said["imprint"]
    assert int(serial, 16) == int(said["Serial number"], 16)
    assert moment == ctime(said["Time stamp"])
    assert version == said["Version"] == "1"
    assert accuracy == "1.5001"
    assert said["Accuracy"] == "0x01 seconds, 0x01F4 millis, 0x64 micros"
    assert int(nonce, 16) == int(said["Nonce"], 16)
