"""Takes the pictures of the windows for docs: `python -m tests.support.window_pictures docs/images [DPI]`."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.desktop import own_command
from agent.interaction import Verb
from agent.interaction import window_messages as messages
from agent.interaction.windows import COMPATIBLE
from hca_card.model import CardKind
from tests.support.screen import Screen, private_screen

_KNOWN: Final = "https://euservice.mohw.gov.tw"
_OTHER: Final = "https://portal.example.tw"
_UNTIL: Final = datetime(2030, 12, 22, 9, 30, tzinfo=UTC)
_THREE: Final = messages.Tries(left=3, low=6, high=8)
_ONE: Final = messages.Tries(left=1, low=6, high=8)
_CARD: Final = messages.Card(
    reader="ACS ACR39U ICC Reader 00 00",
    kind=CardKind.PERSONNEL,
    serial="000000123456",
    holder="王小明",
    simulated=False,
)
_SIMULATED: Final = messages.Card(
    reader="HCA-AGENT Simulator hop 00",
    kind=CardKind.INSTITUTION,
    serial="000000654321",
    holder="測試綜合醫院",
    simulated=True,
)
_DOCUMENT: Final = messages.Document(size=18_234, hash="SHA-256", digest=bytes(range(32)))
_SECONDS: Final = 120.0

WINDOWS: Final[dict[str, messages.Message]] = {
    "consent": messages.AskConsent(
        origin=_KNOWN, verb=Verb.LOGIN, also=(Verb.READ,), days=30, seconds=_SECONDS
    ),
    "pin": messages.AskPin(origin=_KNOWN, verb=Verb.LOGIN, card=_CARD, tries=_THREE, seconds=_SECONDS),
    "last-try": messages.AskPin(
        origin=_OTHER,
        verb=Verb.SIGN,
        card=_SIMULATED,
        tries=_ONE,
        document=_DOCUMENT,
        simulated=True,
        seconds=_SECONDS,
    ),
    "keypad": messages.AskPin(origin=_KNOWN, verb=Verb.LOGIN, card=_CARD, tries=_THREE, keypad=True),
    "choose": messages.AskCard(origin=_KNOWN, cards=(_CARD, _SIMULATED), seconds=_SECONDS),
    "change-pin": messages.AskNewPin(origin=None, card=_CARD, tries=_THREE, seconds=_SECONDS),
    "unblock": messages.AskUnblock(
        origin=None,
        card=_CARD,
        tries=messages.Tries(left=0, low=6, high=8),
        puk=messages.Tries(left=10, low=8, high=8),
        seconds=_SECONDS,
    ),
    "about": messages.TellAbout(version="0.1.0", compatible=COMPATIBLE),
    "notice": messages.TellNotice(
        zh="已拒絕網站 https://stranger.example 使用卡片。若您信任它，請管理者把它加入允許清單。",
        en="The site https://stranger.example was refused the use of your card. If you trust it, ask your"
        " administrator to allow it.",
        seconds=_SECONDS,
    ),
    "origins": messages.TellOrigins(
        sites=(
            messages.Site(origin=_OTHER, allowed=True),
            messages.Site(
                origin=_KNOWN, allowed=True, verbs=(Verb.READ, Verb.LOGIN, Verb.SIGN), until=_UNTIL
            ),
            messages.Site(origin="https://stranger.example", allowed=False, verbs=(Verb.READ,), until=_UNTIL),
        )
    ),
}
_TYPED: Final = {"pin": "12345", "change-pin": "123456"}


def take(screen: Screen, name: str, target: Path) -> None:
    """One picture."""
    message = WINDOWS[name]
    with subprocess.Popen(
        own_command("window", messages.kind_of(message)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=screen.environment,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(messages.line(message))
        process.stdin.flush()
        screen.await_window("HCA Card Agent")
        screen.type(_TYPED.get(name, ""))
        time.sleep(0.3)
        screen.shoot("HCA Card Agent", target)
        process.stdin.close()


def main() -> None:
    """All of them."""
    folder, dpi = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 96
    with private_screen(dpi) as screen:
        for name in WINDOWS:
            take(screen, name, folder / f"window-{name}.png")


if __name__ == "__main__":
    main()
