"""The worked example of docs/indicators.md, computed by the real engine."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from six_trades import SIX_TRADES

from orderflow import answers
from orderflow.answers import Wanted
from orderflow.indicators import INDICATORS
from orderflow.parts import FlowPart, FootprintPart
from orderflow.symbols import Selection
from orderflow.timeframe import MINUTE_MS, Window
from orderflow.trade import InstrumentChanged, TradeBatch
from processor import windows
from processor.engine import Engine
from wadm.indicators_page import BEGIN

START_MS = 1_735_689_600_000


def tables(root: Path) -> tuple[list[list[str]], dict[str, str]]:
    """The trades of the page, and the numbers of the two cards that answers serve."""
    text = (root / "docs/indicators.md").read_text().split("## Worked example")[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.split(BEGIN)[0].splitlines()
        if line.startswith("|") and "---" not in line
    ]
    cards = (INDICATORS["volume_profile"], INDICATORS["order_flow"])
    return rows[1:], {name: value for card in cards for name, value in card.example.numbers}


def test_worked_example(root: Path) -> None:
    """Every number on the page is what the code gives for the page's own trades."""
    trades, numbers = tables(root)
    assert [(int(row[0]), int(row[1]), row[2] == "buy") for row in trades] == list(SIX_TRADES)
    engine = Engine({"ABUSDT": Decimal(1)})
    engine.handle(
        InstrumentChanged("binance", "spot", "ABUSDT", "AB", "USDT", Decimal(1), Decimal(1))
    )
    name = "binance:spot:ABUSDT"
    count = len(trades)
    engine.handle(
        TradeBatch(
            name,
            list(range(1, count + 1)),
            [START_MS + k for k in range(count)],
            [int(row[0]) for row in trades],
            [int(row[1]) for row in trades],
            [int(row[2] == "buy") for row in trades],
        )
    )
    stream = engine.streams[name]
    window = Window(START_MS, START_MS + MINUTE_MS)
    piece = windows.footprint_of(stream, window, START_MS + 10)
    flow = windows.flow_of(stream, window, 5_000, START_MS + 10)
    assert piece is not None
    assert flow is not None
    selection = Selection("ABUSDT", "binance", "spot", (stream.instrument,))
    wanted = Wanted("1m", "aligned", "live")
    part = FootprintPart(stream.instrument, window, *piece, START_MS, START_MS + 10)
    profile = answers.volume_profile_report(selection, [part], wanted)
    flow_part = FlowPart(
        stream.instrument, window, flow[0], flow[1], START_MS, START_MS + 10, 5_000, flow[2], 0, 0
    )
    found = answers.order_flow_report(selection, [flow_part], wanted)
    served = profile.model_dump() | found.model_dump()
    assert {key: Decimal(value) for key, value in numbers.items()} == {
        key: served[key] for key in numbers
    }
