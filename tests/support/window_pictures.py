"""Takes the pictures of the windows for docs.

`python -m tests.support.window_pictures docs/images`, or all of them as another screen shows them:
`python -m tests.support.window_pictures FOLDER DPI WIDTHxHEIGHT [dark]`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import structs

from agent.desktop import own_command
from agent.interaction import (
    CardChoiceQuestion,
    CardShown,
    CertificateEnd,
    ConsentQuestion,
    DocumentShown,
    ErrandQuestion,
    ItemShown,
    KeypadQuestion,
    NewPinQuestion,
    PinQuestion,
    SessionTerms,
    UnblockQuestion,
)
from agent.interaction.dialog_messages import (
    About,
    CardThere,
    Ending,
    Notice,
    Opening,
    SiteList,
    SiteShown,
    line,
)
from agent.interaction.dialogs import COMPATIBLE
from agent.vocabulary import Errand, Verb
from hca_card.model import CardKind, PinStatus
from tests.support.screen import Screen, private_screen

_KNOWN: Final = "https://euservice.mohw.gov.tw"
_OTHER: Final = "https://portal.example.tw"
_UNTIL: Final = datetime(2030, 12, 22, 9, 30, tzinfo=UTC)
_THREE: Final = PinStatus(3, 6, 8)
_ONE: Final = PinStatus(1, 6, 8)
_CARD: Final = CardShown(
    "ACS ACR39U ICC Reader 00 00", CardKind.PERSONNEL, "000000123456", "王小明", simulated=False
)
_SIMULATED: Final = CardShown(
    "HCA-AGENT Simulator hop 00", CardKind.INSTITUTION, "000000654321", "測試綜合醫院", simulated=True
)
_TOMORROW: Final = datetime.now(UTC) + timedelta(hours=20)
_ENDING: Final = structs.replace(_CARD, ends=datetime.now(UTC) + timedelta(days=10, hours=1))
_DOCUMENT: Final = DocumentShown(18_234, "SHA-256", bytes(range(32)))
_SECONDS: Final = 120.0
_RECORDS: Final = tuple(
    ItemShown(
        f"出院病摘-1150{number % 9 + 1}{number % 28 + 1:02}-{number:05}.xml",
        11_000 + 797 * number % 9_000,
        "emr",
        bytes([number % 256]) * 32,
    )
    for number in range(2_000)
)

WINDOWS: Final = {
    "consent": Opening(
        content=ConsentQuestion(_KNOWN, Verb.LOGIN, also=(Verb.READ,), unknown=True),
        days=30,
        silence_minutes=10,
        seconds=_SECONDS,
    ),
    "pin": Opening(content=PinQuestion(_KNOWN, _CARD, _THREE, Verb.LOGIN), seconds=_SECONDS),
    "session": Opening(
        content=PinQuestion(_KNOWN, _CARD, _THREE, Verb.SESSION, terms=SessionTerms("7QK2", 250, 1800)),
        seconds=_SECONDS,
    ),
    "batch": Opening(
        content=PinQuestion(
            None, _CARD, _THREE, Verb.SESSION, terms=SessionTerms("7QK3", len(_RECORDS), 7200, _RECORDS)
        ),
        seconds=_SECONDS,
    ),
    "ends-soon": Opening(
        content=PinQuestion(_KNOWN, _ENDING, _THREE, Verb.SIGN, _DOCUMENT), seconds=_SECONDS
    ),
    "consent-ends-soon": Opening(
        content=ConsentQuestion(
            _KNOWN, Verb.LOGIN, also=(Verb.READ,), ending=CertificateEnd(_TOMORROW, CardKind.PERSONNEL)
        ),
        seconds=_SECONDS,
        days=90,
    ),
    "last-try": Opening(
        content=PinQuestion(_OTHER, _SIMULATED, _ONE, Verb.SIGN, _DOCUMENT), simulated=True, seconds=_SECONDS
    ),
    "pulled": Opening(content=PinQuestion(_KNOWN, _CARD, _THREE, Verb.LOGIN), seconds=_SECONDS),
    "keypad": Opening(content=KeypadQuestion(_KNOWN, _CARD, _THREE, Verb.LOGIN)),
    "choose": Opening(content=CardChoiceQuestion(_KNOWN, (_CARD, _SIMULATED)), seconds=_SECONDS),
    "change-pin": Opening(content=NewPinQuestion(None, _CARD, _THREE), seconds=_SECONDS),
    "unblock": Opening(
        content=UnblockQuestion(None, _CARD, PinStatus(0, 6, 8), PinStatus(10, 8, 8)), seconds=_SECONDS
    ),
    "errand": Opening(content=ErrandQuestion(None, Errand.TRUST), seconds=_SECONDS),
    "end": Opening(content=Ending(again=False), seconds=_SECONDS),
    "offer": Opening(
        content=Notice(
            zh="本機的 TLS 憑證是新的，瀏覽器還沒有接受它。",
            en="The TLS certificate of this machine is new, and browsers do not accept it yet.",
            errand=Errand.TRUST,
        ),
        seconds=_SECONDS,
    ),
    "about": Opening(content=About(version="0.1.0", compatible=COMPATIBLE)),
    "notice": Opening(
        content=Notice(
            zh="已拒絕網站 https://stranger.example 使用卡片。若您信任它，請管理者把它加入允許清單。",
            en="The site https://stranger.example was refused the use of your card. If you trust it, ask your"
            " administrator to allow it.",
        ),
        seconds=_SECONDS,
    ),
    "origins": Opening(
        content=SiteList(
            sites=(
                SiteShown(origin=_OTHER, allowed=True),
                SiteShown(
                    origin=_KNOWN, allowed=True, verbs=(Verb.READ, Verb.LOGIN, Verb.SIGN), until=_UNTIL
                ),
                SiteShown(origin="https://stranger.example", allowed=False, verbs=(Verb.READ,), until=_UNTIL),
            )
        )
    ),
}
_TYPED: Final = {"pin": "12345", "change-pin": "123456"}


def take(screen: Screen, name: str, target: Path, *, dark: bool = False) -> None:
    """One picture."""
    opening = structs.replace(WINDOWS[name], dark=dark)
    with subprocess.Popen(
        own_command("window", opening.kind),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=screen.environment,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(line(opening))
        process.stdin.flush()
        if name == "pulled":
            process.stdin.write(line(CardThere(there=False)))
            process.stdin.flush()
        screen.await_window("HCA Card Agent")
        screen.type(_TYPED.get(name, ""))
        time.sleep(0.3)  # nothing of a window tells that it has drawn what was typed
        screen.shoot("HCA Card Agent", target)
        process.stdin.close()


def main() -> None:
    """All of them."""
    folder, dpi = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 96
    size = sys.argv[3] if len(sys.argv) > 3 else "1600x1400"
    dark = "dark" in sys.argv[4:]
    with private_screen(dpi, size) as screen:
        for name in WINDOWS:
            take(screen, name, folder / f"window-{name}.png", dark=dark)


if __name__ == "__main__":
    main()
