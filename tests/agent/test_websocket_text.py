"""A WebSocket whose text is no UTF-8 is closed with 1007 (RFC 6455 §8.1), on every door that has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import WSCloseCode

from tests.support.agent import PORTAL, RunningAgent
from tests.support.nhi_component import component_agent, trusting
from tests.support.raw_websocket import CONTINUATION, TEXT, RawWebSocket, raw_websocket

_GREEK = "κ\u1f79σμε".encode()
_CUT = ("C0", "E080", "F08080", "F8808080", "FC80808080", "DF", "EFBF", "F7BFBF", "FBBFBFBF", "FDBFBFBFBF")

# The kinds of Autobahn's cases 6.3 to 6.22, after Markus Kuhn's stress test for UTF-8 decoders.
KINDS: dict[str, tuple[str, ...]] = {
    "a surrogate amid good text": (_GREEK.hex() + "EDA080" + b"edited".hex(),),
    "beyond U+10FFFF amid good text": (_GREEK.hex() + "F4908080" + b"edited".hex(),),
    "a character cut at the end": tuple(_GREEK[:length].hex() for length in (1, 3, 4, 6, 8, 10)),
    "first of five and six octets": ("F888808080", "FC8480808080"),
    "last of four, five and six octets": ("F7BFBFBF", "FBBFBFBFBF", "FDBFBFBFBFBF"),
    "the first beyond U+10FFFF": ("F4908080",),
    "continuations without a start": (
        "80",
        "BF",
        "80BF",
        "80BF80",
        "80BF80BF",
        bytes(range(0x80, 0xBF)).hex(),
    ),
    "starts without a continuation": tuple(
        b" ".join(bytes((octet,)) for octet in range(*ends)).hex()
        for ends in ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))
    ),
    "the last continuation missing": _CUT,
    "several cut ones together": ("".join(_CUT),),
    "octets that cannot be": ("FE", "FF", "FEFEFFFF"),
    "ASCII in too many octets": ("C0AF", "E080AF", "F08080AF", "F8808080AF", "FC80808080AF"),
    "the most of too many octets": ("C1BF", "E09FBF", "F08FBFBF", "F887BFBFBF", "FC83BFBFBFBF"),
    "NUL in too many octets": ("C080", "E08080", "F0808080", "F880808080", "FC8080808080"),
    "single surrogates": ("EDA080", "EDADBF", "EDAE80", "EDAFBF", "EDB080", "EDBE80", "EDBFBF"),
    "pairs of surrogates": ("EDA080EDB080", "EDA080EDBFBF", "EDADBFEDB080", "EDAFBFEDBFBF"),
}
GOOD = ("\x00", "\x7f", "\x80", "κόσμε", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0010ffff")


async def _close_codes(agent: RunningAgent, text: bytes) -> set[int]:
    """Send the text to both sockets, whole, in two fragments and octet by octet."""
    codes = set()
    for port, path, tls in (
        (agent.daemon.native_port, "/v1", None),
        (agent.daemon.nhi_ports[0], "/echo", trusting(agent)),
    ):
        for parts in (
            [text],
            [text[: len(text) // 2], text[len(text) // 2 :]],
            [bytes((each,)) for each in text],
        ):
            async with raw_websocket(port, path, PORTAL, tls) as socket:
                _send(socket, parts)
                codes.add(await socket.close_code())
    return codes


def _send(socket: RawWebSocket, parts: list[bytes]) -> None:
    for number, part in enumerate(parts):
        socket.send(CONTINUATION if number else TEXT, part, last=number == len(parts) - 1)


@pytest.mark.parametrize("texts", KINDS.values(), ids=KINDS)
async def test_text_that_is_no_utf8_closes_the_connection(tmp_path: Path, texts: tuple[str, ...]) -> None:
    async with component_agent(tmp_path) as agent:
        for text in texts:
            assert await _close_codes(agent, bytes.fromhex(text)) == {WSCloseCode.INVALID_TEXT}, text


async def test_text_that_is_utf8_is_answered_whatever_it_says(tmp_path: Path) -> None:
    async with component_agent(tmp_path) as agent, agent.page() as page:
        for text in GOOD:
            await page.socket.send_str(text)
            assert (await page.answer(None))["error"]["data"]["id"] == "request.not_json"


async def test_what_came_before_the_bad_text_was_taken_and_nothing_after_it_is(tmp_path: Path) -> None:
    hello = b'{"jsonrpc":"2.0","id":%d,"method":"agent.hello"}'
    async with (
        component_agent(tmp_path) as agent,
        raw_websocket(agent.daemon.native_port, "/v1", PORTAL) as socket,
    ):
        socket.send(TEXT, hello % 1)
        while b'"id":1,' not in await socket.message():
            pass  # a notification may come first
        socket.send(TEXT, b'{"jsonrpc":"2.0","id":2,"method":"x","params":{"reader":"\xc3("}}')
        socket.send(TEXT, hello % 3)
        assert await socket.close_code() == WSCloseCode.INVALID_TEXT
