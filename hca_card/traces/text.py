"""Logs as text: `pcscd --apdu`, OpenSC's debug log, APDUPlay's winscard stub, macOS' log, arrows with hex.

They have one thing in common, a word that says who speaks and hexadecimal bytes after it, and that is what
is looked for; every other line is thrown away unread. No real log of APDUPlay or macOS was at hand, so
several spellings of theirs are taken. Where more is told: pcscd(8) `--apdu`; OpenSC
`libopensc/reader-pcsc.c` (sc_apdu_log); macOS SmartCardServices-legacy(7) and log(1), whose `--style json`
and `ndjson` wrap each line in the member `eventMessage`.
"""

from __future__ import annotations

import json
import re
from typing import BinaryIO, Final

from hca_card.traces.dealings import CUT, PIN_COMMANDS
from hca_card.traces.sink import Sink

_APDU_MOST: Final = 0x10000 + 16

LINE_MOST: Final = 256 * 1024
"""Bytes of a line that are looked at: an extended APDU, written with a space after each byte, is shorter."""

_BYTES = r"[0-9A-Fa-f]{2}(?:[ \t:,-]{0,2}[0-9A-Fa-f]{2})*"
_COMMAND = r"C-?APDU|Command APDU|APDU|transmitted|(?:-{1,2}|=)>|>>"
_RESPONSE = r"R-?APDU|Response APDU|SW|received|<(?:-{1,2}|=)|<<"
_SPOKEN = re.compile(
    rf"(?:^|[\s\]):])(?:APDU\s*)?(?:(?P<command>{_COMMAND})|(?P<response>{_RESPONSE}))"
    rf"\s*(?:[\[(]\d+(?: bytes)?[\])])?\s*:?\s*(?P<bytes>{_BYTES})\s*"
    r"(?P<rest>\.{2,3}|…)?[\s\"',;]*(?:$|[#(].*$)",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"^(?P<way>Outgoing|Incoming) APDU(?: data)? [(\[](?P<count>\d{1,5}) bytes[)\]]")
_DUMP = re.compile(
    r"^\s*(?:[0-9A-Fa-f]{4,8}[: ]\s+)?(?P<bytes>[0-9A-Fa-f]{2}(?: [0-9A-Fa-f]{2}){0,31})(?:\s|$)"
)
_ALONE = re.compile(rf"^\s*(?P<bytes>{_BYTES})\s*$")
_ATR = re.compile(
    r"\bATR\b\s*[:=]?\s*(?P<bytes>3[BF](?:[ :]?[0-9A-Fa-f]{2}){2,32})\s*[\"',.;)]*\s*$", re.IGNORECASE
)
_READER = re.compile(r"reader '(?P<name>[^']{1,200})'|refresh_attributes: (?P<other>.{1,200}) check$")
_HANDLE = re.compile(r"SCardTransmit\s*\(handle (?P<name>0x[0-9A-Fa-f]+)(?P<other>)", re.IGNORECASE)
_JSON = re.compile(r'"eventMessage"\s*:\s*(?P<text>"(?:[^"\\]|\\.)*")')
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NO_SEPARATORS: Final = dict.fromkeys(map(ord, " \t:,-"))
_HINTS: Final = ("apdu", "atr", "reader", "refresh", "transmi", "received", "sw", ">", "<")
_NEVER: Final = re.compile(r"\b(?:pin|puk|password|passwd)\b|密碼", re.IGNORECASE)
"""What may stand before a PIN in a log's own words; such a line is no command but VERIFY and its like."""

_PIN_INSTRUCTIONS: Final = frozenset(bytes((ins,)) for ins in PIN_COMMANDS)


def read(file: BinaryIO, sink: Sink) -> None:
    """Read a log from its beginning to its end."""
    encoding = _encoding(file)
    log = _Log(sink)
    while line := file.readline(LINE_MOST):
        if encoding == "utf-16-le":
            line += file.read(1)  # of the two bytes that a line ends with
        if len(line) >= LINE_MOST:
            log.flush()
            continue
        log.line(line.decode(encoding, "replace"))
    log.flush()


def _encoding(file: BinaryIO) -> str:
    """Windows' PowerShell writes UTF-16 where a program's output is sent to a file."""
    mark = file.read(2)
    if mark == b"\xff\xfe":
        return "utf-16-le"
    file.seek(0)
    return "utf-8"


class _Log:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._slot = ""
        self._held = bytearray()
        self._speaks = ""
        self._announced: int | None = None

    def line(self, line: str) -> None:
        if '"eventMessage"' in line:
            self._unwrapped(line)
            return
        if "\x1b" in line:
            line = _COLOURS.sub("", line)
        if self._speaks:
            if self._goes_on(line):
                return
            self.flush()
        lowered = line.lower()
        if not any(hint in lowered for hint in _HINTS):
            return
        self._slot_of(line)
        if counted := _COUNTED.match(line):
            self._speaks = "command" if counted["way"] == "Outgoing" else "response"
            self._announced = int(counted["count"])
        elif atr := _ATR.search(line):
            self._sink.present(self._slot, _octets(atr["bytes"]))
        elif spoken := _SPOKEN.search(line):
            octets = _octets(spoken["bytes"])
            if _NEVER.search(line) and octets[1:2] not in _PIN_INSTRUCTIONS:
                return
            self._speaks = "command" if spoken["command"] else "response"
            self._held += octets
            if spoken["rest"]:
                self._cut()

    def _unwrapped(self, line: str) -> None:
        for found in _JSON.finditer(line):
            try:
                text = json.loads(found["text"])
            except ValueError:
                continue
            for part in str(text).splitlines():
                self.line(part.replace('"eventMessage"', ""))

    def _slot_of(self, line: str) -> None:
        for pattern in (_READER, _HANDLE):
            if found := pattern.search(line):
                self._slot = found["name"] or found["other"]

    def _goes_on(self, line: str) -> bool:
        """Whether the line is more of the bytes that are being collected."""
        if self._announced is None:
            more = _ALONE.match(line)
            if more is None or len(line) < 2:
                return False
            self._held += _octets(more["bytes"])
            if len(self._held) > _APDU_MOST:
                self._cut()  # hexadecimal without end is no command
            return True
        more = _DUMP.match(line)
        if more is None or len(self._held) >= self._announced:
            return False
        # After the bytes stand the same as characters, which may look like more bytes.
        octets = _octets(more["bytes"])[: min(16, self._announced - len(self._held))]
        self._held += octets
        if len(self._held) >= self._announced:
            self.flush()
        return True

    def flush(self) -> None:
        """Hand on what has been collected."""
        speaks, self._speaks = self._speaks, ""
        octets, announced, self._announced = bytes(self._held), self._announced, None
        self._held.clear()
        if announced is not None and len(octets) < announced:
            self._cut()
        elif octets:
            (self._sink.command if speaks == "command" else self._sink.response)(self._slot, octets)

    def _cut(self) -> None:
        self._speaks = ""
        self._held.clear()
        self._sink.note(*CUT)


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.translate(_NO_SEPARATORS))
