"""A burst read in columns holds what reading symbol by symbol holds, or is not taken at all."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from backbone.bus.wire import decode, packets
from collectors.venue import Decoded
from collectors.venues import binance_burst
from collectors.venues.binance_codec import BinanceCodec
from collectors.venues.binance_rows import decode_together
from orderflow.instrument import Instrument, Market
from orderflow.mixed import MixedTrades
from orderflow.trade import TradeBatch

INSTRUMENTS = [
    Instrument("binance", Market.SPOT, "AUSDT", "A", "USDT", Decimal("0.01"), Decimal("0.001")),
    Instrument("binance", Market.SPOT, "BUSDT", "B", "USDT", Decimal("0.5"), Decimal("0.25")),
    Instrument("binance", Market.SPOT, "CUSDT", "C", "USDT", Decimal(5), Decimal(1)),
]
AT_MS = 1_735_689_600_000


def frames(count: int, seed: int = 1) -> list[bytes]:
    """Aggregates of three symbols with steps of their own."""
    draw, made, keys = Random(seed), [], [0, 0, 0]
    for place in range(count):
        which = draw.randrange(3)
        item, key = INSTRUMENTS[which], keys[which]
        keys[which] += 1
        price, lots = item.price(draw.randint(1, 9_999)), item.qty(draw.randint(1, 9_999))
        maker = draw.choice(("true", "false"))
        made.append(
            f'{{"stream":"x","data":{{"e":"aggTrade","E":{AT_MS + place + 1},"s":"{item.symbol}",'
            f'"a":{key},"p":"{price:f}","q":"{lots:f}","f":{key * 3},"l":{key * 3 + place % 3},'
            f'"T":{AT_MS + place},"m":{maker},"M":true}}}}'
        )
    return [text.encode() for text in made]


def batches(found: Decoded) -> list[TradeBatch]:
    """Every trade as a batch per instrument."""
    made: list[TradeBatch] = []
    for event in found.events:
        if isinstance(event, MixedTrades):
            made += event.batches()
        else:
            assert isinstance(event, TradeBatch)
            made.append(event)
    return sorted(made, key=lambda batch: batch.instrument)


def both(raw: list[bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[Decoded, Decoded]:
    """Read as a burst where that is allowed, and symbol by symbol; both codecs end up alike."""
    at_once, one_by_one = BinanceCodec(INSTRUMENTS), BinanceCodec(INSTRUMENTS)
    found = at_once.decode(raw, 7)
    with monkeypatch.context() as patched:
        patched.setattr("collectors.venues.binance_codec.BURST", 10**9)
        wanted = one_by_one.decode(raw, 7)
    assert at_once.counts == one_by_one.counts
    assert at_once.seen_ms == one_by_one.seen_ms
    return found, wanted


@pytest.mark.parametrize("seed", range(5))
def test_a_burst_is_one_event_with_every_trade(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks, lots, sides, counts and ids of every symbol are those of the single batches."""
    found, wanted = both(frames(binance_burst.BURST + 40, seed), monkeypatch)
    assert [type(event) for event in found.events] == [MixedTrades]
    assert batches(found) == batches(wanted)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"s":"BUSDT"', b'"s":"ZUSDT"'),
        (b'"p":"', b'"p":"0.001'),
        (b'"p":"', b'"p":"-'),
        (b'"q":"', b'"q":"NaN","x":"'),
        (b'"q":"', b'"q":"Infinity","x":"'),
        (b'"q":"', b'"q":"1e300","x":"'),
        (b'"q":"', b'"q":"0","x":"'),
        (b'"p":"', b'"p":"1234567890123456","x":"'),
        (b'"T":17', b'"T":19'),
        (b'"e":"aggTrade"', b'"e":"trade","t":1'),
        (b'"f":', b'"f":9'),
        (b'"l":', b'"l":99999999999999999999'),
        (b"{", b"["),
    ],
)
def test_one_odd_row_sends_the_burst_the_other_way(
    old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is odd about one row, verdicts and counts are those of reading it alone."""
    raw = frames(binance_burst.BURST + 40)
    place = next(k for k in range(100, len(raw)) if old in raw[k])
    raw[place] = raw[place].replace(old, new, 1)
    found, wanted = both(raw, monkeypatch)
    assert batches(found) == batches(wanted)


def test_a_burst_travels_as_batches() -> None:
    """Between processes a burst is a batch per instrument, each with its own subject."""
    (burst,) = BinanceCodec(INSTRUMENTS).decode(frames(binance_burst.BURST), 7).events
    assert isinstance(burst, MixedTrades)
    sent = list(packets("trades", [burst]))
    assert [packet.subject for packet in sent] == [
        f"trades.binance.spot.{name.rpartition(':')[2]}" for name in burst.instruments
    ]
    arrived = [message for packet in sent for message in decode(packet.data)]
    assert arrived == burst.batches()


ODD_FRAMES = [
    b"",
    b" ",
    b"{",
    b'{"id":"w1","result":null}',
    frames(1)[0] + b"\n" + frames(1)[0],
    frames(1)[0] + b"\n",
    frames(1)[0].replace(b',"data"', b',\n"data"'),
]


@pytest.mark.parametrize("odd", ODD_FRAMES)
@pytest.mark.parametrize("more", [b"", frames(1, 3)[0]])
def test_frames_read_in_one_call_are_the_frames(
    odd: bytes, more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty frames, two in one and line breaks inside are judged as they are alone."""
    raw = [*frames(12), odd, more]
    at_once, one_by_one = BinanceCodec(INSTRUMENTS), BinanceCodec(INSTRUMENTS)
    found = at_once.decode(raw, 7)
    monkeypatch.setattr("collectors.venues.binance_codec.TOGETHER", 10**9)
    assert found == one_by_one.decode(raw, 7)
    assert at_once.counts == one_by_one.counts


def test_plain_frames_are_read_in_one_call() -> None:
    """Which is what makes a busy socket cheap."""
    found = decode_together(frames(12))
    assert found is not None
    assert len(found) == 12
    assert decode_together([*frames(12), b"{"]) is None
