"""A trace that may be sent to somebody: one JSON object a line, its head saying what was left out.

Lines with `command` are exchanges, as `pcsc.trace` tells them; `step` says what the following ones are for;
`file`, `data` and `structure` say what was found, masked.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from hca_card.probe import masking
from hca_card.probe.found import Findings, FoundFile
from pcsc.apdu import LE_SHORT_MAX
from pcsc.trace import Exchange

LINES_MAX: Final = 20_000


class Recorder:
    """Takes down exchanges; for any thread.

    Args:
        what: the command whose trace it is.
        version: of the program.
    """

    def __init__(self, what: str, version: str) -> None:
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._count = 0
        self._lines: list[dict[str, Any]] = [
            {"trace": what, "version": version, "format": 1, "masked": list(masking.MASKED)}
        ]

    def observe(self, exchange: Exchange) -> None:
        """Take down one exchange."""
        with self._lock:
            self._count += 1
            if len(self._lines) < LINES_MAX:
                self._lines.append({"n": self._count, "at": self._at(), **_exchange(exchange)})

    def step(self, words: str) -> None:
        """Note what the next exchanges are for."""
        self.note({"step": words})

    def note(self, facts: Mapping[str, Any]) -> None:
        """Add a line; `facts` must be masked already."""
        with self._lock:
            if len(self._lines) < LINES_MAX:
                self._lines.append({"at": self._at(), **facts})

    def text(self) -> str:
        """Return the trace so far."""
        with self._lock:
            return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines)

    @property
    def count(self) -> int:
        """Exchanges so far."""
        return self._count

    def _at(self) -> float:
        return round(time.monotonic() - self._begun, 4)


def tell(recorder: Recorder, found: Findings) -> None:
    """Add what a probe has found to its trace, masked."""
    facts = found.atr_facts
    recorder.note(
        {
            "atr": _hex(found.atr),
            "protocols": list(facts.protocols),
            "historical": facts.text,
            "chip": found.chip,
            "extended": facts.extended,
        }
    )
    for name, content in found.data_objects.items():
        shown = masking.cplc(content) if name.endswith("9F7F") else masking.structure(content)
        recorder.note({"data": name, "is": masking.kind_of(content), "content": shown})
    for name, content in found.directory_files.items():
        recorder.note({"structure": name, "content": masking.fci(content)})
    for application in found.applications:
        recorder.note(
            {
                "application": _hex(application.aid),
                "name": application.name,
                "sw": f"{application.sw:04X}",
                "fci": masking.fci(application.fci),
            }
        )
        for file in application.files:
            recorder.note({"file": {"sfi": file.sfi}, **_file(file)})
        for (asked, data), content in application.objects.items():
            name = f"00 CA {asked:04X} {_hex(data)}".strip()
            recorder.note({"data": name, "is": masking.kind_of(content)})
    for name, content in found.structures.items():
        recorder.note({"structure": name, "content": masking.structure(content)})
    for path, file in found.objects.items():
        recorder.note({"file": {"path": _hex(path)}, **_file(file)})
    if found.hicos:
        recorder.note({"hicos": found.hicos, "version": masking.kind_of(found.hicos_version.encode())})
    for zh, en in found.notes:
        recorder.note({"note": f"{zh} · {en}"})
    if found.ended is not None:
        recorder.note({"ended": type(found.ended).__name__, "why": str(found.ended)})


def _exchange(exchange: Exchange) -> dict[str, Any]:
    line: dict[str, Any] = {"command": _command(exchange), "ms": round(exchange.seconds * 1000, 1)}
    if exchange.sw is None:
        return {**line, "failed": exchange.failure}
    line |= {"sw": f"{exchange.sw:04X}", "length": exchange.length}
    if exchange.answer:
        line["answer"] = masking.fci(exchange.answer)
    return line


def _command(exchange: Exchange) -> str:
    parts = [_hex(exchange.header)]
    if exchange.lc is None:
        parts.append("<secret>")
    elif exchange.lc:
        parts.append(f"{exchange.lc:02X}")
        parts.append(_hex(exchange.data) if exchange.data is not None else f"<{exchange.lc} bytes>")
    if exchange.le is not None:
        parts.append("00" if exchange.le == LE_SHORT_MAX else f"Le={exchange.le}")
    return " ".join(parts)


def _file(file: FoundFile) -> dict[str, Any]:
    line: dict[str, Any] = {"size": file.size, "is": masking.kind_of(file.content), "sw": f"{file.sw:04X}"}
    if file.records:
        line["records"] = file.records
    certificate = masking.certificate(file.content) if file.content[:1] == b"\x30" else None
    if certificate is not None:
        line["certificate"] = certificate
    return line


def _hex(content: bytes) -> str:
    return content.hex(" ").upper()
