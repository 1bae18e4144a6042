"""How every window looks: colours, type, measures and styles of widgets, at the screen's density."""

from __future__ import annotations

import tkinter
from dataclasses import dataclass
from tkinter import font as tkfont
from tkinter import ttk
from typing import Any, Final, Literal

from tray.dialogs.drawing import Layer, picture
from tray.dialogs.wrapping import wrap
from tray.shapes import Distance, box, stroke

_FAMILIES: Final = (
    "Noto Sans CJK TC",
    "Noto Sans TC",
    "Source Han Sans TC",
    "Microsoft JhengHei UI",
    "Microsoft JhengHei",
    "PingFang TC",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "AR PL UMing TW",
)
"""Families with Traditional Chinese, the best first."""

_TEST_SIZE: Final = 100
_MARK: Final = 22
_TERSE_GAP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Palette:
    """The few colours there are; every pair used for text has a contrast of at least 4.5 (WCAG 2.1 AA)."""

    paper: str
    panel: str
    line: str
    edge: str
    ink: str
    muted: str
    teal: str
    teal_dark: str
    teal_ring: str
    on_teal: str
    amber: str
    amber_paper: str
    amber_line: str
    red: str
    red_paper: str
    red_line: str
    faded: str


LIGHT: Final = Palette(
    paper="#ffffff",
    panel="#f1f5f9",
    line="#cbd5e1",
    edge="#94a3b8",
    ink="#0f172a",
    muted="#475569",
    teal="#0f766e",
    teal_dark="#115e59",
    teal_ring="#5eead4",
    on_teal="#ffffff",
    amber="#92400e",
    amber_paper="#fef3c7",
    amber_line="#fcd34d",
    red="#b91c1c",
    red_paper="#fee2e2",
    red_line="#fca5a5",
    faded="#94a3b8",
)
DARK: Final = Palette(
    paper="#111c21",
    panel="#1b2930",
    line="#324650",
    edge="#5d7580",
    ink="#e8f0f2",
    muted="#a4b6be",
    teal="#2dd4bf",
    teal_dark="#5eead4",
    teal_ring="#ccfbf1",
    on_teal="#04211d",
    amber="#fbc66b",
    amber_paper="#362811",
    amber_line="#8a6a2a",
    red="#ff9d94",
    red_paper="#3a1d1b",
    red_line="#8c4a44",
    faded="#6b7f88",
)


