"""The codecs on well-formed and damaged frames, and the exactness of what they count."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.venue import Acked, Codec, Lost, Pong, Refused, Shutdown
from collectors.venues import VENUES
from orderflow.errors import OffGridError
from orderflow.instrument import Instrument, Market, Step
from orderflow.trade import KlineClosed, TradeBatch

NOW = 1_700_000_000_000


def build(venue: str, market: Market, tick: str, lot: str, symbol: str = "BTCUSDT") -> Instrument:
    unordered = venue == "bybit" and market is Market.PERP
    return Instrument(
        venue,
        market,
        symbol,
        symbol.removesuffix("USDT"),
        "USDT",
        Decimal(tick),
        Decimal(lot),
        sequence="unordered" if unordered else "consecutive",
    )


def codec_of(instrument: Instrument) -> Codec:
    return VENUES[instrument.venue][instrument.market].codec([instrument])


def read(codec: Codec, *frames: dict[str, Any] | bytes) -> tuple[list[Any], list[Any]]:
    raw = [f if isinstance(f, bytes) else json.dumps(f).encode() for f in frames]
    decoded = codec.decode(raw, 7)
    return decoded.events, decoded.notices


def agg(key: int = 1, **changes: Any) -> dict[str, Any]:
    data = {"e": "aggTrade", "E": NOW + 1, "s": "BTCUSDT", "a": key, "p": "42000.01"}
    data |= {"q": "0.00100000", "f": key * 2, "l": key * 2 + 1, "T": NOW, "m": True, "M": True}
    return {"stream": "btcusdt@aggTrade", "data": data | changes}


def fill(key: int = 1, **changes: Any) -> dict[str, Any]:
    row = {"T": NOW, "s": "BTCUSDT", "S": "Sell", "v": "0.001", "p": "42000.10", "i": uid(key)}
    return row | changes


def uid(number: int) -> str:
    return str(uuid.UUID(int=number))


def publication(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": NOW + 1, "data": list(rows)}
    return frame | changes


SPOT = build("binance", Market.SPOT, "0.01", "0.00001")
USDM = build("binance", Market.PERP, "0.10", "0.001")
LINEAR = build("bybit", Market.PERP, "0.10", "0.001")
BYBIT_SPOT = build("bybit", Market.SPOT, "0.01", "0.000001")


def test_aggregates_become_one_batch_per_instrument() -> None:
    """Many frames of one symbol are one batch of columns; m=true means that the taker sold."""
    events, _ = read(codec_of(SPOT), agg(1), agg(2, m=False, q="0.00002"), agg(3))
    (batch,) = events
    assert batch == TradeBatch(
        instrument="binance:spot:BTCUSDT",
        key=[1, 2, 3],
        event_ms=[NOW] * 3,
        price_ticks=[4_200_001] * 3,
        qty_lots=[100, 2, 100],
        side=[0, 1, 0],
        n_trades=[2, 2, 2],
        first_trade_id=[2, 4, 6],
        last_trade_id=[3, 5, 7],
        received_ns=7,
    )


def test_raw_trades_are_counted_by_their_own_id() -> None:
    """`trade` frames count by `t`; only market fills enter a bar, the others keep their id."""
    data = {"e": "trade", "E": NOW, "T": NOW, "s": "BTCUSDT", "t": 5, "p": "61800.30", "q": "0.006"}
    frames = [
        {"stream": "btcusdt@trade", "data": data | {"X": "MARKET", "m": False}},
        {"stream": "btcusdt@trade", "data": data | {"t": 6, "X": "ADL", "m": True}},
        {"stream": "btcusdt@trade", "data": data | {"t": 7, "X": "RPI", "m": True}},
        {"stream": "btcusdt@trade", "data": data | {"t": 8, "m": True}},
        {"stream": "btcusdt@trade", "data": data | {"t": 9, "X": "INSURANCE_FUND", "m": True}},
    ]
    codec = codec_of(USDM)
    (batch,), _ = read(codec, *frames)
    assert batch.key == [5, 7, 8]
    assert batch.n_trades == [1, 1, 1]
    assert batch.first_trade_id == batch.last_trade_id == [5, 7, 8]
    assert batch.rejected == [(6, "not_market"), (9, "not_market")]
    assert codec.counts.rejected == {"not_market": 2}


def test_two_kinds_of_ids_are_never_mixed() -> None:
    """A symbol that began with aggregate ids takes no raw ids: the ledger could not tell them."""
    codec = codec_of(SPOT)
    read(codec, agg(1))
    data = {"e": "trade", "E": NOW, "T": NOW, "s": "BTCUSDT", "t": 5, "p": "1.00", "q": "1"}
    events, _ = read(codec, {"stream": "btcusdt@trade", "data": data | {"m": False}})
    assert events == []
    assert codec.counts.rejected == {"mixed_ids": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"p": "0.00000000"}, "zero_price"),
        ({"p": "-1.00"}, "zero_price"),
        ({"q": "0.00000000"}, "zero_qty"),
        ({"p": "42000.015"}, "off_tick"),
        ({"q": "0.000015"}, "off_lot"),
        ({"T": NOW + 5_002}, "from_future"),
        ({"p": "nan"}, "not_finite"),
        ({"q": "Infinity"}, "not_finite"),
        ({"f": 9, "l": 8}, "malformed"),
        ({"p": "42000.010000000000001"}, None),
    ],
)
def test_bad_aggregates_are_rejected_with_their_reason(
    changes: dict[str, Any], reason: str | None
) -> None:
    """A bad trade is named with its id and its reason, and its neighbours are counted."""
    codec = codec_of(SPOT)
    (batch,), _ = read(codec, agg(1), agg(2, **changes), agg(3))
    if reason is None:
        assert batch.key == [1, 2, 3]
    else:
        assert batch.key == [1, 3]
        assert batch.rejected == [(2, reason)]
        assert codec.counts.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"p": "0"}, "zero_price"),
        ({"v": "0"}, "zero_qty"),
        ({"p": "42000.15"}, "off_tick"),
        ({"v": "0.0005"}, "off_lot"),
        ({"BT": True}, "block_trade"),
        ({"T": NOW + 5_002}, "from_future"),
        ({"RPI": True}, None),
        ({"L": "PlusTick", "seq": 12}, None),
    ],
)
def test_bad_fills_are_rejected_with_their_reason(
    changes: dict[str, Any], reason: str | None
) -> None:
    """The same for Bybit; retail price improvement counts, block trades do not."""
    codec = codec_of(LINEAR)
    (batch,), _ = read(codec, publication(fill(1), fill(2, **changes), fill(3)))
    if reason is None:
        assert batch.key == [1, 2, 3]
        assert batch.seq == [0, changes.get("seq", 0), 0]
    else:
        assert batch.key == [1, 3]
        assert batch.rejected == [(2, reason)]
        assert codec.counts.rejected == {reason: 1}


@pytest.mark.parametrize("instrument", [SPOT, LINEAR])
def test_unknown_symbols_are_counted(instrument: Instrument) -> None:
    """A symbol that was not subscribed is counted and enters nothing."""
    codec = codec_of(instrument)
    frame = publication(fill(), topic="publicTrade.XYZUSDT") if instrument is LINEAR else None
    events, notices = read(codec, frame or agg(1, s="XYZUSDT"))
    assert (events, notices) == ([], [])
    assert codec.counts.rejected == {"unknown_symbol": 1}


@pytest.mark.parametrize("instrument", [SPOT, LINEAR])
def test_one_malformed_frame_costs_its_neighbours_nothing(instrument: Instrument) -> None:
    """Garbage between good frames is counted; the good ones are read."""
    good = [agg(1), agg(2)] if instrument is SPOT else [publication(fill(1)), publication(fill(2))]
    codec = codec_of(instrument)
    garbage = [b"{", b"\xff\xfe", b"[]", b"null", b"", b"12"]
    events, notices = read(codec, good[0], *garbage, good[1])
    assert [event.key for event in events] == [[1, 2]]
    assert codec.counts.malformed == len(garbage)
    assert notices == ([Lost()] * len(garbage) if instrument is LINEAR else [])


def test_a_damaged_row_costs_only_itself() -> None:
    """Bybit sends up to 1,024 rows a frame: an unreadable price rejects its own row only."""
    codec = codec_of(LINEAR)
    (batch,), notices = read(codec, publication(fill(1), fill(2, p="abc"), fill(3)))
    assert batch.key == [1, 3]
    assert batch.rejected == [(2, "malformed")]
    assert notices == []


@pytest.mark.parametrize("changes", [{"i": "x"}, {"i": None}, {"T": 5}, {"S": "Hold"}])
def test_a_loss_in_a_stream_without_ids_is_said(changes: dict[str, Any]) -> None:
    """Nothing else would show that trades were in it: the notice names the instrument."""
    codec = codec_of(LINEAR)
    _, notices = read(codec, publication(fill(1, **changes)), publication(fill(3)))
    assert notices == [Lost(("bybit:perp:BTCUSDT",))]
    assert codec.counts.malformed == 1


def test_key_order_and_unknown_fields_do_not_matter() -> None:
    """Frames are read by name, never by position."""
    data = dict(reversed(agg(4)["data"].items())) | {"nq": "0.001", "st": 1, "new": {"a": [1]}}
    (batch,), _ = read(codec_of(SPOT), {"data": data, "stream": "x"})
    assert batch.key == [4]
    frame = dict(reversed(publication(dict(reversed(fill(4).items()))).items()))
    (batch,), _ = read(codec_of(LINEAR), frame)
    assert batch.key == [4]


def test_single_stream_frames_are_read_as_well() -> None:
    """A frame without the combined envelope is the same event."""
    codec = codec_of(SPOT)
    (batch,), _ = read(codec, agg(1)["data"], agg(2))
    assert batch.key == [1, 2]


def test_only_closed_minutes_become_candles() -> None:
    """Binance: x says that the minute is over; an open one only tells the time."""
    k = {"t": NOW - NOW % 60_000, "T": 0, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 102}
    k |= {"o": "1.00", "c": "1.02", "h": "1.03", "l": "0.99", "v": "5.00000", "n": 3, "x": False}
    k |= {"q": "5.0101", "V": "2.00000", "Q": "2.0001", "B": "0"}
    frame = {"stream": "", "data": {"e": "kline", "E": NOW + 9, "s": "BTCUSDT", "k": k}}
    codec = codec_of(SPOT)
    assert read(codec, frame) == ([], [])
    assert codec.seen_ms == NOW + 9
    k["x"] = True
    (candle,), _ = read(codec, frame)
    assert candle == KlineClosed(
        instrument="binance:spot:BTCUSDT",
        start_ms=NOW - NOW % 60_000,
        open_ticks=100,
        high_ticks=103,
        low_ticks=99,
        close_ticks=102,
        volume_lots=500_000,
        quote_volume=Decimal("5.0101"),
        trades=3,
        taker_buy_lots=200_000,
        taker_buy_quote=Decimal("2.0001"),
        first_trade_id=100,
        last_trade_id=102,
    )
    k["v"] = "1e999999999"
    assert read(codec, frame)[0] == []
    assert codec.counts.malformed == 1


def test_confirmed_minutes_become_candles() -> None:
    """Bybit: confirm says that the minute is over; there is no taker's share."""
    body = {"start": NOW - NOW % 60_000, "end": 0, "interval": "1", "open": "1.00"}
    body |= {"close": "1.20", "high": "1.30", "low": "0.90", "volume": "2.081"}
    body |= {"turnover": "34.4005", "confirm": False, "timestamp": NOW}
    frame = {"topic": "kline.1.BTCUSDT", "data": [body], "ts": NOW + 3, "type": "snapshot"}
    codec = codec_of(LINEAR)
    assert read(codec, frame) == ([], [])
    assert codec.seen_ms == NOW + 3
    body["confirm"] = True
    (candle,), _ = read(codec, frame)
    assert (candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks) == (
        10,
        13,
        9,
        12,
    )
    assert (candle.volume_lots, candle.quote_volume) == (2_081, Decimal("34.4005"))
    assert candle.trades is None
    assert candle.taker_buy_lots is None


