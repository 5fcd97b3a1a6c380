"""Reading tapes of every format."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orderflow.errors import ConfigError
from simulator.columns import ADL, BLOCK, BUYER, KEY, KIND, QTY, SEQ
from simulator.decimals import text_of
from simulator.tape import Tape, merge_tracks
from simulator.tapes import load_tape, open_tapes

AGGREGATES = "7,10.50,1.00,21,22,{t},{m}{best}\n8,10.25,2.50,23,23,{t},{m}{best}\n"


@pytest.mark.parametrize(
    ("name", "count", "first", "last", "qty", "buys"),
    [
        ("spot_btcusdt_20240808", 9757, 3735683259, 3735693015, "212.03315", "96.65118"),
        ("spot_btcusdt_20240809", 10147, 3735693016, 3735703162, "225.88237", "107.83994"),
        ("spot_ethusdt_20240808", 6106, 1520538925, 1520545030, "2261.3149", "953.0359"),
        ("spot_ethusdt_20240809", 8409, 1520545031, 1520553439, "2011.4092", "1070.5082"),
        ("usdm_btcusdt_20240808", 21313, 5266583935, 5266605247, "2429.366", "1251.576"),
        ("usdm_ethusdt_20240808", 14076, 4308068523, 4308082598, "9164.948", "4960.564"),
    ],
)
def test_recordings_have_their_known_trades(
    shared: Path, name: str, count: int, first: int, last: int, qty: str, buys: str
) -> None:
    """Every recorded trade is read, with its market, ids and exact sums."""
    tape = load_tape(shared / "data" / "hftbacktest" / f"{name}.gz")
    (track,) = tape.tracks
    assert track.instrument.market == ("spot" if name.startswith("spot") else "perp")
    data, digits = track.given.matrix(), track.instrument.qty_digits
    assert (data.shape[1], int(data[KEY, 0]), int(data[KEY, -1])) == (count, first, last)
    assert text_of(int(data[QTY].sum()), digits) == qty
    assert text_of(int(data[QTY, data[BUYER] == 1].sum()), digits) == buys


def test_a_market_recorded_in_two_files_is_one_track(shared: Path) -> None:
    """The recordings of two days join over midnight without a gap, and aggregate as one."""
    folder = shared / "data" / "hftbacktest"
    tapes = open_tapes(folder / f"spot_btcusdt_2024080{n}.gz" for n in (9, 8))
    (track,) = merge_tracks(tapes)
    assert (np.diff(track.given.column(KEY)) == 1).all()
    assert (np.diff(track.aggregates.column(KEY)) == 1).all()
    assert int(track.aggregates.column(QTY).sum()) == int(track.given.column(QTY).sum())


def test_cryptofeed_captures_are_read(shared: Path) -> None:
    """A capture of four futures symbols gives four tracks with its 91 aggregates."""
    tape = load_tape(shared / "data" / "cryptofeed" / "BINANCE_FUTURES.ws.1.0")
    sizes = {track.instrument.symbol: len(track) for track in tape.tracks}
    assert sizes == {"CTKUSDT": 38, "AKROUSDT": 8, "SUSHIUSDT": 40, "KEEPUSDT": 5}
    assert {track.instrument.market for track in tape.tracks} == {"perp"}


def test_the_bybit_archive_is_read(shared: Path) -> None:
    """5,079 inverse trades with their UUIDs, sizes in dollars and ids in order."""
    tape = load_tape(shared / "data" / "bybit_archive" / "BTCUSD2022-05-02.first5079.csv")
    (track,) = tape.tracks
    assert track.instrument.name == "bybit:perp:BTCUSD"
    data = track.given.matrix()
    assert data.shape[1] == 5079
    assert int(data[QTY].sum()) == 23_527_521
    assert int(data[QTY, data[BUYER] == 1].sum()) == 17_300_899
    assert track.uuid_of(1) == "a0dd4504-db3c-535f-b43b-4de38f581b79"
    assert len({track.uuid_of(int(key)) for key in data[KEY]}) == 5079


@pytest.mark.parametrize("micro", [False, True])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("best", ["", ",True"])
@pytest.mark.parametrize("packed", [False, True])
def test_archive_files_of_both_markets_and_units(
    tmp_path: Path, micro: bool, header: bool, best: str, packed: bool
) -> None:
    """Header or not, ms or us, CSV or zip, with spot's best-match column or without."""
    time = "1735689600123456" if micro else "1735689600123"
    text = AGGREGATES.format(t=time, m="True" if best else "true", best=best)
    if header:
        text = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time," + (
            "is_buyer_maker" + (",is_best_match" if best else "") + "\n" + text
        )
    path = tmp_path / ("BTCUSDT-aggTrades-2025-01-01." + ("zip" if packed else "csv"))
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.with_suffix(".csv").name, text)
    else:
        path.write_text(text)
    tape = load_tape(path)
    assert tape.instruments == [f"binance:{'spot' if best else 'perp'}:BTCUSDT"]
    first, second = tape
    assert (first.event_ms, first.price, first.qty) == (1_735_689_600_123, "10.50", "1.00")
    assert (first.key, first.first_id, first.last_id, first.taker_is_buyer) == (7, 21, 22, False)
    assert (second.price, second.qty) == ("10.25", "2.50")
    assert [trade.key for trade in Tape(tape.tracks)] == [7, 8]


