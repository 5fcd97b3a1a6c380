"""The contract of a venue, run on every registered market, and its REST bodies as documented."""

from __future__ import annotations

import ast
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backbone.settings import Settings
from collectors.venue import VenueMarket
from collectors.venues import VENUES
from orderflow.errors import ExchangeError, MalformedFrameError, VenueRefusedError
from orderflow.instrument import Instrument, Market

MARKETS = [
    pytest.param(market, id=f"{venue}-{kind}")
    for venue, kinds in VENUES.items()
    for kind, market in kinds.items()
]
NOW = 1_700_000_000_000


def instruments(market: VenueMarket, count: int) -> list[Instrument]:
    spelled = [f"LONGSYMBOLNAME{number:03}" for number in range(count)]
    sequence = "unordered" if (market.venue, market.market) == ("bybit", "perp") else "consecutive"
    return [
        Instrument(
            market.venue,
            market.market,
            f"{name}USD",
            name,
            "USD",
            Decimal("0.1"),
            Decimal(1),
            sequence=sequence,  # type: ignore[arg-type]
        )
        for name in spelled
    ]


@pytest.mark.parametrize("market", MARKETS)
def test_names_and_addresses(market: VenueMarket) -> None:
    """A market says where it lives by settings that exist."""
    assert VENUES[market.venue][market.market] is market
    assert getattr(Settings(), market.ws_setting).startswith("wss://")
    assert getattr(Settings(), market.rest_setting).startswith("https://")
    assert market.connections in {1, 2}
    assert market.page_rows <= 1_000


@pytest.mark.parametrize("market", MARKETS)
def test_a_full_connection_stays_within_the_limits(market: VenueMarket) -> None:
    """200 streams by path; requests of few enough topics, 21,000 characters in all; no repeats."""
    full = instruments(market, market.symbols_per_connection)
    path, topics = market.socket_path(full), market.topics(full)
    requests = market.requests(topics, 5)
    assert path.count("@") <= 200
    assert bool(topics) == bool(requests) == ("@" not in path)
    assert [topic for request in requests for topic in request.topics] == topics
    assert [int(request.request_id) for request in requests] == list(range(5, 5 + len(requests)))
    most = 10 if market.market is Market.SPOT else 50
    assert all(len(request.topics) <= most for request in requests)
    assert sum(len(topic) for topic in topics) <= 21_000


@pytest.mark.parametrize("market", MARKETS)
def test_garbage_bodies_are_exchange_errors(market: VenueMarket) -> None:
    """Whatever a REST answer holds, a parser raises an exchange error or gives a value."""
    (instrument,) = instruments(market, 1)
    bodies = [b"", b"<html>", b"[]", b"{}", b"null", b'{"retCode":0}', b'{"symbols":[{}]}', b"\xff"]
    bodies += [b'[[1,"1e9","1","1","1","1",1,"1",1,"1","1","0"]]']
    bodies += [b'{"retCode":0,"result":{"list":[["x","1","1","1","1","1","1"]]}}']
    bodies += [b'{"retCode":0,"result":{"timeNano":"x"}}', b'{"serverTime":"x"}']
    for body in bodies:
        for parse in (
            market.parse_instruments,
            market.parse_time,
            market.parse_tickers,
            market.parse_candles,
            lambda text: market.parse_trades(text, instrument, 0),
        ):
            try:
                parse(body)
            except ExchangeError:
                continue


@pytest.mark.parametrize("market", MARKETS)
def test_what_joins_and_leaves_is_said_within_the_limits(market: VenueMarket) -> None:
    """A full connection's worth by message: numbered, few enough streams each, both ways alike."""
    full = instruments(market, market.symbols_per_connection)
    joins, leaves = (market.changes(full, 3, leave=leave) for leave in (False, True))
    assert [request.topics for request in joins] == [request.topics for request in leaves]
    assert [int(request.request_id) for request in joins] == list(range(3, 3 + len(joins)))
    topics = [topic for request in joins for topic in request.topics]
    assert len(topics) == len(set(topics)) == 2 * len(full)
    assert market.topics(full) in ([], topics)
    most = {"binance": 100, "bybit": 10 if market.market is Market.SPOT else 50}[market.venue]
    assert all(len(request.topics) <= most for request in joins)
    assert all("unsub" in r.frame.lower() for r in leaves)
    assert not any("unsub" in r.frame.lower() for r in joins)


