"""Strings that would be markup, script, a command or a trick where they are shown as anything but text."""

from __future__ import annotations

from typing import Final

from hca_card.big5 import printable

HOSTILE: Final[dict[str, str]] = {
    "image": "<img src=http://127.0.0.1:9/x onerror=alert(1)>",
    "script": "\"><script>alert(1)</script>'><svg/onload=alert(1)>",
    "address": "javascript:alert(1)",
    "style": "</style></title></textarea><iframe srcdoc='<script>alert(1)</script>'>",
    "comment": "--><b>&lt;&amp;&#x3c;]]>",
    "template": "{{token}}{{7*7}}${7*7}#{7*7}%s%n{0}{style}",
    "bidi": "pay\u202eexe.fdp\u2066\u2069\u200f",
    "invisible": "a\u200b\ufeff\u2028\u2029\u00adb",
    "controls": "a\x00\x07\x08\x0b\x7f\x85\x9bb",
    "line ends": "a\r\nb\tc",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x1b[8m\x9b2J\x90q\x9c",
    "long": "<b>" * 700,
    "surrogate": "a\ud800b\udfff",
    "tcl": "[set ::owned 1] $::env(HOME) \\x41 {",
    "tcl braces": '} ; set ::owned 1 ; {"',
    "percent": "%P %W %d %%",
    "rich": "[bold red]x[/bold red][link=http://x]y[/link]",
    "pango": "<b>x</b><span size='999999'>y</span><a href='x'>z</a>&amp;",
    "menu": "_Quit __a &Quit &&",
}
"""By what it is aimed at."""

STEERS: Final = frozenset(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))) | frozenset(
    "\u200b\u200f\u202e\u2028\u2029\u2066\u2069\ufeff"
)
"""What no output may hold of a string from outside."""

LINE_ENDS: Final = frozenset("\r\n")


def steering(text: str) -> list[str]:
    """What in a text would steer a terminal or move other words, line ends apart."""
    return [letter for letter in text if letter in STEERS - LINE_ENDS or 0xD800 <= ord(letter) < 0xE000]


def squeezed(text: str) -> str:
    """A text as it is read, without what wrapping and replacing change."""
    return "".join(letter for letter in printable(text) if not letter.isspace() and letter != "\ufffd")
