"""wadm compute gives every indicator by its name, from tapes, in every format."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from orderflow.errors import ConfigError, ValidationError
from orderflow.event import Event
from orderflow.indicators import vpin
from orderflow.studies import STUDIES
from orderflow.studies.study import Options
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window
from wadm import __main__ as command
from wadm.compute import TABLES, Piece, Progress, TapeSource, compute

NAME = "binance:spot:BTCUSDT"
START_MS = 1_735_689_600_000
HOURS = 4
OTHER = Window(START_MS, START_MS + HOUR_MS)
runner = CliRunner()


def trades(hours: int, every_ms: int = 3_000) -> list[tuple[int, int, int, bool]]:
    """(ms, ticks, lots, buyer is the maker) of a wandering price."""
    draw, ticks, found = random.Random(3), 1_000, []
    for at in range(START_MS + 1, START_MS + hours * HOUR_MS, every_ms):
        ticks = max(900, ticks + draw.randrange(-2, 3))
        found.append((at, ticks, draw.randrange(1, 40), draw.random() < 0.5))
    return found


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "BTCUSDT-aggTrades-2025-01-01.csv"
    lines = [
        f"{k},{Decimal(ticks) / 10},{Decimal(lots) / 10},{k},{k},{at},{maker},True"
        for k, (at, ticks, lots, maker) in enumerate(trades(HOURS), 1)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def source(tape: Path) -> TapeSource:
    return TapeSource(tape, NAME, row_size=Decimal("0.1"))


class Played:
    """A tape that is played once per timeframe, however often it is asked for."""

    instrument = NAME

    def __init__(self, tape: Path) -> None:
        self.tape = source(tape)
        self.known: dict[str, list[Piece]] = {}

    def pieces(self, timeframe: str, progress: Progress) -> Iterator[Piece]:
        """The tape's own."""
        if timeframe not in self.known:
            self.known[timeframe] = list(self.tape.pieces(timeframe, progress))
        progress(1, 1)
        yield from self.known[timeframe]

    def events(self, progress: Progress) -> Iterator[Event]:
        """The tape's own."""
        return self.tape.events(progress)


@pytest.fixture(scope="module")
def played(tape: Path) -> Played:
    return Played(tape)


