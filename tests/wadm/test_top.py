"""`wadm top`: the live table of a real server, on a screen of 80 columns and 24 lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alert_support import until
from journeys_support import Journey, journey
from market_support import ROWS, market_tape
from textual.pilot import Pilot
from textual.widgets import DataTable, Static
from typer.testing import CliRunner

from backbone.settings import Settings
from orderflow.errors import ConfigError
from wadm import __main__ as command
from wadm.asking import Asker, UnreachableError
from wadm.top import rows
from wadm.top.look import look
from wadm.top.rows import View
from wadm.top.screen import Top


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[Journey]:
    async with journey(tmp_path, [market_tape(4)], row_sizes=ROWS) as trip:
        await trip.until_played()
        yield trip


def cells(screen: Top) -> list[list[str]]:
    """The table as text."""
    table: DataTable[Any] = screen.query_one(DataTable)
    return [[str(cell).strip() for cell in table.get_row_at(n)] for n in range(table.row_count)]


def line(screen: Top, name: str) -> str:
    return str(screen.query_one(f"#{name}", Static).content)


async def test_the_screen(played: Journey) -> None:
    """The three tables show the server's own numbers and fit; keys switch, change the timeframe
    and quit; when the server goes away the last numbers are marked as old."""
    settings = Settings(port=played.system.port)
    asker = Asker(settings)
    away = asyncio.Event()

    async def seen(timeframe: str, period: str) -> View:
        if away.is_set():
            raise UnreachableError("no server answers")
        return await look(asker, timeframe, period)

    screen = Top(seen, "1h", "5m", 0.5)
    async with screen.run_test(size=(80, 24)) as pilot:
        await until(lambda: screen.view is not None and screen.looks, "an answer")
        await the_tables(played, screen, pilot)
        await pilot.press("t", "p")
        await until(lambda: "POC 4h · delta 15m" in line(screen, "head"), "the next timeframe")
        away.set()
        await until(lambda: "OLD: no server answers" in line(screen, "note"), "the mark")
        assert cells(screen)
        away.clear()
        await until(lambda: line(screen, "note") == "", "the mark goes")
        await pilot.press("q")
    assert screen.return_code == 0
    await asker.close()


async def the_tables(played: Journey, screen: Top, pilot: Pilot[None]) -> None:
    table: DataTable[Any] = screen.query_one(DataTable)
    answer = await played.get("/volume_profile/BTCUSDT", numbers="string")
    (row,) = cells(screen)
    assert row[:2] == ["BTCUSDT", answer["close"] or "-"]
    assert row[3] == (answer["poc"] or "-")
    assert "SIMULATED" in line(screen, "head")
    for key, name in (("2", "binance:spot:BTCUSDT"), ("3", "binance-spot-1a"), ("1", "BTCUSDT")):
        await pilot.press(key)
        await pilot.pause()
        assert cells(screen)[0][0] == name
        assert table.virtual_size.width <= 80
    assert screen.size == (80, 24)


async def test_one_look(played: Journey, monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    """--once prints for people, --json for scripts, with the exact numbers of REST; misuse and an
    absent server say what to do."""

    async def asked(*words: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, command.app, ["top", *words])

    monkeypatch.setenv("WADM_PORT", str(played.system.port))
    # The system under test logs beside the command, in the same process.
    lines = (await asked("--once", "--json")).stdout.splitlines()
    told = json.loads(next(text for text in lines if text.startswith('{"source"')))
    answer = await played.get("/volume_profile/BTCUSDT", numbers="string", detail="summary")
    (symbol,) = told["symbols"]
    assert (symbol["symbol"], symbol["poc"]) == ("BTCUSDT", answer["poc"])
    assert symbol["to_poc"] == (answer["facts"] or {}).get("to_poc")
    assert symbol["profile_state"] == answer["quality"]["state"]
    assert (told["source"], told["streams"][0]["gaps_open"]) == ("simulated", 0)
    printed = (await asked("--once")).stdout
    assert "SIMULATED" in printed
    assert "binance:spot:BTCUSDT" in printed
    assert "goes with --once" in str((await asked("--json")).exception)
    assert isinstance((await asked("--once", "--every", "0")).exception, ConfigError)
    monkeypatch.setenv("WADM_PORT", str(unused_port))
    assert isinstance((await asked("--once")).exception, UnreachableError)


def test_lines() -> None:
    """Long numbers lose decimals only; ages, counts and states fit; doubt is in capitals."""
    assert rows.shown("1234567.123456789") == "1234567.123"
    assert rows.shown("12345678901.5") == "12345678901"
    assert [rows.seconds(ms) for ms in (None, 1_250, 61_000, 7_300_000)] == ["-", "1.2", "1m", "2h"]
    assert [rows.count(n) for n in (99_999, 100_000, 123_456_789)] == ["99999", "100k", "123M"]
    profile = {"poc": "9", "close": "10", "facts": {"to_poc": "1"}}
    good = {"state": "verified", "age_ms": 10, "stale": False, "coverage": "1"}
    flow = {"delta": "-1", "close": "11", "quality": {**good, "state": "partial"}}
    row = rows.symbol_of({"symbol": "A", "profile": {**profile, "quality": good}, "flow": flow})
    assert rows.symbol_cells(row) == ["A", "11", "-1", "9", "1", "0.0", "PARTIAL"]
    assert rows.symbol_cells(row | {"stale": True})[-1] == "STALE"
    none = rows.symbol_of({"symbol": "B", "error": "not collected"})
    assert rows.symbol_cells(none) == ["B", "-", "-", "-", "-", "-", "no data"]
    for columns in (rows.SYMBOL_COLUMNS, rows.STREAM_COLUMNS, rows.FEED_COLUMNS):
        assert sum(column.width for column in columns) <= 80