def test_answers_and_announcements_become_notices() -> None:
    """Acks, refusals, pongs and shutdowns are told apart from data."""
    _, notices = read(
        codec_of(SPOT),
        {"result": None, "id": 1},
        {"result": None, "id": "abc"},
        {"error": {"code": 2, "msg": "no"}, "id": 3},
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": NOW}},
        {"e": "serverShutdown", "E": NOW},
    )
    assert notices == [Acked("1"), Acked("abc"), Refused("3"), Shutdown(), Shutdown()]
    _, notices = read(
        codec_of(LINEAR),
        {"success": True, "ret_msg": "", "conn_id": "x", "req_id": "7", "op": "subscribe"},
        {"success": True, "ret_msg": "subscribe", "conn_id": "x", "op": "subscribe"},
        {"success": False, "ret_msg": "error:already subscribed,topic:a.b", "req_id": "2"},
        {"success": False, "ret_msg": "error:handler not found", "req_id": "2", "op": "subscribe"},
        {"success": True, "ret_msg": "pong", "conn_id": "x", "op": "ping"},
        {"args": ["1672916271846"], "op": "pong"},
    )
    assert notices == [Acked("7"), Acked(""), Refused("2", "a.b"), Refused("2"), Pong(), Pong()]


def test_other_topics_are_ignored() -> None:
    """Streams that were not asked for are counted, not taken for damage."""
    codec = codec_of(SPOT)
    read(codec, {"stream": "x@depth", "data": {"e": "depthUpdate", "E": 1, "b": []}})
    read(codec, {"stream": "x@bookTicker", "data": {"u": 1, "s": "X"}})
    assert (codec.counts.ignored, codec.counts.malformed) == (2, 0)
    codec = codec_of(LINEAR)
    read(codec, {"topic": "orderbook.1.BTCUSDT", "ts": NOW, "data": {"s": "BTCUSDT"}})
    assert (codec.counts.ignored, codec.counts.malformed) == (1, 0)