class Look:
    """The look for one root window; makes all ttk styles.

    Args:
        root: the window.
        dark: light on dark, as the person has other programs.
        terse: in Chinese alone and with the middle of digests left out, where the screen has not enough room.

    Attributes:
        root: the window.
        colour: the colours.
        terse: as given.
        scale: real pixels for each pixel of a screen with 96 dots an inch.
        width: pixels that content is wide.
    """

    def __init__(self, root: tkinter.Tk, *, dark: bool = False, terse: bool = False) -> None:
        self.root = root
        self.colour = DARK if dark else LIGHT
        self.terse = terse
        # Tk forgets what Python forgets: both are kept as long as the window.
        self._images: list[tkinter.PhotoImage] = []
        self._fonts: list[tkfont.Font] = []
        available = set(tkfont.families(root))
        default = tkfont.nametofont("TkDefaultFont", root).actual("family")
        self.family = next((name for name in _FAMILIES if name in available), default)
        self.scale = max(1.0, _points_to_pixels(root, self.family) * 72 / 96)
        self.width = self.px(480)
        root.configure(background=self.colour.paper)
        root.tk.call("tk", "scaling", self.scale * 96 / 72)
        self._style = ttk.Style(root)
        self._style.theme_use("clam")
        self._text_styles()
        self._panels()
        self._buttons()
        self._fields()

    def px(self, pixels: float) -> int:
        """Return real pixels."""
        return max(1, round(pixels * self.scale))

    def gap(self, pixels: float) -> int:
        """Return the real pixels of a distance, which shrinks where there is little room; type does not."""
        return self.px(pixels * (_TERSE_GAP if self.terse else 1.0))

    def font(self, pixels: float, weight: Literal["normal", "bold"] = "normal") -> tkfont.Font:
        """Return type of a height in pixels of a screen with 96 dots an inch."""
        made = tkfont.Font(self.root, family=self.family, size=-self.px(pixels), weight=weight)
        self._fonts.append(made)
        return made

    def words(self, zh: str, en: str, between: str = " · ") -> str:
        """Return both languages in one line, or Chinese alone where there is not enough room."""
        return zh if self.terse or not en else f"{zh}{between}{en}"

    def wrap(self, text: str, style: str, width: int) -> str:
        """Return the text as lines that are no wider than `width` pixels in the type of `style`."""
        font = tkfont.nametofont(str(self._style.lookup(style, "font")), self.root)
        return wrap(text, width, font.measure)

    def image(
        self, width: int, height: int, ground: str, layers: list[Layer], *, alike: bool = True
    ) -> tkinter.PhotoImage:
        """Return a picture that lives as long as the window; see `picture`."""
        image = picture(self.root, width, height, ground, layers, alike=alike)
        self._images.append(image)
        return image

    def _text_styles(self) -> None:
        style = self._style
        style.configure(".", background=self.colour.paper, foreground=self.colour.ink, font=self.font(15))
        for name, pixels, weight, colour in (
            ("Title", 22, "bold", self.colour.ink),
            ("Alarm", 22, "bold", self.colour.red),
            ("Subtitle", 14, "normal", self.colour.muted),
            ("Strong", 16, "bold", self.colour.ink),
            ("Muted", 13, "normal", self.colour.muted),
            ("Warning", 15, "bold", self.colour.red),
            ("Hint", 13, "normal", self.colour.amber),
            ("Huge", 26, "bold", self.colour.teal),
        ):
            style.configure(f"{name}.TLabel", font=self.font(pixels, weight), foreground=colour)  # type: ignore[arg-type]
        for ground, paper in (
            ("Panel", self.colour.panel),
            ("Amber", self.colour.amber_paper),
            ("Red", self.colour.red_paper),
        ):
            style.configure(f"{ground}.TLabel", background=paper)
            for name in ("Strong", "Muted", "Warning", "Hint"):
                style.configure(
                    f"{ground}.{name}.TLabel",
                    background=paper,
                    font=style.lookup(f"{name}.TLabel", "font"),
                    foreground=style.lookup(f"{name}.TLabel", "foreground"),
                )
        style.configure(
            "Badge.TLabel",
            font=self.font(13, "bold"),
            foreground=self.colour.amber,
            background=self.colour.amber_paper,
        )

    def _panels(self) -> None:
        radius, edge = self.px(10), self.px(1)
        size = 2 * radius + 3
        for name, fill, line in (
            ("Panel", self.colour.panel, self.colour.line),
            ("Amber", self.colour.amber_paper, self.colour.amber_line),
            ("Red", self.colour.red_paper, self.colour.red_line),
        ):
            layers = [
                (box(0, 0, size, size, radius), line),
                (box(edge, edge, size - edge, size - edge, radius - edge), fill),
            ]
            image = self.image(size, size, self.colour.paper, layers)
            self._style.element_create(f"{name}.ground", "image", image, border=radius, sticky="nsew")
            self._style.layout(f"{name}.TFrame", _nested(f"{name}.ground"))
            self._style.configure(f"{name}.TFrame", background=fill)

    def _plate(self, ground: str, line: str, fill: str, ring: str | None) -> tkinter.PhotoImage:
        """Return a round plate with room for the ring that shows the keyboard's focus."""
        radius, gap, edge = self.px(8), self.px(3), self.px(1)
        size = 2 * (radius + gap) + 3
        layers: list[Layer] = []
        if ring is not None:
            layers.append((box(0, 0, size, size, radius + gap), ring))
        inner = edge if ring is None else edge * 1.5
        layers.append((box(gap, gap, size - gap, size - gap, radius), line))
        layers.append(
            (box(gap + inner, gap + inner, size - gap - inner, size - gap - inner, radius - inner), fill)
        )
        return self.image(size, size, ground, layers)

    def _buttons(self) -> None:
        plate = self._plate
        ring = self.colour.teal_ring
        kinds = {
            "Main": (self.colour.paper, self.colour.teal, self.colour.teal_dark, self.colour.on_teal, "bold"),
            "Plain": (self.colour.edge, self.colour.paper, self.colour.panel, self.colour.ink, "normal"),
        }
        for name, (line, fill, over, text, weight) in kinds.items():
            line_colour = fill if name == "Main" else line
            self._style.element_create(
                f"{name}.plate",
                "image",
                plate(self.colour.paper, line_colour, fill, None),
                ("disabled", plate(self.colour.paper, self.colour.line, self.colour.panel, None)),
                ("focus", "pressed", plate(self.colour.paper, line_colour, over, ring)),
                ("focus", "active", plate(self.colour.paper, line_colour, over, ring)),
                ("focus", plate(self.colour.paper, line_colour, fill, ring)),
                ("active", plate(self.colour.paper, line_colour, over, None)),
                border=self.px(11),
                sticky="nsew",
            )
            self._style.layout(f"{name}.TButton", _nested(f"{name}.plate", "Button.padding", "Button.label"))
            self._style.configure(
                f"{name}.TButton",
                font=self.font(16, weight),  # type: ignore[arg-type]
                foreground=text,
                background=self.colour.paper,
                padding=(self.px(18), self.gap(8)),
                anchor="center",
            )
            self._style.map(f"{name}.TButton", foreground=[("disabled", self.colour.faded)])
        self._style.configure("Small.Plain.TButton", font=self.font(14), padding=(self.px(12), self.px(6)))

    def _fields(self) -> None:
        plate = self._plate
        self._style.element_create(
            "Pin.plate",
            "image",
            plate(self.colour.paper, self.colour.edge, self.colour.paper, None),
            ("disabled", plate(self.colour.paper, self.colour.line, self.colour.panel, None)),
            ("focus", plate(self.colour.paper, self.colour.teal, self.colour.paper, self.colour.teal_ring)),
            border=self.px(11),
            sticky="nsew",
        )
        self._style.layout("Pin.TEntry", _nested("Pin.plate", "Entry.padding", "Entry.textarea"))
        self._style.configure(
            "Pin.TEntry",
            padding=(self.px(16), self.gap(9)),
            insertwidth=self.px(2),
            insertcolor=self.colour.ink,
            foreground=self.colour.ink,
        )
        self._style.configure("Small.Pin.TEntry", padding=(self.px(12), self.px(4)))

    def make_check_box(self) -> None:
        """Make the style Red.TCheckbutton: a mark that can be seen, on the red panel."""
        size, edge = self.px(_MARK), self.px(2)
        tick = [(size * 0.28, size * 0.52), (size * 0.44, size * 0.68), (size * 0.74, size * 0.34)]
        self._make_mark("Red.TCheckbutton", self.colour.red_paper, self.px(5), stroke(tick, edge))

    def make_radio_button(self) -> None:
        """Make the style TRadiobutton: a mark that can be seen."""
        size = self.px(_MARK)
        dot = size * 0.34
        inner = box(dot, dot, size - dot, size - dot, size / 2 - dot)
        self._make_mark("TRadiobutton", self.colour.paper, (size - 2 * self.px(2)) / 2, inner)

    def _make_mark(self, style: str, paper: str, radius: float, sign: Distance) -> None:
        size, edge, gap = self.px(_MARK), self.px(2), self.px(2)
        far = size - gap
        ring: Layer = (box(0, 0, size, size, radius + gap), self.colour.teal_ring)
        empty: list[Layer] = [
            (box(gap, gap, far, far, radius), self.colour.muted),
            (box(gap + edge, gap + edge, far - edge, far - edge, radius - edge), self.colour.paper),
        ]
        full: list[Layer] = [(box(gap, gap, far, far, radius), self.colour.teal), (sign, self.colour.on_teal)]
        self._style.element_create(
            f"{style}.mark",
            "image",
            self.image(size, size, paper, empty),
            ("focus", "selected", self.image(size, size, paper, [ring, *full], alike=False)),
            ("focus", self.image(size, size, paper, [ring, *empty])),
            ("selected", self.image(size, size, paper, full, alike=False)),
            width=size + self.px(8),
            sticky="w",
        )
        label = style.rpartition("T")[2] + ".label"
        self._style.layout(
            style,
            [(f"{style}.mark", {"side": "left", "sticky": ""}), (label, {"side": "left", "sticky": "w"})],
        )
        self._style.configure(style, background=paper, foreground=self.colour.ink, font=self.font(15))
        self._style.map(style, background=[("active", paper)])

    def make_scrollbar(self) -> None:
        """Make the style Bar.Vertical.TScrollbar: a plain thumb."""
        if "Bar.thumb" in self._style.element_names():
            return
        wide, tall = self.px(10), self.px(16)
        images = [
            self.image(wide, tall, self.colour.paper, [(box(0, 0, wide, tall, wide / 2), colour)])
            for colour in (self.colour.line, self.colour.edge)
        ]
        self._style.element_create(
            "Bar.thumb", "image", images[0], ("active", images[1]), border=wide // 2, sticky="nsew"
        )
        self._style.layout("Bar.Vertical.TScrollbar", _nested("Bar.thumb"))


def _nested(outermost: str, *inner: str) -> list[Any]:
    """Return a layout of elements of which each fills the one before."""
    options: dict[str, Any] = {"sticky": "nsew"}
    if inner:
        options["children"] = _nested(*inner)
    return [(outermost, options)]


def _points_to_pixels(root: tkinter.Misc, family: str) -> float:
    """Return pixels for each point, measured: X servers and desktops say it in different places."""
    points = tkfont.Font(root, family=family, size=_TEST_SIZE).metrics("linespace")
    pixels = tkfont.Font(root, family=family, size=-_TEST_SIZE).metrics("linespace")
    return points / pixels
