"""Pictures without a browser: the numbers of the server at the right places of the picture."""

from __future__ import annotations

import asyncio
import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from journeys_support import Journey, journey
from market_support import ROWS, market_tape
from typer.testing import CliRunner

from orderflow.errors import ConfigError, WadmError
from wadm import __main__ as command
from wadm.asking import RefusedError, UnreachableError
from wadm.pictures.style import percent, worst_state

SVG = "{http://www.w3.org/2000/svg}"
MINUTES = 8


class Picture:
    """An SVG file: its texts, its named shapes, and the prices of its first axis."""

    def __init__(self, path: Path) -> None:
        self.root = ET.parse(path).getroot()
        self.named = {one.get("id", ""): one for one in self.root.iter(f"{SVG}g")}
        self.texts = [text for one in self.root.iter(f"{SVG}text") for text in one.itertext()]

    def ys(self, name: str) -> list[float]:
        """Every y of a shape's outline."""
        path = self.named[name].find(f".//{SVG}path")
        assert path is not None
        return [float(y) for y in re.findall(r"[ML] \S+ (\S+)", path.get("d", ""))]

    def scale(self) -> tuple[float, float]:
        """(price at y = 0, price per y), from the labels that people read."""
        marks: list[tuple[float, float]] = []
        for group in self.named["axes_1"].iter(f"{SVG}g"):
            use, text = group.find(f".//{SVG}use"), group.find(f".//{SVG}text")
            if group.get("id", "").startswith("ytick_") and use is not None and text is not None:
                marks.append((float(use.get("y", "0")), float("".join(text.itertext()))))
        (y0, p0), (y1, p1) = marks[0], marks[-1]
        slope = (p1 - p0) / (y1 - y0)
        return p0 - slope * y0, slope

    def prices(self, name: str) -> tuple[float, float]:
        """Lowest and highest price of a shape."""
        at, slope = self.scale()
        found = [at + slope * y for y in self.ys(name)]
        return min(found), max(found)


async def plotted(trip: Journey, *words: str) -> None:
    done = await asyncio.to_thread(CliRunner().invoke, command.app, ["plot", *words])
    assert done.exit_code == 0, repr(done.exception)


async def refused(kind: type[WadmError], *words: str) -> str:
    done = await asyncio.to_thread(CliRunner().invoke, command.app, ["plot", *words])
    assert isinstance(done.exception, kind), repr(done.exception)
    return str(done.exception)


