"""Rows of Bybit as columns: one by one and all at once give the same."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.venues.bybit_rows import WORTHWHILE, Fill, Row, fill_batch, uuid_key, uuid_keys
from orderflow.instrument import Instrument, Market
from orderflow.trade import TradeBatch

AT_MS = 1_790_000_000_000
LINEAR = Instrument(
    *("bybit", Market.PERP, "BTCUSDT", "BTC", "USDT"),
    Decimal("0.5"),
    Decimal("0.001"),
    sequence="unordered",
)


def fill(number: int, price: float = 100.5, quantity: float = 0.25, **changes: object) -> Row:
    values: dict[str, object] = {"i": str(uuid.UUID(int=number)), "seq": number}
    values |= {"T": AT_MS + number, "s": "BTCUSDT", "S": "Buy" if number % 2 else "Sell"}
    return Fill(v=quantity, p=price, **(values | changes))  # type: ignore[arg-type]


def filled(rows: list[Row]) -> TradeBatch | None:
    return fill_batch(rows, LINEAR, 0, "live", 7, AT_MS + 10_000)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**128 - 1), st.integers(-1, 2_000_000), st.integers(-1, 10**9)),
        min_size=WORTHWHILE,
        max_size=3 * WORTHWHILE,
    )
)
def test_many_rows_are_as_each_alone(numbers: list[tuple[int, int, int]]) -> None:
    """A column at a time leaves what the rows one by one leave, odd prices included."""
    rows = [fill(key, ticks * 0.5, lots / 1_000, T=AT_MS) for key, ticks, lots in numbers]
    each = [filled([row]) for row in rows]
    together = filled(rows)
    if any(one is None for one in each):
        assert together is None
        return
    assert together is not None
    for name in ("key", "event_ms", "price_ticks", "qty_lots", "side", "seq"):
        assert getattr(together, name) == [getattr(one, name)[0] for one in each]


@pytest.mark.parametrize(
    "odd",
    [
        {"price": 100.3},
        {"price": 0.0},
        {"price": float("nan")},
        {"price": float("inf")},
        {"quantity": 0.0001},
        {"quantity": -1.0},
        {"quantity": 1e12},
        {"BT": True},
        {"T": AT_MS + 10_001},
        {"i": "x"},
    ],
)
@pytest.mark.parametrize("many", [1, WORTHWHILE])
def test_an_odd_row_sends_all_to_the_exact_way(odd: dict[str, object], many: int) -> None:
    """Nothing odd is decided here."""
    good = [fill(number) for number in range(many)]
    assert filled(good) is not None
    assert filled([*good, fill(99, **odd)]) is None  # type: ignore[arg-type]


@given(st.lists(st.uuids().map(str), min_size=1, max_size=30))
def test_ids_at_once_are_the_ids(texts: list[str]) -> None:
    """As numbers of 128 bits, in their order."""
    assert uuid_keys(texts) == [uuid_key(text) for text in texts]


@given(
    st.lists(st.uuids().map(str), min_size=1, max_size=5),
    st.text(alphabet="0123456789abcdefABCDEF-_ \u0661", max_size=40),
    st.integers(0, 5),
)
def test_what_is_no_id_is_none_among_others(texts: list[str], odd: str, place: int) -> None:
    """One by one and together refuse the same."""
    texts.insert(place, odd)
    try:
        wanted: list[int] | None = [uuid_key(text) for text in texts]
    except ValueError:
        wanted = None
    try:
        found: list[int] | None = uuid_keys(texts)
    except ValueError:
        found = None
    assert found == wanted


@pytest.mark.parametrize(
    "texts",
    [
        ["00000000-0000-0000-0000-00000000000", "000000000-0000-0000-0000-000000000000"],
        ["0000000--0000-0000-0000-0000000000-0"],
        ["00000000-0000-0000-0000-00000000000A"],
    ],
)
def test_shifted_ids_are_refused(texts: list[str]) -> None:
    """Lengths that make up for each other, dashes out of place, capitals."""
    with pytest.raises(ValueError, match="not UUIDs"):
        uuid_keys(texts)
