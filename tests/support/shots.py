"""Pictures of the README and the docs, from the real program; `python shots.py` writes
docs/pictures/. It plays the real day, or two hours of the synthetic market where that is absent."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chromium import browser
from journeys_support import journey
from page_support import DESKTOP, PHONE, VIEW_SHOWN, opened
from PIL import Image
from recorded import DAY, real_day

from simulator.tape import Tape
from simulator.tapes.synthetic import default_markets, synthetic_tape

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "docs/pictures"
MOST_BYTES = 200_000
COLOURS = 128
SYNTHETIC_START_MS, SYNTHETIC_MS = 1_767_225_600_000, 7_200_000
EVERY_LAYER = "layers=profile.events.levels.naked.vwap.delta.cvd.sizes"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: what the address says, how large, in which theme."""

    name: str
    asked: str
    size: tuple[int, int] = DESKTOP
    dark: bool = False
    back_h: int = 0
    ready: str = VIEW_SHOWN


SHOTS = (
    Shot("chart", f"range=12h&timeframe=15m&{EVERY_LAYER}"),
    Shot("footprint", "view=footprint&range=1h&timeframe=5m", dark=True, back_h=1),
    Shot("phone", "range=4h&timeframe=15m", PHONE),
    Shot("feeds", "view=feeds", ready="table", dark=True),
)


def market() -> tuple[Tape, str]:
    """What is played, and the end of what is shown."""
    shared = Path(os.environ.get("WADM_SHARED", ROOT.parent / "shared"))
    if (shared / DAY).exists():
        return real_day(shared), "2024-01-02T00:00Z"
    end = SYNTHETIC_START_MS + SYNTHETIC_MS
    markets = default_markets(["BTCUSDT"])
    until = datetime.fromtimestamp(end / 1_000, UTC).strftime("%Y-%m-%dT%H:%MZ")
    return synthetic_tape(SYNTHETIC_START_MS, markets=markets, end_ms=end), until


async def take(base_url: str, until: str) -> None:
    """Every picture, small enough for a page."""
    OUT.mkdir(parents=True, exist_ok=True)
    for shot in SHOTS:
        end = datetime.fromisoformat(until) - timedelta(hours=shot.back_h)
        asked = f"until={end:%Y-%m-%dT%H:%MZ}&{shot.asked}"
        address = f"{base_url}/#symbol=BTCUSDT&market=spot&{asked}"
        async with opened(address, shot.size, dark=shot.dark) as tab:
            await tab.page.wait_for_selector(shot.ready)
            place = OUT / f"{shot.name}.png"
            await tab.page.screenshot(path=place)
            with Image.open(place) as picture:
                small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            small.save(place, optimize=True)
            size = place.stat().st_size
            print(f"{place.relative_to(ROOT)}: {size} bytes", flush=True)
            if size > MOST_BYTES or tab.problems:
                raise SystemExit(f"{shot.name}: {size} bytes, {tab.problems}")


async def main() -> None:
    """Play, then take them."""
    if browser() is None:
        raise SystemExit("no Chromium: apt-get install chromium")
    if given := os.environ.get("SHOTS_FROM"):
        await take(given, os.environ.get("SHOTS_UNTIL", "2024-01-02T00:00Z"))
        return
    tape, until = market()
    with tempfile.TemporaryDirectory() as folder:
        async with journey(Path(folder), [tape]) as trip:
            await trip.until_played()
            await take(trip.base_url, until)


if __name__ == "__main__":
    asyncio.run(main())
