"""The site map: which page is where, and the one frame around all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

SITE: Final = Path(__file__).parent / "site"
_WEB: Final = Path(__file__).parents[1] / "web"


@dataclass(frozen=True, slots=True)
class SitePage:
    """One page: `name`.html is what stands in its frame, `name`.js what runs in it.

    Attributes:
        title: of the window, Traditional Chinese.
        site: whose page it imitates, in both languages.
        member: only for whoever is logged in.
        log_in: whoever is logged in already is sent on.
        popups: it opens the local program's own page, which must be able to answer.
    """

    name: str
    title: str
    site: tuple[str, str]
    member: bool = False
    log_in: bool = False
    popups: bool = False


_DEMO: Final = ("線上申辦示範網站", "Online application demo")
_EUSERVICE: Final = (
    "醫事人員及醫事機構線上申辦系統",
    "Healthcare personnel and institutions online (imitated)",
)
_HCD: Final = ("勞工健檢申報系統", "Labour health examination reporting (imitated)")
_VPN: Final = ("健保資訊網", "NHI information network, VPN (imitated)")

PAGES: Final[Mapping[str, SitePage]] = {
    "/": SitePage("start", "示範網站一覽", _DEMO),
    "/euservice": SitePage("login", "登入", _EUSERVICE, log_in=True),
    "/euservice/servisign": SitePage("servisign-login", "醫事憑證登入（ServiSign）", _EUSERVICE, log_in=True),
    "/euservice/nhi": SitePage("nhi-login", "健保卡登入", _EUSERVICE, log_in=True),
    "/hcd": SitePage("hcd", "登入", _HCD, log_in=True, popups=True),
    "/vpn": SitePage("vpn", "服務登入", _VPN, log_in=True, popups=True),
    "/welcome": SitePage("welcome", "登入成功", _DEMO, member=True),
    "/apply": SitePage("apply", "報備支援", _EUSERVICE, member=True),
    "/result": SitePage("result", "完成", _EUSERVICE, member=True),
}

_SHARED: Final = ("common", "components", "servisign", "hipki", "nhi-component", "tray")
_SCRIPTS: Final = (*_SHARED, *(page.name for page in PAGES.values()))
ASSETS: Final[Mapping[str, tuple[Path, str]]] = {
    "style.css": (SITE / "style.css", "text/css"),
    "icon.svg": (SITE / "icon.svg", "image/svg+xml"),
    **{f"{name}.js": (SITE / f"{name}.js", "text/javascript") for name in _SCRIPTS},
    # A real portal keeps a copy of these; the demo's are the ones it was shipped with.
    "agent.js": (_WEB / "agent.js", "text/javascript"),
    "browser-check.js": (_WEB / "browser-check.js", "text/javascript"),
}


def render(page: SitePage) -> str:
    """Return the whole page: its part in the frame that says on each that this is a demo."""
    text = (SITE / "frame.html").read_text("utf-8")
    zh, en = page.site
    for mark, words in {
        "{{title}}": escape(f"{page.title}｜{zh}（示範）"),
        "{{site}}": escape(zh),
        "{{site-en}}": escape(en),
        "{{script}}": f"/static/{page.name}.js",
        "{{main}}": (SITE / f"{page.name}.html").read_text("utf-8").rstrip(),
    }.items():
        text = text.replace(mark, words)
    return text
