"""wadm compute: exact tables from tapes and from stored bars, in every format."""

from __future__ import annotations

import csv
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from journeys_support import journey
from market_support import MINUTE, ROWS, START_MS, market_tape
from typer.testing import CliRunner

from backbone.settings import read_settings
from orderflow.errors import ConfigError, ValidationError
from wadm import __main__ as command
from wadm.columns import COLUMNS
from wadm.compute import StoreSource, TapeSource, compute

runner = CliRunner()
NAME = "binance:spot:BTCUSDT"
CSV = (
    "1,100.0,2.0,1,2,1735689600000,False,True\n"
    "2,101.5,1.0,3,3,1735689601000,True,True\n"
    "3,101.0,4.0,4,4,1735689665000,False,True\n"
)


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "BTCUSDT-aggTrades-2025-01-01.csv"
    path.write_text(CSV)
    return path


def run(*words: str) -> Any:
    return runner.invoke(command.app, ["compute", *words])


def test_windows(day: Path) -> None:
    """One row a window with exact numbers and its proof; cumulative delta carries on."""
    source = TapeSource(day, NAME, row_size=Decimal(1))
    found = compute(source, timeframe="1m", indicators=tuple(COLUMNS))
    first, second = found.rows
    assert first["period_start"] == "2025-01-01T00:00:00.000Z"
    assert (first["open"], first["close"], first["volume"]) == (
        Decimal(100),
        Decimal("101.5"),
        Decimal(3),
    )
    assert (first["delta"], first["cvd"], second["cvd"]) == (1, 1, 5)
    assert (first["poc"], first["vah"], first["row_size"]) == (100, 101, 1)
    assert first["imbalance"] == Decimal("0.333333")
    assert (first["state"], first["complete"]) == ("contiguous", True)
    assert second["complete"] is False


def test_rows_add_up(day: Path) -> None:
    """Volume at price of every window."""
    found = compute(TapeSource(day, NAME, row_size=Decimal(1)), timeframe="1h", table="rows")
    assert sum(row["buy_volume"] + row["sell_volume"] for row in found.rows) == 7
    assert [row["price"] for row in found.rows] == [100, 101]


def test_frame(day: Path) -> None:
    """Floats and timestamps by default, decimals on request."""
    found = compute(TapeSource(day, NAME), timeframe="1m")
    frame = found.frame()
    assert frame["close"].dtype == float
    assert str(frame["period_start"].dt.tz) == "UTC"
    assert list(found.frame(exact=True)["close"]) == [Decimal("101.5"), Decimal("101.0")]


def test_formats(day: Path, tmp_path: Path) -> None:
    """Parquet, CSV and JSON lines hold the same digits."""
    rows = {}
    for ending in ("parquet", "csv", "jsonl"):
        out = tmp_path / "made" / f"bars.{ending}"
        result = run(str(day), "--instrument", NAME, "--timeframe", "1m", "--out", str(out))
        assert result.exit_code == 0, result.output
        assert list(out.parent.glob("*.part")) == []
        if ending == "parquet":
            rows[ending] = pd.read_parquet(out).to_dict("records")
        elif ending == "csv":
            with out.open(newline="") as file:
                rows[ending] = list(csv.DictReader(file))
        else:
            rows[ending] = [json.loads(line) for line in out.read_text().splitlines()]
    for name in ("open", "close", "volume", "delta", "poc", "quote_volume", "trades"):
        held = {
            ending: [Decimal(str(row[name])) for row in table] for ending, table in rows.items()
        }
        assert held["parquet"] == held["csv"] == held["jsonl"], name
    assert rows["parquet"][0]["period_start"] == pd.Timestamp("2025-01-01", tz="UTC")


