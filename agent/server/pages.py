"""What is served to anybody: the page that says the agent runs, and the files for pages' authors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from agent import __version__
from agent.native import messages, methods, schema

WEB: Final = Path(__file__).parents[1] / "web"

STATUS: Final = msgspec.json.encode({"agent": methods.AGENT_NAME, "api": messages.API})
"""What any origin may read: enough to tell "refused" from "not running", and nothing else."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is sent."""

    content_type: str
    body: bytes


@cache
def static() -> Mapping[str, Page]:
    """Every static path; nothing of a request ever becomes a file's name."""
    index = (WEB / "index.html").read_text("utf-8").replace("{{version}}", __version__)
    return MappingProxyType(
        {
            "/": Page("text/html; charset=utf-8", index.encode("utf-8")),
            "/page.css": Page("text/css; charset=utf-8", (WEB / "page.css").read_bytes()),
            "/agent.js": Page("text/javascript; charset=utf-8", (WEB / "agent.js").read_bytes()),
            "/agent.d.ts": Page("text/plain; charset=utf-8", (WEB / "agent.d.ts").read_bytes()),
            "/schema.json": Page("application/json", schema.PATH.read_bytes()),
        }
    )
