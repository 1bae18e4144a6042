"""One file for the help desk: the self-test, versions, the configuration in force, the recent audit log."""

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

from agent import __version__
from agent.audit import AuditLog
from agent.selftest import html, schema
from agent.selftest.bench import Machine
from agent.selftest.model import Row

AUDIT_ROWS: Final = 500
_LIBRARIES: Final = ("pyscard", "cryptography", "asn1crypto", "aiohttp", "msgspec", "pyhanko-certvalidator")


def pack(rows: Sequence[Row], machine: Machine, *, simulated: bool, time: datetime) -> bytes:
    """The ZIP file; everything in it is masked.

    Args:
        rows: the self-test.
        machine: this computer.
        simulated: whether the card was a simulated one.
        time: when the self-test ended, aware.
    """
    told = schema.report(rows, simulated=simulated, time=time)
    audit = AuditLog(machine.paths.audit, machine.config.audit).read(AUDIT_ROWS)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("selftest.html", html.page(rows, simulated=simulated, time=time))
        bundle.writestr("selftest.json", msgspec.json.format(msgspec.json.encode(told)))
        bundle.writestr("versions.json", _text(versions()))
        bundle.writestr("configuration.json", _text(configuration(machine)))
        bundle.writestr("audit.jsonl", b"".join(msgspec.json.encode(row) + b"\n" for row in audit))
    return packed.getvalue()


def versions() -> dict[str, str]:
    """This program, what it runs on, and the libraries that speak with cards and networks."""
    told = {"hca-agent": __version__, "python": sys.version.split()[0], "system": platform.platform()}
    for name in _LIBRARIES:
        try:
            told[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            told[name] = "-"
    return told


def configuration(machine: Machine) -> dict[str, Any]:
    """The configuration in force, with the person's home folder as `~`; it holds no secret."""
    plain = _plain(machine.config)
    home = str(machine.home)
    masked: dict[str, Any] = json.loads(json.dumps(plain).replace(json.dumps(home)[1:-1], "~"))
    return masked


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value if isinstance(value, str | int | float | bool | None) else str(value)
    listed = [_plain(each) for each in value]
    return sorted(listed, key=str) if isinstance(value, frozenset) else listed


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