def test_a_new_scale_is_named_by_its_batches() -> None:
    """After a change of the tick, prices are counted in new ticks under a new scale."""
    codec = codec_of(SPOT)
    codec.redefine(build("binance", Market.SPOT, "0.001", "0.00001"), 1)
    (batch,), _ = read(codec, agg(1, p="42000.015"))
    assert (batch.price_ticks, batch.scale) == ([42_000_015], 1)


STEPS = ["0.01", "0.1", "0.5", "0.00001", "1", "0.00000001", "25", "0.0025", "0.25"]
DIGITS = st.integers(min_value=1, max_value=10**13)


@given(st.sampled_from(STEPS), st.sampled_from(STEPS), DIGITS, DIGITS, st.integers(0, 8))
@settings(max_examples=500, deadline=None)
def test_the_quick_way_is_the_exact_way(
    tick: str, lot: str, price: int, quantity: int, decimals: int
) -> None:
    """What the loop counts equals the steps of the decimal string; else it is rejected."""
    p, q = (str(Decimal(n).scaleb(-decimals).__format__("f")) for n in (price, quantity))
    for instrument in (
        build("binance", Market.SPOT, tick, lot),
        build("bybit", Market.PERP, tick, lot),
    ):
        frame = (
            agg(1, p=p, q=q) if instrument.venue == "binance" else publication(fill(1, p=p, v=q))
        )
        (batch,), _ = read(codec_of(instrument), frame)
        try:
            want = ([Step(Decimal(tick)).steps(p)], [Step(Decimal(lot)).steps(q)])
            assert (batch.price_ticks, batch.qty_lots) == want
        except OffGridError:
            assert batch.key == []
            assert batch.rejected[0][1] in {"off_tick", "off_lot"}


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["nan", "-inf", "1e5", "1e999999", "0x1", "1_0", " 1", "٣", "9" * 400]),
    st.just([]),
    st.just({}),
)