def asked(name: str) -> Options:
    hours = "UTC 00:00-01:00"
    return {
        "profile_algebra": Options(other=OTHER),
        "composite": Options(session=hours),
        "naked_levels": Options(session=hours),
        "market_profile": Options(session="UTC 00:00-03:00"),
        "day_type": Options(session="UTC 00:00-03:00"),
        "sessions": Options(session=hours),
        "vpin": Options(bucket=Decimal(50)),
    }.get(name, Options())


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_indicator_is_a_table(played: Played, tape: Path, tmp_path: Path, name: str) -> None:
    """Every study has rows, the same in Parquet, CSV and JSON lines, and reports its progress."""
    assert name in TABLES
    seen: list[tuple[int, int]] = []
    found = compute(
        source(tape) if name == "vpin" else played,
        table=name,
        options=asked(name),
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen[-1][0] == seen[-1][1] > 0
    assert found.rows, found.reason
    tables = {}
    for ending in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"{name}.{ending}"
        found.write(out)
        if ending == "parquet":
            tables[ending] = pd.read_parquet(out).to_dict("records")
        elif ending == "csv":
            with out.open(newline="") as file:
                tables[ending] = list(csv.DictReader(file))
        else:
            tables[ending] = [json.loads(line) for line in out.read_text().splitlines()]
    assert {len(rows) for rows in tables.values()} == {len(found.rows)}
    for column in found.columns:
        exact = [row.get(column) for row in found.rows]
        if all(isinstance(value, Decimal) for value in exact):
            for rows in tables.values():
                assert [Decimal(str(row[column])) for row in rows] == exact, column


def test_command(tape: Path, tmp_path: Path) -> None:
    """The command takes a study as a table, with its options, and says its facts."""
    out = tmp_path / "value.parquet"
    words = ["compute", str(tape), "--instrument", NAME, "--row-size", "0.1", "--json"]
    result = runner.invoke(
        command.app,
        [*words, "--table", "composite", "--session", "UTC 01:00-02:00", "--out", str(out)],
    )
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert (said["table"], said["timeframe"]) == ("composite", "1h")
    assert said["facts"]["windows"] == 1
    assert out.exists()
    for wrong, words_ in (
        (["--table", "sessions", "--session", "moon"], "day, week"),
        (["--table", "vwap", "--anchor", "soon"], "anchor"),
        (["--table", "kyle", "--timeframe", "5m"], "1m"),
        (["--table", "vpin", "--bucket", "-1"], "positive"),
        (["--table", "profile_algebra"], "other"),
    ):
        refused = runner.invoke(command.app, [*words, *wrong])
        assert refused.exit_code != 0
        assert words_ in str(refused.exception), wrong


def test_vpin_is_exact(tape: Path) -> None:
    """VPIN of a tape equals its trades put into buckets one by one; no later trade is in a row."""
    found = compute(source(tape), table="vpin", timeframe="5m", options=asked("vpin"))
    state, place, every = vpin.new(500), 0, trades(HOURS)
    for row in found.rows:
        end = pd.Timestamp(row["period_end"]).value // 1_000_000
        while place < len(every) and every[place][0] < end:
            state.add_trades([every[place][2]], [int(not every[place][3])])
            place += 1
        assert row["vpin"] == state.value()
        assert row["filled"] == state.filled
    assert found.rows[-1]["vpin"] is not None
    assert found.facts["state"] == "exact"


def test_vpin_without_a_day(tape: Path) -> None:
    """Without a bucket the server's rule holds: no number before a whole UTC day has passed."""
    found = compute(source(tape), table="vpin", timeframe="1h")
    assert {row["vpin"] for row in found.rows} == {None}
    assert all("bucket size" in row["reason"] for row in found.rows)
    with pytest.raises(ConfigError, match="lot"):
        compute(source(tape), table="vpin", options=Options(bucket=Decimal("0.00001")))


def test_a_custom_session_cuts_its_bars(tape: Path) -> None:
    """A session of odd hours is made of bars short enough, and adds up."""
    halves = compute(
        source(tape), table="sessions", options=Options(session="UTC 00:00-00:15", windows=1)
    )
    assert halves.timeframe == "15m"
    minutes = compute(source(tape), timeframe="15m").rows
    assert halves.rows[0]["volume"] == minutes[0]["volume"]
    assert halves.rows[0]["poc"] == minutes[0]["poc"]


def test_developing_and_anchored_never_look_ahead(
    played: Played, tape: Path, tmp_path: Path
) -> None:
    """A tape cut short gives the same rows up to the cut: no value knew what came later."""
    lines = tape.read_text().splitlines()
    cut = tmp_path / tape.name
    cut.write_text("\n".join(lines[: len(lines) // 2]) + "\n")
    shorter = Played(cut)
    for name in ("developing", "vwap", "cvd", "vpin", "delta", "sweeps", "large_trades"):
        both = (source(tape), source(cut)) if name == "vpin" else (played, shorter)
        whole, half = (
            compute(one, table=name, options=asked(name), timeframe="1m").rows for one in both
        )
        known = half[:-1]
        assert whole[: len(known)] == known, name


def test_library_refuses_what_is_not_there(tape: Path) -> None:
    """Unknown tables and too long bars are named."""
    with pytest.raises(ConfigError, match="composite"):
        compute(source(tape), table="magic")
    with pytest.raises(ValidationError, match="30m"):
        compute(source(tape), table="market_profile", timeframe="1h")
    assert DAY_MS > HOURS * HOUR_MS > MINUTE_MS
