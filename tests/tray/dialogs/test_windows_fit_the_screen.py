"""Every window fits a small screen at every density, in type that people read, light and dark."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.screen import Screen, private_screen
from tray.dialogs.look import DARK, LIGHT, Palette

SMALLEST = 12.0
"""Pixels of a screen with 96 dots an inch: nine points."""
TITLE_BAR_AND_PANEL = 80

MEASURE = """
import json, sys
from msgspec import structs
from tests.support.window_pictures import WINDOWS
from tray.dialogs.main import make
found = {}
for name, opening in WINDOWS.items():
    window = make(None, structs.replace(opening, dark=name == "pin"))
    root, look = window.root, window.look
    root.update_idletasks()
    def seen(widget):
        yield widget
        for child in widget.winfo_children():
            yield from seen(child)
    words = " ".join(str(each.cget("text")) for each in seen(root) if "text" in (each.keys() or ()))
    found[name] = {
        "height": root.winfo_reqheight(),
        "width": root.winfo_reqwidth(),
        "type": min(-font.cget("size") for font in look._fonts) / look.scale,
        "scale": look.scale,
        "words": words,
    }
    root.destroy()
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=[96, 144, 192])
def screen(request: pytest.FixtureRequest) -> Iterator[tuple[int, Screen]]:
    with private_screen(request.param, "1366x768") as one:
        yield request.param, one


@pytest.mark.slow
def test_every_window_fits_1366_by_768_in_type_that_people_read(screen: tuple[int, Screen]) -> None:
    dpi, one = screen
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env=one.environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, window in json.loads(done.stdout).items():
        assert window["height"] <= 768 - TITLE_BAR_AND_PANEL, (name, window)
        assert window["width"] <= 1366, (name, window)
        assert window["type"] >= SMALLEST - 0.5, (name, window)
        assert window["scale"] == pytest.approx(dpi / 96, rel=0.05), (name, window)
        if name == "pin":
            assert "王小明" in window["words"] and "https://euservice.mohw.gov.tw" in window["words"]


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_what_it_stands_on(colours: Palette) -> None:
    pairs = [
        *(
            (text, ground)
            for text in ("ink", "muted")
            for ground in ("paper", "panel", "amber_paper", "red_paper")
        ),
        *((text, "paper") for text in ("teal", "amber", "red")),
        ("amber", "amber_paper"),
        ("red", "red_paper"),
        ("on_teal", "teal"),
        ("on_teal", "teal_dark"),
        ("amber", "panel"),
    ]
    for text, ground in pairs:
        lighter, darker = sorted(
            (luminance(getattr(colours, text)), luminance(getattr(colours, ground))), reverse=True
        )
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)
