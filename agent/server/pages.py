"""What is served to anybody: the self-test page, what it is made of, and the files for pages' authors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from agent import __version__
from agent.errors import table
from agent.native.limits import AGENT_NAME, API
from agent.vocabulary import ERRAND_LINES, ERRAND_WORDS, Errand

WEB: Final = Path(__file__).parents[1] / "web"

STATUS: Final = msgspec.json.encode({"agent": AGENT_NAME, "api": API})
"""What any origin may read: enough to tell "refused" from "not running", and nothing else."""


_JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_FILES: Final = {
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "own-page.js": _JAVASCRIPT,
    "page.js": _JAVASCRIPT,
    "verify.js": _JAVASCRIPT,
    "browser-check.js": _JAVASCRIPT,
    "agent.js": _JAVASCRIPT,
    "agent.d.ts": "text/plain; charset=utf-8",
    "schema.json": "application/json",
    "selftest.schema.json": "application/json",
}
PATHS: Final = frozenset(f"/{name}" for name in _FILES)
"""Where anybody finds them."""

OWN: Final[Mapping[str, str]] = {"/": "index.html", "/verify": "verify.html"}
"""Our own pages, which talk to the agent with a token: the self-test, and where signed files are dropped."""


@dataclass(frozen=True, slots=True)
class StaticPage:
    """One file as it is sent."""

    content_type: str
    body: bytes


@cache
def static() -> Mapping[str, StaticPage]:
    """Return every static path; nothing of a request ever becomes a file's name."""
    return MappingProxyType(
        {f"/{name}": StaticPage(kind, (WEB / name).read_bytes()) for name, kind in _FILES.items()}
    )


def index(path: str, token: str, native_port: int, tls_port: int) -> StaticPage:
    """Return one of our own pages, of those in `OWN`.

    Args:
        path: its path.
        token: what the page shows, once, to be known as ours.
        native_port: the port in the clear.
        tls_port: the port with TLS.
    """
    facts = {
        "version": __version__,
        "token": token,
        "native": str(native_port),
        "tls": str(tls_port),
        "errands": _errands(),
    }
    page = _template(OWN[path])
    for name, value in facts.items():
        page = page.replace(f"{{{{{name}}}}}", escape(value))
    return StaticPage("text/html; charset=utf-8", page.encode("utf-8"))


@cache
def _errands() -> str:
    """Return what the page can have done, and which errors each of them helps against, as JSON."""
    words = {each: [*ERRAND_WORDS[each], ERRAND_LINES[each]] for each in Errand}
    helps: dict[str, str] = {row.id: row.errand for row in table().values() if row.errand}
    helps["browser.certificate_untrusted"] = Errand.TRUST.value  # the page finds that out itself
    return msgspec.json.encode({"words": words, "helps": helps}).decode()


@cache
def _template(name: str) -> str:
    return (WEB / name).read_text("utf-8")