async def test_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, POC, value area, deltas and cells lie where the server's numbers say; the title says
    as of when, how far proven, final or not, and that the market is simulated."""
    async with journey(tmp_path / "store", [market_tape(MINUTES)], row_sizes=ROWS) as trip:
        await trip.until_played()
        monkeypatch.setenv("WADM_PORT", str(trip.system.port))
        await the_profile(trip, tmp_path)
        await the_flow(trip, tmp_path)
        await the_footprint(trip, tmp_path)
        told = await refused(RefusedError, "profile", "NOPEUSDT", "--out", str(tmp_path / "n.svg"))
        assert "nearest collected ones: BTCUSDT" in told


async def the_profile(trip: Journey, folder: Path) -> None:
    span = {"start": "2025-01-01T00:01:00Z", "end": "2025-01-01T00:02:00Z"}
    asked_for = {"timeframe": "1m", "numbers": "string", **span}
    answer = (await trip.get("/volume_profile/BTCUSDT", **asked_for))["items"][0]
    out = folder / "profile.svg"
    asked = ("BTCUSDT", "--timeframe", "1m", "--start", "2025-01-01T00:01:00Z")
    await plotted(trip, "profile", *asked, "--out", str(out))
    picture = Picture(out)
    row = float(answer["row_size"])
    drawn = [name for name in picture.named if name.startswith("buy-")]
    assert sorted(drawn) == sorted(f"buy-{level['price']}" for level in answer["levels"])
    for level in answer["levels"]:
        low, high = picture.prices(f"buy-{level['price']}")
        assert (low + high) / 2 == pytest.approx(float(level["price"]) + row / 2, abs=row / 50)
    for name, share in (("poc", 0.5), ("vah", 1.0), ("val", 0.0)):
        low, high = picture.prices(name)
        assert low == pytest.approx(float(answer[name]) + row * share, abs=row / 50)
        assert high == pytest.approx(low, abs=row / 50)
    title = " ".join(picture.texts)
    for said in ("verified", ", 100 % of the time seen", " final", "SIMULATED", "POC", "VAH"):
        assert said in title
    image = folder / "profile.png"
    await plotted(trip, "profile", *asked, "--out", str(image))
    assert image.read_bytes().startswith(b"\x89PNG\r\n")
    again = folder / "again.svg"
    await plotted(trip, "profile", *asked, "--out", str(again))
    assert again.read_bytes() == out.read_bytes()


async def the_flow(trip: Journey, folder: Path) -> None:
    span = {"period": "1m", "limit": "5", "detail": "summary", "numbers": "string"}
    items = (await trip.get("/order_flow/BTCUSDT", **span))["items"]
    out = folder / "flow.svg"
    await plotted(trip, "flow", "BTCUSDT", "--limit", "5", "--out", str(out))
    picture = Picture(out)
    assert [n for n in picture.named if n.startswith("delta-")] == [
        f"delta-{item['period_start']}" for item in items
    ]
    for item in items:
        if item["close"] is None:
            assert f"candle-{item['period_start']}" not in picture.named
            continue
        low, high = picture.prices(f"candle-{item['period_start']}")
        ends = sorted((float(item["open"]), float(item["close"])))
        assert (low, high) == pytest.approx(ends, abs=0.02)
    heights = {i["period_start"]: max(ys) - min(ys) for i in items if (ys := _delta(picture, i))}
    deltas = {i["period_start"]: abs(Decimal(i["delta"])) for i in items}
    most = max(deltas, key=lambda key: deltas[key])
    for key, delta in deltas.items():
        share = float(delta / deltas[most])
        assert heights[key] / heights[most] == pytest.approx(share, abs=0.01)
    assert any("as of 2025" in text for text in picture.texts)


def _delta(picture: Picture, item: dict[str, Any]) -> list[float]:
    return picture.ys(f"delta-{item['period_start']}")


async def the_footprint(trip: Journey, folder: Path) -> None:
    span = {"timeframe": "1m", "limit": "3", "detail": "rows", "numbers": "string"}
    bars = (await trip.get("/footprint/BTCUSDT", **span))["bars"]
    out = folder / "footprint.svg"
    words = ("BTCUSDT", "--timeframe", "1m", "--limit", "3", "--out", str(out))
    await plotted(trip, "footprint", *words)
    picture = Picture(out)
    for bar in bars:
        size = float(bar["row_size"])
        for price, *_ in bar["rows"] or ():
            low, high = picture.prices(f"cell-{bar['period_start']}-{price}")
            ends = [float(price), float(price) + size]
            assert (low, high) == pytest.approx(ends, abs=size / 50)
        if bar["poc"] is None:
            continue
        low, _ = picture.prices(f"poc-{bar['period_start']}")
        assert low == pytest.approx(float(bar["poc"]), abs=size / 50)
    assert sum(" | " in text for text in picture.texts) >= sum(len(b["rows"] or ()) for b in bars)


async def test_errors_name_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A wrong ending, folder, limit or timeframe, and a server that is not there."""
    monkeypatch.setenv("WADM_PORT", str(unused_port))
    out = ("--out", str(tmp_path / "x.svg"))
    misuse = [
        (("profile", "BTCUSDT", "--out", "x.gif"), ".png or .svg"),
        (("profile", "BTCUSDT", "--out", "nowhere/x.svg"), "make it first"),
        (("flow", "BTCUSDT", "--limit", "0", *out), "1 to 200"),
        (("footprint", "BTCUSDT", "--limit", "99", *out), "1 to 24"),
    ]
    for words, message in misuse:
        assert message in await refused(ConfigError, *words)
    assert "allowed" in await refused(WadmError, "profile", "B", "--timeframe", "7h", *out)
    assert "wadm up" in await refused(UnreachableError, "profile", "BTCUSDT", *out)
    assert not (tmp_path / "x.svg").exists()


def test_words_of_the_heading() -> None:
    """A share is never rounded up to whole, and the worst state of all bars is named."""
    assert [percent("1"), percent("0.99999"), percent("0.5")] == ["100 %", "99.99 %", "50 %"]
    assert worst_state(["verified", "partial", "contiguous"]) == "partial"
    assert worst_state(["verified", "new"]) == "unknown"
