"""What is sent at a rate is what its account says: ids go on, minutes get their candles."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.pacing import Pace
from bench.stamps import Lateness, Stamps
from bench.tape import BEFORE_FIRST_KEY, LOT, MINUTE_MS

AT_MS = 1_795_000_020_000


def sent_by(pace: Pace, sizes: list[int]) -> list[dict[str, object]]:
    """Events of slices a half minute from each other, to one connection."""
    told: list[bytes] = []
    pace.writers = dict.fromkeys(range(3), told.append)
    pace.candles_wanted = {0, 1, 2}
    for number, size in enumerate(sizes):
        pace._send(size, AT_MS + number * MINUTE_MS // 2)
    text = b"".join(told).decode("latin-1")
    parts = text.split('{"stream"')[1:]
    decoder = msgspec.json.Decoder()
    return [decoder.decode('{"stream"' + part[: part.rindex("}") + 1])["data"] for part in parts]


def test_account_is_what_was_sent(tmp_path: Path) -> None:
    """Round and round the pool, ids of a symbol go on and its lots add up."""
    pace = Pace(50, 1.0, 3, Stamps(tmp_path / "stamps", fresh=True))
    events = sent_by(pace, [80, 80])
    for place, symbol in enumerate(("C000USDT", "C001USDT", "C002USDT")):
        mine = [e for e in events if e["e"] == "aggTrade" and e["s"] == symbol]
        keys = [e["a"] for e in mine]
        assert keys == list(range(BEFORE_FIRST_KEY + 1, pace.keys[place] + 1))
        assert sum(round(float(str(e["q"])) / float(LOT)) for e in mine) == pace.lots[place]


def test_candle_holds_its_minute(tmp_path: Path) -> None:
    """The candle of each symbol comes with the next minute and counts its trades."""
    pace = Pace(50, 1.0, 3, Stamps(tmp_path / "stamps", fresh=True))
    events = sent_by(pace, [40, 40, 5])
    candles = [e["k"] for e in events if e["e"] == "kline"]
    assert len(candles) == 3
    assert sum(c["n"] for c in candles) == 80  # type: ignore[index]
    before = pace.before[AT_MS + MINUTE_MS]
    assert sum(round(float(c["v"]) / float(LOT)) for c in candles) == sum(before)  # type: ignore[index]


def test_stamp_and_lateness(tmp_path: Path) -> None:
    """A moment is found by its millisecond from another process's view; what was never written
    is not counted."""
    path = tmp_path / "stamps"
    Stamps(path, fresh=True).put(AT_MS, 5_000_000)
    other = Stamps(path)
    assert other.sent_ns(AT_MS) == 5_000_000
    late = Lateness()
    late.since(other, [AT_MS, AT_MS + 1])
    assert late.figures()["count"] == 1
    few = Lateness()
    few.add(15_000, 99)
    few.add(2_000_000)
    assert few.figures() == {"count": 100, "p50_ms": 0.02, "p99_ms": 0.02, "max_ms": 2.0}
