"""What every picture shares: colours, the sheet, the heading that says how far to trust it.

Blue against orange differ in lightness as well as in hue, so they stay apart for the colour-blind
and in grey print; sold volume is hatched besides. (M. Okabe and K. Ito, Color Universal Design.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from orderflow.completeness import RANK, State

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BUY, SELL, INK, FAINT, POC, NODE = "#0072B2", "#E69F00", "#222222", "#9A9A9A", "#111111", "#CC79A7"
SELL_HATCH = "////"
DOTS_PER_INCH = 160
STATE_SHADES = {
    State.VERIFIED: ("#1B4F3A", ""),
    State.VENUE_ADJUSTMENT: ("#2F7A5B", ""),
    State.VERIFIED_VOLUME: ("#4FA07D", ""),
    State.CONTIGUOUS: ("#9CCBB5", ""),
    State.REPAIRING: ("#F0E442", "//"),
    State.PARTIAL: ("#FFFFFF", "xx"),
    State.APPROXIMATE: ("#FFFFFF", ".."),
    State.UNKNOWN: ("#FFFFFF", ""),
}
"""Darker is better proven; what is not whole is hatched as well."""
SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: it can be read, searched and tested
    "svg.hashsalt": "wadm",
    "font.size": 9,
    "hatch.linewidth": 0.5,
    "axes.edgecolor": FAINT,
    "axes.unicode_minus": False,
}


@dataclass(frozen=True, slots=True)
class Heading:
    """What a picture shows and how far it is proven."""

    about: str
    as_of: str
    state: str
    coverage: str
    final: bool
    stale: bool
    source: str

    def lines(self) -> tuple[str, str, str]:
        """Three lines of a title, short enough for the narrowest picture."""
        words = [f"as of {self.as_of}", "final" if self.final else "provisional"]
        if self.stale:
            words.append("STALE")
        if self.source != "live":
            words.append(self.source.upper())
        proof = f"{self.state.replace('_', ' ')}, {self.coverage} of the time seen"
        return self.about, " · ".join(words), proof


def percent(share: str) -> str:
    """A share of 1 as percent, never rounded up to whole."""
    value = Decimal(share) * 100
    if value == value.to_integral_value():
        return f"{value.to_integral_value():f} %"
    return f"{value.quantize(Decimal('0.01'), rounding='ROUND_DOWN')} %"


def worst_state(states: Iterable[str]) -> str:
    """The worst of served states; unknown ones count as unknown."""
    known = {str(state): state for state in State}
    ranked = [known.get(text, State.UNKNOWN) for text in states]
    return str(max(ranked, key=RANK.__getitem__, default=State.UNKNOWN))


def sheet(heading: Heading, width: float, height: float) -> Figure:
    """An empty picture in inches with its two lines of title."""
    mpl.rcParams.update(SETTINGS)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle("\n".join(heading.lines()), x=0.01, ha="left", fontsize=10, color=INK)
    figure.patch.set_facecolor("white")
    return figure


def quiet_axes(axes: Axes) -> None:
    """Only what carries numbers: a light grid, no frame, whole prices."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(False)
    axes.yaxis.set_major_formatter(formatter)


def save(figure: Figure, path: Path) -> None:
    """Write it as the ending says, byte for byte the same for the same numbers."""
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": "wadm"}
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata)