@pytest.mark.parametrize("market", MARKETS)
def test_turnovers(market: VenueMarket) -> None:
    """Quote turnover by symbol; what is no plain symbol or amount is left out."""
    rows = [("BTCUSDT", "12345678.90"), ("A_B", "1"), ("ETHUSDT", "1e9"), ("XRPUSDT", "-1")]
    if market.venue == "binance":
        body = json.dumps([{"symbol": s, "quoteVolume": v, "count": 1} for s, v in rows])
    else:
        listed = [{"symbol": s, "turnover24h": v} for s, v in rows]
        body = json.dumps({"retCode": 0, "result": {"category": "x", "list": listed}})
    assert market.parse_tickers(body.encode()) == {"BTCUSDT": Decimal("12345678.90")}


def test_the_venue_files_are_registered_and_pure() -> None:
    """Every venue is in the registry, and none of its files does I/O or knows the time."""
    folder = Path(__file__).parents[2] / "collectors" / "venues"
    banned = {"asyncio", "socket", "time", "random", "logging", "os", "structlog", "httpx2"}
    files = {path.stem: path for path in folder.glob("*.py")}
    names = {name.partition("_")[0] for name in files if name != "__init__"}
    assert names == set(VENUES)
    for path in [*files.values(), folder.parent / "venue.py", folder.parent / "reading.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not banned & {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module not in banned


def test_binance_paths_and_questions() -> None:
    """Spot and USD-M subscribe by path, USD-M on the market route; ids and times never mix."""
    spot, perp = VENUES["binance"][Market.SPOT], VENUES["binance"][Market.PERP]
    (item,) = instruments(perp, 1)
    symbol = item.symbol.lower()
    assert perp.socket_path([item]) == f"/market/stream?streams={symbol}@aggTrade/{symbol}@kline_1m"
    assert spot.socket_path([item]).startswith("/stream?streams=")
    by_id = dict(perp.trades_call(item, 7, NOW, NOW + 1).query)
    assert by_id == {"symbol": item.symbol, "fromId": "7", "limit": "1000"}
    by_time = dict(perp.trades_call(item, None, NOW, NOW + 9_000_000).query)
    assert int(by_time["endTime"]) - int(by_time["startTime"]) < 3_600_000
    assert perp.trades_call(item, 7, 0, 0).weight == 20
    assert spot.trades_call(item, 7, 0, 0).weight == 4


def test_binance_instruments_of_a_whole_exchange(shared: Path) -> None:
    """Every listed symbol of a recorded exchangeInfo has its tick and lot from the filters."""
    folder = shared / "data/cryptofeed"
    line = gzip.decompress((folder / "BINANCE.0.gz").read_bytes()).splitlines()[0]
    found = VENUES["binance"][Market.SPOT].parse_instruments(line.partition(b": ")[2].strip())
    by_name = {item.symbol: item for item in found.instruments}
    assert (by_name["ETHBTC"].tick_size, by_name["ETHBTC"].lot_size) == (
        Decimal("0.000001"),
        Decimal("0.0001"),
    )
    assert {item.status for item in found.instruments} == {"trading", "halted"}
    line = (folder / "BINANCE_FUTURES.0").read_bytes().splitlines()[0]
    found = VENUES["binance"][Market.PERP].parse_instruments(line.partition(b": ")[2].strip())
    by_name = {item.symbol: item for item in found.instruments}
    assert by_name["BTCUSDT"].tick_size == Decimal("0.01")
    assert by_name["BTCUSDT"].lot_size == Decimal("0.001")
    assert not any("_" in name for name in by_name)


def test_bybit_instruments_as_documented(shared: Path) -> None:
    """Linear takes qtyStep, spot basePrecision; options are no perpetuals; pages go on."""
    linear, option, *rest = _documented(shared, "market_instrument.json")
    market = VENUES["bybit"][Market.PERP]
    page = market.parse_instruments(linear)
    (item,) = page.instruments
    assert (item.symbol, item.tick_size, item.lot_size) == (
        "BTCUSDT",
        Decimal("0.1"),
        Decimal("0.001"),
    )
    assert (item.sequence, item.status, page.cursor) == ("unordered", "trading", "")
    page = market.parse_instruments(option)
    assert [found.status for found in page.instruments] == ["halted"]
    assert page.cursor == "first%3DBIOUSDT%26last%3DBIOUSDT"
    spot = next(body for body in rest if b'"basePrecision"' in body)
    (item,) = VENUES["bybit"][Market.SPOT].parse_instruments(spot).instruments
    assert (item.sequence, item.market) == ("consecutive", "spot")
    assert item.lot_size < Decimal("0.001")


def test_bybit_answers_as_documented(shared: Path) -> None:
    """Time, recent trades and candles as in the official examples."""
    spot = VENUES["bybit"][Market.SPOT]
    item = Instrument(
        "bybit", Market.SPOT, "BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.000001")
    )
    (body,) = _documented(shared, "market_time.json")
    assert spot.parse_time(body) == 1_688_639_403_423
    (body,) = _documented(shared, "market_recent-trade.json")
    batch = spot.parse_trades(body, item, 0)
    assert batch.key == [2_100_000_000_007_764_263]
    assert (batch.price_ticks, batch.qty_lots, batch.side) == ([1_661_849], [120], [1])
    assert (batch.seq, batch.source) == ([123_456], "rest")
    (body,) = _documented(shared, "market_kline.json")
    candles = spot.parse_candles(body)
    assert [candle.start_ms for candle in candles] == sorted(c.start_ms for c in candles)
    assert candles[-1].close == Decimal("17055.5")


