"""What is due is done: no timeframe is left behind, however many there are."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

from orderflow.timeframe import HOUR_MS, MINUTE_MS, TIMEFRAMES
from processor.engine import Results
from wadm.replay import Replay

START_MS = 1_735_689_600_000
HOURS = 5


def test_nothing_starves(tmp_path: Path) -> None:
    """Predecessor 8: 2,597 calculations a minute were asked of 240. Every closed minute makes each
    window that ends with it, once, in the same step; nothing waits for a turn."""
    path = tmp_path / "BTCUSDT-aggTrades-2025-01-01.csv"
    lines = [
        f"{k},100.{k % 7},1,{k},{k},{at},{k % 2 == 0},True"
        for k, at in enumerate(range(START_MS, START_MS + HOURS * HOUR_MS, MINUTE_MS // 2), 1)
    ]
    path.write_text("\n".join(lines) + "\n")
    played = Replay(path, "binance:spot:BTCUSDT", row_size=Decimal("0.1"))
    seen: Counter[tuple[str, int]] = Counter()
    late: list[str] = []

    def on_results(results: Results, now_ms: int) -> None:
        newest = max((one.bar.flow.end_ms for one in results.minutes), default=0)
        for window in results.windows:
            seen[window.timeframe, window.bar.flow.start_ms] += 1
            if window.bar.flow.end_ms > newest:
                late.append(window.timeframe)

    played.on_results = on_results
    for _ in played.pieces(TIMEFRAMES["1d"]):
        pass
    assert late == []
    assert set(seen.values()) == {1}
    closed = (played.stream.next_close_ms or 0) - START_MS
    for name, length in TIMEFRAMES.items():
        if name not in ("1m", "1d"):
            assert sum(key[0] == name for key in seen) == closed // length, name