@given(st.sampled_from([SPOT, USDM, LINEAR, BYBIT_SPOT]), st.data())
@settings(max_examples=600, deadline=None)
def test_no_damage_escapes_the_codec(instrument: Instrument, data: st.DataObject) -> None:
    """Whatever one field or byte becomes: nothing is raised, and the neighbours are counted."""
    binance = instrument.venue == "binance"
    ids = {1: "2290000000000000001", 2: "2290000000000000002", 3: "2290000000000000003"}

    def good(key: int) -> dict[str, Any]:
        if binance:
            return agg(key, p="42000.10", q="0.001")
        return publication(fill(key, i=ids[key] if instrument is BYBIT_SPOT else uid(key)))

    frame = good(2)
    target = frame["data"] if binance else data.draw(st.sampled_from([frame, frame["data"][0]]))
    name = data.draw(st.sampled_from([*target, "X", "BT", "seq", "unknown"]))
    if data.draw(st.booleans()):
        target[name] = data.draw(JSON_VALUES)
    else:
        target.pop(name, None)
    damaged = json.dumps(frame).encode()
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged = damaged[:place] + data.draw(st.binary(max_size=3)) + damaged[place + 1 :]
    codec = codec_of(instrument)
    events, _ = read(codec, good(1), damaged, good(3))
    keys = [key for event in events if isinstance(event, TradeBatch) for key in event.key]
    numbers = [1, 3] if instrument is not BYBIT_SPOT else [int(ids[1]), int(ids[3])]
    assert keys[0] == numbers[0]
    assert keys[-1] == numbers[1]
    assert len(keys) <= 3