def test_raw_trade_archives_are_read(tmp_path: Path) -> None:
    """A trades file gives raw trades that aggregate."""
    path = tmp_path / "ETHUSDT-trades-2024-01-01.csv"
    path.write_text(
        "id,price,qty,quote_qty,time,is_buyer_maker\n"
        "5,10.5,1,10.5,1704067200000,true\n6,10.5,2,21,1704067200000,true\n"
        "7,10.5,1,10.5,1704067200001,true\n"
    )
    (track,) = load_tape(path).tracks
    assert track.instrument.name == "binance:perp:ETHUSDT"
    assert [row[QTY] for row in track.aggregates.rows(0, 9)] == [3, 1]


def test_bybit_spot_archives_and_rpi_columns(tmp_path: Path) -> None:
    """Spot files count ids per day and are numbered on; RPI rows keep their mark."""
    spot = tmp_path / "BTCUSDT_2024-01-01.csv.gz"
    rows = (
        "id,timestamp,price,volume,side\n1,1704067200001,42.5,0.1,buy\n2,1704067200005,42,1,sell\n"
    )
    spot.write_bytes(gzip.compress(rows.encode()))
    (track,) = load_tape(spot).tracks
    assert track.instrument.name == "bybit:spot:BTCUSDT"
    assert (np.diff(track.given.column(KEY)) == 1).all()
    linear = tmp_path / "SOLUSDT2026-01-01.csv"
    linear.write_text(
        "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
        "foreignNotional,RPI\n1767225600.6864,SOLUSDT,Buy,0.2,124.650,PlusTick,7df520b4-f4a1-5eb9-"
        "86c2-3ac7ebac1832,2.493e+09,0.2,24.93,1\n"
    )
    (trade,) = load_tape(linear)
    assert (trade.event_ms, trade.qty, trade.price) == (1_767_225_600_686, "0.2", "124.650")
    assert trade.kind != 0


def test_recorded_odd_trades_keep_their_kind(tmp_path: Path) -> None:
    """ADL fills and Bybit block trades are marked, so that no candle counts them."""
    adl = {"e": "trade", "E": 2, "T": 1, "s": "ETCUSDT", "t": 9, "p": "8.5", "q": "1", "m": True}
    fill = {"i": "22900", "T": 3, "p": "1", "v": "5", "S": "Buy", "s": "XUSDT", "BT": True}
    frames = [
        {"stream": "etcusdt@trade", "data": {**adl, "X": "ADL"}},
        {"topic": "publicTrade.XUSDT", "ts": 4, "type": "snapshot", "data": [fill]},
    ]
    path = tmp_path / "odd"
    path.write_text("".join(f"1723161253937085768 {json.dumps(frame)}\n" for frame in frames))
    kinds = {t.instrument.name: int(t.given.column(KIND)[0]) for t in load_tape(path).tracks}
    assert kinds == {"binance:perp:ETCUSDT": ADL, "bybit:spot:XUSDT": BLOCK}
    assert all(len(track.counted) == 0 for track in load_tape(path).tracks)


def test_binance_trades_replayed_as_bybit(steady: Callable[..., Tape]) -> None:
    """Fills get consecutive spot ids or UUIDs and one sequence per taker order; sums stay."""
    from simulator.tapes.convert import as_instrument

    given = steady()
    spot = as_instrument(given, "bybit:spot:BTCUSDT").tracks[0]
    linear = as_instrument(given, "bybit:perp:BTCUSDT")
    assert (np.diff(spot.given.column(KEY)) == 1).all()
    assert int(spot.given.column(KEY)[0]) > 10**18
    assert len({trade.uuid for trade in linear}) == len(given)
    assert (np.diff(linear.tracks[0].given.column(SEQ)) >= 0).all()
    assert "replayed as" in linear.label
    assert [t.qty for t in linear] == [t.qty for t in given]


def test_given_steps_are_checked(make_tape: Callable[..., Tape]) -> None:
    """A known tick is stated as given; a tape that is off it is refused."""
    trades = [(0, "10.5", "1.00", True), (1, "11.0", "2.00", True)]
    tape = make_tape("binance:spot:BTCUSDT", trades, tick_size="0.5", lot_size="0.001")
    item = tape.tracks[0].instrument
    assert (item.tick_size, item.lot_size) == ("0.5", "0.001")
    assert next(iter(tape)).qty == "1.00"
    with pytest.raises(ValueError, match=r"off the step|finer than the step"):
        make_tape("binance:spot:BTCUSDT", trades, tick_size="1")
    with pytest.raises(ValueError, match="off the step"):
        make_tape("binance:spot:BTCUSDT", trades, tick_size="0.2")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("notes.txt", b"hello\n", "is no tape"),
        ("x.csv", b"1,10,1,1,1,1735689600123,true\n", "does not say the symbol"),
        ("BTCUSDT-aggTrades-x.csv", b"1,abc,1,1,1,1735689600123,true\n", "not a column"),
        ("rec", b'1723161253937085768 {"stream":"a@depth","data":{}}\n', "no trades"),
        ("cut.gz", b"no gzip", "damaged"),
        (
            "BTCUSDT_x.csv.gz",
            gzip.compress(b"id,timestamp,price,volume,side\n", mtime=0)[:-9],
            "damaged",
        ),
    ],
)
def test_what_is_no_tape_is_refused_with_the_fix(
    tmp_path: Path, name: str, content: bytes, match: str
) -> None:
    """Errors name the file and what to do."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=match):
        load_tape(path)
    with pytest.raises(ConfigError, match="there is no tape"):
        load_tape(tmp_path / "absent")