def test_a_recorded_page_of_trades_is_in_order(shared: Path) -> None:
    """Five real REST trades, newest first in the answer: ascending and consecutive here."""
    for line in (shared / "data/bybit_frames/frames.jsonl").read_text().splitlines():
        frame = json.loads(line)["frame"]
        if "retCode" in frame:
            item = Instrument(
                "bybit", Market.SPOT, "BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.000001")
            )
            body = json.dumps(frame).encode()
            batch = VENUES["bybit"][Market.SPOT].parse_trades(body, item, 0)
            assert batch.key == list(range(batch.key[0], batch.key[0] + 5))
            return
    pytest.fail("the recording is gone")


def test_refusals_of_bybit_come_with_http_200() -> None:
    """The code in the body decides; the limit code asks for a pause."""
    market = VENUES["bybit"][Market.SPOT]
    with pytest.raises(VenueRefusedError) as refused:
        market.parse_time(b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}')
    assert refused.value.retry_after_s == 5.0
    with pytest.raises(VenueRefusedError) as refused:
        market.parse_time(b'{"retCode":10001,"retMsg":"<b>text</b>","result":{}}')
    assert refused.value.retry_after_s is None
    assert "<b>" not in str(refused.value)


def test_numbers_are_plain() -> None:
    """Exponents and other spellings are no prices, however a library reads them."""
    from collectors.reading import number_of

    for text in ("1e5", "0x1", " 1", "1_0", "٣", "", "-", "+1", "1.", ".5", "nan", "1" * 40):
        with pytest.raises(MalformedFrameError):
            number_of(text)


def _documented(shared: Path, name: str) -> list[bytes]:
    examples: list[Any] = json.loads((shared / "data/bybit_docs" / name).read_text())
    return [json.dumps(example).encode() for example in examples]
