"""One file for the help desk: self-test, versions, configuration, card profiles, and what was logged last."""

from __future__ import annotations

import io
import json
import platform
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from importlib import metadata
from typing import Any, Final

import msgspec

from agent import __version__, profiles
from agent.audit import AuditLog
from agent.selftest import html_report, schema
from agent.selftest.computer_facts import facts
from agent.selftest.context import Computer
from agent.selftest.model import ResultRow

AUDIT_ROWS: Final = 500
LOG_LINES: Final = 1000
_LIBRARIES: Final = ("pyscard", "cryptography", "asn1crypto", "aiohttp", "msgspec", "pyhanko-certvalidator")


def pack(rows: Sequence[ResultRow], computer: Computer, *, simulated: bool, time: datetime) -> bytes:
    """Return the ZIP file; everything in it is masked.

    Args:
        rows: the self-test.
        computer: this computer.
        simulated: whether the card was a simulated one.
        time: when the self-test ended, aware.
    """
    report = schema.report(rows, simulated=simulated, time=time)
    audit = AuditLog(computer.paths.audit, computer.config.audit).read(AUDIT_ROWS)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("selftest.html", html_report.page(rows, simulated=simulated, time=time))
        bundle.writestr("selftest.json", msgspec.json.format(msgspec.json.encode(report)))
        bundle.writestr("versions.json", _text(versions()))
        bundle.writestr("computer.json", _without_home(_text(facts(computer)), computer))
        bundle.writestr("configuration.json", _text(configuration(computer)))
        bundle.writestr("profiles.json", _text({"profiles": card_profiles(computer)}))
        bundle.writestr("hca-agent.log", recent_log(computer))
        bundle.writestr("audit.jsonl", b"".join(msgspec.json.encode(row) + b"\n" for row in audit))
    return packed.getvalue()


def versions() -> dict[str, str]:
    """Return the versions of this program, of what it runs on, and of its main libraries."""
    found = {"hca-agent": __version__, "python": sys.version.split()[0], "system": platform.platform()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "-"
    return found


def configuration(computer: Computer) -> dict[str, Any]:
    """Return the configuration in force, with the person's home folder as `~`; it holds no secret."""
    masked: dict[str, Any] = json.loads(_without_home(json.dumps(_plain(computer.config)), computer))
    return masked


def card_profiles(computer: Computer) -> list[dict[str, object]]:
    """Return the card profiles beside the one that ships: file, whether it is used, and why not."""
    return [
        {
            "file": _without_home(str(one.file), computer),
            "used": one.profile is not None and not one.profile.draft,
            "trouble": _without_home(one.trouble, computer),
        }
        for one in profiles.look(computer.paths)
    ]


def recent_log(computer: Computer) -> str:
    """Return the last lines of the log; empty where the program has not run yet."""
    try:
        lines = computer.paths.log.read_text("utf-8", "replace").splitlines(keepends=True)
    except OSError:
        return ""
    return _without_home("".join(lines[-LOG_LINES:]), computer)


def _without_home(text: str, computer: Computer) -> str:
    """Return the text with the person's home folder as `~`, also as JSON writes it."""
    home = str(computer.home)
    return text.replace(json.dumps(home)[1:-1], "~").replace(home, "~")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value if isinstance(value, str | int | float | bool | None) else str(value)
    listed = [_plain(each) for each in value]
    return sorted(listed, key=str) if isinstance(value, frozenset) else listed


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
