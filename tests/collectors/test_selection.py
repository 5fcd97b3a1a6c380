"""Which instruments a text selects, and what it says of a text that selects nothing sensible."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.selection import parse_selection
from orderflow.errors import ConfigError
from orderflow.instrument import Instrument, Market, Status


def listed(symbol: str, quote: str = "USDT", status: Status = "trading") -> Instrument:
    base = symbol.removesuffix(quote)
    return Instrument(
        "binance", Market.SPOT, symbol, base, quote, Decimal("0.1"), Decimal(1), status=status
    )


MARKET = [
    listed("ETHUSDT"),
    listed("BTCUSDT"),
    listed("BTCUSDC", "USDC"),
    listed("ETHBTC", "BTC"),
    listed("BTCTRY", "TRY"),
    listed("OLDUSDT", status="halted"),
    listed("XRPUSDT"),
]
TURNOVERS = {
    "BTCUSDT": Decimal(9_000),
    "ETHUSDT": Decimal(5_000),
    "BTCUSDC": Decimal(2_000),
    "XRPUSDT": Decimal(1_000),
    "ETHBTC": Decimal(99_000),
    "BTCTRY": Decimal(999_000),
    "OLDUSDT": Decimal(0),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("btcusdt, ethusdt", "ETHUSDT BTCUSDT"),
        ("OLDUSDT,NOSUCH", "OLDUSDT"),
        ("all", "BTCTRY ETHBTC BTCUSDT ETHUSDT BTCUSDC XRPUSDT"),
        ("all,-*USDC,!*BTC,-BTCTRY", "BTCUSDT ETHUSDT XRPUSDT"),
        ("*USDT", "BTCUSDT ETHUSDT XRPUSDT"),
        ("BTC*", "BTCTRY BTCUSDT BTCUSDC"),
        ("*TC*S*", "BTCUSDT BTCUSDC"),
        ("top:2", "BTCUSDT ETHUSDT"),
        ("top:2,-BTC*", "ETHUSDT XRPUSDT"),
        ("top:1,XRPUSDT", "XRPUSDT BTCUSDT"),
        ("*USDC,top:5", "BTCUSDC"),
        ("volume>1K", "BTCUSDT ETHUSDT BTCUSDC"),
        ("volume>1.999k,-*USDC", "BTCUSDT ETHUSDT"),
        ("volume>0.001M,top:2,ETHBTC", "ETHBTC BTCUSDT ETHUSDT"),
        ("-*USDC,all,BTCUSDC", "BTCUSDC BTCTRY ETHBTC BTCUSDT ETHUSDT XRPUSDT"),
    ],
)
def test_choice(text: str, wanted: str) -> None:
    """Names come first and always; the rest by turnover; only dollars are ranked."""
    found = parse_selection(text).choose(MARKET, TURNOVERS)
    assert [item.symbol for item in found] == wanted.split()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names nothing"),
        (" , ", "names nothing"),
        ("-*USDC", "only excludes.*all,-"),
        ("BTCUSDT,-ETHUSDT", "only excludes"),
        ("top:0", "top:200"),
        ("top:200x", "top:200"),
        ("top", "top:200"),
        ("top:5,top:6", "top: twice"),
        ("volume>10M,volume>20M", "volume> twice"),
        ("volume<10M", "volume>10M"),
        ("volume>10X", "volume>10M"),
        ("volume>-1", "volume>10M"),
        ("BTC/USDT", "for example BTCUSDT"),
        ("BTC USDT", "no symbol"),
        ("BTCUSDT\nETHUSDT", "no symbol"),
        ("-", "no symbol"),
        ("all,*USDT", "leave one"),
        ("all,BTCUSDT,-BTCUSDT", "names and excludes BTCUSDT"),
        ("A" * 21, None),
        ("B" * 25, "no symbol"),
    ],
)
def test_refusals(text: str, why: str | None) -> None:
    """What can't be meant is refused with the fix and an example."""
    if why is None:
        assert parse_selection(text).patterns
        return
    with pytest.raises(ConfigError, match=why):
        parse_selection(text)


def test_an_instrument_near_the_edge_stays() -> None:
    """Inside rank N it comes, below 1.2 N or half of the threshold it goes, between it stays."""
    market = [listed(f"C{number:03}USDT") for number in range(30)]
    turnovers = {item.symbol: Decimal(1_000 - place) for place, item in enumerate(market)}
    top = parse_selection("top:10")
    first = top.choose(market, turnovers)
    assert [item.symbol for item in first] == [item.symbol for item in market[:10]]
    before = {item.symbol for item in market[8:14]}
    found = {item.symbol for item in top.choose(market, turnovers, before)}
    assert found == {item.symbol for item in market[:12]}
    volume = parse_selection("volume>990")
    halved = {symbol: turnover - 495 for symbol, turnover in turnovers.items()}
    kept = volume.choose(market, halved, {item.symbol for item in market[:20]})
    assert {item.symbol for item in kept} == {item.symbol for item in market[:11]}
    assert volume.choose(market, halved) == []


def test_what_is_not_told_changes_nothing() -> None:
    """A symbol without a ticker stays when it was collected, and does not come when it was not."""
    market = [listed("AUSDT"), listed("BUSDT")]
    found = parse_selection("top:1").choose(market, {}, {"BUSDT"})
    assert [item.symbol for item in found] == ["BUSDT"]


@given(st.text(max_size=60))
def test_any_text_is_a_selection_or_refused(text: str) -> None:
    """No text does anything else than select or raise our error."""
    try:
        found = parse_selection(text)
    except ConfigError:
        return
    assert {item.symbol for item in found.choose(MARKET, TURNOVERS)} <= {
        item.symbol for item in MARKET
    }


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 20))
def test_the_choice_is_stable(ranks: list[int], top: int) -> None:
    """Looked at twice with the same turnovers, nothing comes or goes."""
    market = [listed(f"C{number:03}USDT") for number in range(len(ranks))]
    turnovers = {i.symbol: Decimal(rank) for i, rank in zip(market, ranks, strict=True)}
    selection = parse_selection(f"top:{top},volume>3")
    first = {item.symbol for item in selection.choose(market, turnovers)}
    assert {item.symbol for item in selection.choose(market, turnovers, first)} == first