def test_standard_output(day: Path) -> None:
    """JSON lines without --out; with --json one summary."""
    result = run(str(day), "--instrument", NAME, "--timeframe", "1m", "--indicators", "flow")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["volume"] for line in lines] == ["3", "4"]
    assert "poc" not in lines[0]
    summary = json.loads(run(str(day), "--instrument", NAME, "--json").stdout)
    assert (summary["rows"], summary["table"], summary["out"]) == (1, "windows", None)
    assert summary["states"] == {"contiguous": 1}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--indicators", "magic"], "flow"),
        (["--table", "candles"], "windows"),
        (["--timeframe", "7h"], "allowed"),
        (["--out", "bars.xls"], ".parquet"),
        (["--row-size", "-1"], "positive"),
    ],
)
def test_misuse(day: Path, words: list[str], message: str) -> None:
    """Wrong options are named with what is allowed."""
    result = run(str(day), "--instrument", NAME, *words)
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_exit_codes(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 for wrong use, 1 when the store holds nothing of it."""
    monkeypatch.setenv("WADM_DATA_DIR", str(tmp_path / "store"))
    asked = ["wadm", "compute", "--instrument", NAME]
    for words, code in ((["--source", "dream"], 2), (["--start", "1", "--json"], 1)):
        monkeypatch.setattr(sys, "argv", [*asked, *words])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == code
    assert "nothing in this source" in capsys.readouterr().err


def test_library_misuse(day: Path) -> None:
    """The function refuses the same."""
    source = TapeSource(day, NAME)
    with pytest.raises(ConfigError, match="windows"):
        compute(source, table="bars")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="flow"):
        compute(source, indicators=("x",))
    with pytest.raises(ValidationError, match="1m"):
        compute(source, timeframe="2m")


@pytest.mark.timeout(1_200)
async def test_stored_bars(tmp_path: Path) -> None:
    """Stored bars and events, read inside a running loop as in a notebook, are the served ones."""
    async with journey(tmp_path, [market_tape(130)], row_sizes=ROWS) as trip:
        await trip.until_played()
        asked = {"timeframe": "5m", "limit": 25, "numbers": "string"}
        served = (await trip.get(f"/footprint/{NAME}", **asked))["bars"][:-1]
        events = (await trip.get("/events", symbol="BTCUSDT", limit=200))["events"]
    settings = read_settings({}, data_dir=str(tmp_path))
    source = StoreSource(settings, "simulated", NAME, 0, START_MS + 300 * MINUTE)
    calls: list[tuple[int, int]] = []
    found = compute(source, timeframe="5m", progress=lambda a, b: calls.append((a, b)))
    by_start = {row["period_start"]: row for row in found.rows}
    assert len(served) >= 20
    for bar in served:
        row = by_start[bar["period_start"]]
        for ours, theirs in (("close", "close"), ("volume", "total_volume"), ("poc", "poc")):
            assert row[ours] == Decimal(bar[theirs])
        assert row["complete"] is True
    assert calls[-1][0] == calls[-1][1]
    table = compute(source, table="events")
    assert {row["id"] for row in table.rows} == {event["id"] for event in events}


@pytest.fixture(scope="module")
def real_day(shared: Path) -> Path:
    return shared / "data/binance_vision_20240101/BTCUSDT-aggTrades-2024-01-01.zip"


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
def test_golden_candles(real_day: Path, shared: Path, tmp_path: Path) -> None:
    """A real day to Parquet: every number of Binance's own 24 candles, difference 0."""
    out = tmp_path / "day.parquet"
    found = compute(TapeSource(real_day, NAME, row_size=Decimal(1)), timeframe="1h")
    found.write(out)
    ours = pd.read_parquet(out)
    frame = pd.read_parquet(shared / "data/binance_vision_20240101/btcusdt_spot_1h_2024w01.parquet")
    candles = frame.head(24).to_dict("records")
    assert len(ours) == 24
    for row, candle in zip(ours.to_dict("records"), candles, strict=True):
        for name, theirs in {
            "open": "open",
            "high": "high",
            "low": "low",
            "close": "close",
            "volume": "volume",
            "buy_volume": "taker_buy_volume",
            "quote_volume": "quote_asset_volume",
            "buy_quote_volume": "taker_buy_quote_volume",
        }.items():
            exact = Decimal(repr(candle[theirs])).quantize(Decimal("1e-8"))
            assert row[name] == exact, (row["period_start"], name)
        assert row["trades"] == candle["count"]
