"""How fast the page is: `python page_bench.py` writes build/dashboard.json.

First chart on loopback, from the navigation to the first drawn bars; frames of the footprint with
500 rows while ten updates a second arrive.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from conformance_run import OUT
from journeys_support import journey
from page_support import DESKTOP, VIEW_SHOWN, Opened, day_until, opened
from sim_support import short_tapes
from stream_support import Market, served

from orderflow.trade import TradeBatch

ROOT = Path(__file__).resolve().parents[2]
LOADS = 5
ROWS, UPDATES, PER_S = 500, 100, 10
GOAL_FIRST_MS = 1_500
FRAMES = """() => { window.gaps = []; let last = performance.now();
  const turn = (now) => { window.gaps.push(now - last); last = now; requestAnimationFrame(turn); };
  requestAnimationFrame(turn); }"""
FIRST = "() => performance.getEntriesByName('first-chart')[0]?.startTime"


async def first_chart(base_url: str) -> list[float]:
    """Milliseconds to the first chart, in tabs that know nothing yet."""
    found = []
    for _ in range(LOADS):
        async with opened(base_url, DESKTOP) as tab:
            await tab.until("() => performance.getEntriesByName('first-chart').length > 0")
            found.append(float(await tab.page.evaluate(FIRST)))
    return found


class Wide(Market):
    """A market whose minute trades at 500 rows."""

    def spread(self, count: int) -> None:
        """Trades over all rows."""
        name = self.names[0]
        first = self.keys[name]
        keys = list(range(first, first + count))
        self.keys[name] = first + count
        self.engine.handle(
            TradeBatch(
                instrument=name,
                key=keys,
                event_ms=[self.now] * count,
                price_ticks=[10_000 + 5 * (key % ROWS) for key in keys],
                qty_lots=[1 + key % 9 for key in keys],
                side=[key % 2 for key in keys],
                seq=keys,
                n_trades=[1] * count,
                first_trade_id=keys,
                last_trade_id=keys,
            )
        )


async def smooth() -> dict[str, float]:
    """Gaps between frames in milliseconds while updates arrive."""
    market = Wide(("AAAUSDT",))
    market.pass_ms(1_000)
    market.spread(2 * ROWS)
    async with served(market) as house:
        asked = "view=footprint&symbol=AAAUSDT&range=1h&timeframe=1m"
        async with opened(f"{house.url}/#{asked}") as tab:
            await tab.page.wait_for_selector("[data-health=live]")
            await tab.page.wait_for_selector(VIEW_SHOWN)
            rows = "document.querySelectorAll('[data-table=rows] tbody tr').length"
            await tab.until(f"() => {rows} >= {ROWS}")
            await tab.page.evaluate(FRAMES)
            return await _updated(market, tab)


async def _updated(market: Wide, tab: Opened) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number in range(UPDATES):
        market.spread(20)
        market.pass_ms(20)
        await asyncio.sleep(max(0.0, begun + (number + 1) / PER_S - loop.time()))
    gaps = sorted(await tab.page.evaluate("window.gaps"))
    return {
        "frames": len(gaps),
        "p50_ms": round(statistics.median(gaps), 1),
        "p95_ms": round(gaps[int(len(gaps) * 0.95)], 1),
        "p99_ms": round(gaps[int(len(gaps) * 0.99)], 1),
        "longest_ms": round(gaps[-1], 1),
    }


async def main() -> None:
    """Measure both."""
    shared = Path(os.environ.get("WADM_SHARED", ROOT.parent / "shared"))
    tapes = [day_until(shared, 1.0)] if (shared / "data").is_dir() else short_tapes()
    with tempfile.TemporaryDirectory() as folder:
        async with journey(Path(folder), tapes, row_sizes="BTCUSDT=1,ETHUSDT=1") as trip:
            await trip.until_played()
            first = await first_chart(trip.base_url)
    told: dict[str, Any] = {
        "first_chart_ms": [round(one) for one in first],
        "first_chart_median_ms": round(statistics.median(first)),
        "goal_ms": GOAL_FIRST_MS,
        "frames_at_10_updates_s_500_rows": await smooth(),
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }
    OUT.mkdir(exist_ok=True)
    (OUT / "dashboard.json").write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
