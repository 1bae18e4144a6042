"""How every window looks: colours, type, measures and styles of widgets, at the screen's density."""

from __future__ import annotations

import tkinter
from enum import StrEnum
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


class Colour(StrEnum):
    """The few colours there are; every pair used for text has a contrast of at least 4.5 (WCAG 2.1 AA)."""

    PAPER = "#ffffff"
    PANEL = "#f1f5f9"
    LINE = "#cbd5e1"
    EDGE = "#94a3b8"
    INK = "#0f172a"
    MUTED = "#475569"
    TEAL = "#0f766e"
    TEAL_DARK = "#115e59"
    TEAL_RING = "#5eead4"
    AMBER = "#92400e"
    AMBER_PAPER = "#fef3c7"
    RED = "#b91c1c"
    RED_PAPER = "#fee2e2"
    FADED = "#94a3b8"


class Look:
    """The look for one root window; makes all ttk styles.

    Args:
        root: the window.
        zoom: how large everything is.

    Attributes:
        root: the window.
        scale: real pixels for each pixel of a screen with 96 dots an inch.
        width: pixels that content is wide.
    """

    def __init__(self, root: tkinter.Tk, zoom: float = 1.0) -> None:
        self.root = root
        # Tk forgets what Python forgets: both are kept as long as the window.
        self._images: list[tkinter.PhotoImage] = []
        self._fonts: list[tkfont.Font] = []
        available = set(tkfont.families(root))
        default = tkfont.nametofont("TkDefaultFont", root).actual("family")
        self.family = next((name for name in _FAMILIES if name in available), default)
        self.scale = max(1.0, _points_to_pixels(root, self.family) * 72 / 96) * zoom
        self.width = self.px(480)
        root.configure(background=Colour.PAPER)
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

    def font(self, pixels: float, weight: Literal["normal", "bold"] = "normal") -> tkfont.Font:
        """Return type of a height in pixels of a screen with 96 dots an inch."""
        made = tkfont.Font(self.root, family=self.family, size=-self.px(pixels), weight=weight)
        self._fonts.append(made)
        return made

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
        style.configure(".", background=Colour.PAPER, foreground=Colour.INK, font=self.font(15))
        for name, pixels, weight, colour in (
            ("Title", 22, "bold", Colour.INK),
            ("Alarm", 22, "bold", Colour.RED),
            ("Subtitle", 14, "normal", Colour.MUTED),
            ("Strong", 16, "bold", Colour.INK),
            ("Muted", 13, "normal", Colour.MUTED),
            ("Warning", 15, "bold", Colour.RED),
            ("Hint", 13, "normal", Colour.AMBER),
            ("Huge", 26, "bold", Colour.TEAL),
        ):
            style.configure(f"{name}.TLabel", font=self.font(pixels, weight), foreground=colour)  # type: ignore[arg-type]
        for ground, paper in (
            ("Panel", Colour.PANEL),
            ("Amber", Colour.AMBER_PAPER),
            ("Red", Colour.RED_PAPER),
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
            "Badge.TLabel", font=self.font(13, "bold"), foreground=Colour.AMBER, background=Colour.AMBER_PAPER
        )

    def _panels(self) -> None:
        radius, edge = self.px(10), self.px(1)
        size = 2 * radius + 3
        for name, fill, line in (
            ("Panel", Colour.PANEL, Colour.LINE),
            ("Amber", Colour.AMBER_PAPER, "#fcd34d"),
            ("Red", Colour.RED_PAPER, "#fca5a5"),
        ):
            layers = [
                (box(0, 0, size, size, radius), line),
                (box(edge, edge, size - edge, size - edge, radius - edge), fill),
            ]
            image = self.image(size, size, Colour.PAPER, layers)
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
        ring = Colour.TEAL_RING
        kinds = {
            "Main": (Colour.PAPER, Colour.TEAL, Colour.TEAL_DARK, Colour.PAPER, "bold"),
            "Plain": (Colour.EDGE, Colour.PAPER, Colour.PANEL, Colour.INK, "normal"),
        }
        for name, (line, fill, over, text, weight) in kinds.items():
            line_colour = fill if name == "Main" else line
            self._style.element_create(
                f"{name}.plate",
                "image",
                plate(Colour.PAPER, line_colour, fill, None),
                ("disabled", plate(Colour.PAPER, Colour.LINE, Colour.PANEL, None)),
                ("focus", "pressed", plate(Colour.PAPER, line_colour, over, ring)),
                ("focus", "active", plate(Colour.PAPER, line_colour, over, ring)),
                ("focus", plate(Colour.PAPER, line_colour, fill, ring)),
                ("active", plate(Colour.PAPER, line_colour, over, None)),
                border=self.px(11),
                sticky="nsew",
            )
            self._style.layout(f"{name}.TButton", _nested(f"{name}.plate", "Button.padding", "Button.label"))
            self._style.configure(
                f"{name}.TButton",
                font=self.font(16, weight),  # type: ignore[arg-type]
                foreground=text,
                background=Colour.PAPER,
                padding=(self.px(18), self.px(8)),
                anchor="center",
            )
            self._style.map(f"{name}.TButton", foreground=[("disabled", Colour.FADED)])
        self._style.configure("Small.Plain.TButton", font=self.font(14), padding=(self.px(12), self.px(6)))

    def _fields(self) -> None:
        plate = self._plate
        self._style.element_create(
            "Pin.plate",
            "image",
            plate(Colour.PAPER, Colour.EDGE, Colour.PAPER, None),
            ("disabled", plate(Colour.PAPER, Colour.LINE, Colour.PANEL, None)),
            ("focus", plate(Colour.PAPER, Colour.TEAL, Colour.PAPER, Colour.TEAL_RING)),
            border=self.px(11),
            sticky="nsew",
        )
        self._style.layout("Pin.TEntry", _nested("Pin.plate", "Entry.padding", "Entry.textarea"))
        self._style.configure(
            "Pin.TEntry", padding=(self.px(16), self.px(9)), insertwidth=self.px(2), foreground=Colour.INK
        )

    def make_check_box(self) -> None:
        """Make the style Red.TCheckbutton: a mark that can be seen, on the red panel."""
        size, edge = self.px(_MARK), self.px(2)
        tick = [(size * 0.28, size * 0.52), (size * 0.44, size * 0.68), (size * 0.74, size * 0.34)]
        self._make_mark("Red.TCheckbutton", Colour.RED_PAPER, self.px(5), stroke(tick, edge))

    def make_radio_button(self) -> None:
        """Make the style TRadiobutton: a mark that can be seen."""
        size = self.px(_MARK)
        dot = size * 0.34
        inner = box(dot, dot, size - dot, size - dot, size / 2 - dot)
        self._make_mark("TRadiobutton", Colour.PAPER, (size - 2 * self.px(2)) / 2, inner)

    def _make_mark(self, style: str, paper: str, radius: float, sign: Distance) -> None:
        size, edge, gap = self.px(_MARK), self.px(2), self.px(2)
        far = size - gap
        ring: Layer = (box(0, 0, size, size, radius + gap), Colour.TEAL_RING)
        empty: list[Layer] = [
            (box(gap, gap, far, far, radius), Colour.MUTED),
            (box(gap + edge, gap + edge, far - edge, far - edge, radius - edge), Colour.PAPER),
        ]
        full: list[Layer] = [(box(gap, gap, far, far, radius), Colour.TEAL), (sign, Colour.PAPER)]
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
        self._style.configure(style, background=paper, foreground=Colour.INK, font=self.font(15))
        self._style.map(style, background=[("active", paper)])

    def make_scrollbar(self) -> None:
        """Make the style Bar.Vertical.TScrollbar: a plain thumb."""
        wide, tall = self.px(10), self.px(16)
        images = [
            self.image(wide, tall, Colour.PAPER, [(box(0, 0, wide, tall, wide / 2), colour)])
            for colour in (Colour.LINE, Colour.EDGE)
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
