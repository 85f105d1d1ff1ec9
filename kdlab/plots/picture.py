"""A picture in a notebook: a figure without a screen, shown as an image with alt text."""

import base64
import contextlib
import html
import io
import threading
from collections.abc import Iterator, Sequence

import ipywidgets
import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

# Okabe & Ito's palette: told apart by readers with any kind of colour vision.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, YELLOW, INK, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#222222", "#767676"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE)
MARKERS = ("o", "s", "^", "D", "v", "P")

# Whose student it is looks the same in every figure: by colour, by marker and by line.
FROM_TEACHER = {"color": BLUE, "marker": "o", "linestyle": "-"}
FROM_LABELS = {"color": VERMILLION, "marker": "s", "linestyle": "--"}

_OF_VERDICTS = {  # by the word; grey says that nothing was seen
    "better": {"color": GREEN, "marker": "^"},
    "worse": {"color": VERMILLION, "marker": "v"},
}

STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "lines.markersize": 6,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}

_one_style_at_a_time = threading.RLock()  # matplotlib's settings are global; panels use threads


def verdict_look(word: str) -> dict[str, str]:
    """Colour and marker of a difference, by the word of its verdict: the same in every figure."""
    return _OF_VERDICTS.get(word, {"color": GREY, "marker": "o"})


@contextlib.contextmanager
def style() -> Iterator[None]:
    """kdlab's look for what is made inside; the settings outside stay as they were."""
    with _one_style_at_a_time, matplotlib.rc_context(STYLE):
        yield


class Picture(ipywidgets.HTML):
    """A figure shown as `<img alt=...>`: `.figure`, `.alt` (what it says, in words) and `.png`.

    It belongs to no window and to no backend. A stored notebook keeps the PNG and one fixed line
    of text, so that its outputs compare equal on every machine.
    """

    def __init__(self, title: str, size: tuple[float, float] = (9, 4)):
        super().__init__()
        self.title, self.alt, self.png = title, "", b""
        self._still, self._moving = None, ()
        with style():
            self.figure = Figure(figsize=size, layout="constrained")
        self.canvas = FigureCanvasAgg(self.figure)

    def draw(self, alt: str) -> "Picture":
        """Draw the figure anew and show it; `alt` says in words what it shows.

        The first call settles the layout: later ones keep it, which is quicker and does not jump.
        """
        with style():
            self.canvas.draw()
            self.figure.set_layout_engine("none")
            self._still = self.canvas.copy_from_bbox(self.figure.bbox)
            self._draw_moving()
        return self._show(alt)

    def moving(self, artists: Sequence[Artist]) -> None:
        """Name the artists that `redraw` draws; all others are drawn once, by `draw`."""
        self._moving = tuple(artists)
        for artist in artists:
            artist.set_animated(True)

    def redraw(self, alt: str) -> "Picture":
        """Draw only the moving artists, over the still rest: quick enough to follow a drag."""
        self.canvas.restore_region(self._still)
        self._draw_moving()
        return self._show(alt)

    def stale(self) -> None:
        """Grey the picture out: it stays in sight, but something newer is on its way."""
        if self.png:
            self.value = self._image(opacity=0.35)

    def _draw_moving(self) -> None:
        for artist in self._moving:
            artist.axes.draw_artist(artist) if artist.axes else self.figure.draw_artist(artist)

    def _show(self, alt: str) -> "Picture":
        buffer = io.BytesIO()
        # level 1: a third larger than the best, and many times quicker
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB").save(
            buffer, format="png", compress_level=1
        )
        self.alt, self.png = alt, buffer.getvalue()
        self.value = self._image()
        return self

    def _image(self, opacity: float = 1) -> str:
        width, _ = self.canvas.get_width_height()
        content = base64.b64encode(self.png).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" width="{width}" '
            f'style="max-width:100%;height:auto;opacity:{opacity:g}" '
            f'src="data:image/png;base64,{content}">'
        )

    def _repr_mimebundle_(self, **kwargs):
        return still_frame(super()._repr_mimebundle_(**kwargs), f"[picture: {self.title}]", self)


def still_frame(bundle: dict, line: str, picture: Picture) -> tuple[dict, dict]:
    """A widget's bundle with one fixed line of text and the picture as PNG beside the view."""
    bundle = {**bundle, "text/plain": line}
    if picture.png:
        bundle["image/png"] = base64.b64encode(picture.png).decode()
    return bundle, {"image/png": {"alt": picture.alt}}
