"""Every rule card is served: as an indicator of its own, or inside a named answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from journeys_support import Journey, journey
from market_support import MINUTE, ROWS, START_MS, market_tape
from mcp import Client

from orderflow.derivatives import DerivativeMinute, Liquidated
from orderflow.indicators import CARDS, INDICATORS
from orderflow.studies import ELSEWHERE, STUDIES
from orderflow.wanted import iso
from processor.records import derivative_record

pytestmark = [pytest.mark.timeout(1_200), pytest.mark.asyncio(loop_scope="module")]
NAME = "binance:spot:BTCUSDT"
MINUTES = 66
OTHER = f"{iso(START_MS)}/{iso(START_MS + 30 * MINUTE)}"
ASKED: dict[str, dict[str, str]] = {
    "profile_algebra": {"other": OTHER},
    "value_migration": {"timeframe": "15m"},
    "composite": {"session": "UTC 00:00-01:00"},
    "naked_levels": {"session": "UTC 00:00-01:00"},
    "market_profile": {"session": "UTC 00:00-02:00"},
    "vwap": {"anchor": str(START_MS + 10 * MINUTE)},
    "cvd": {"anchor": str(START_MS + 10 * MINUTE)},
}
MOVING = {"age_ms", "next_update_at", "at", "coverage"}
PARTS = {
    "volume_profile": ("poc", "vah", "val", "va_pct"),
    "order_flow": ("delta", "imbalance", "buy_ratio", "min_delta", "vpin"),
    "compare": ("spot_perp", "lead_lag", "agree", "dissenters", "leader", "sides"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trip(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Journey]:
    """An hour of spot and of the perpetual."""
    tapes = [market_tape(MINUTES), market_tape(MINUTES, "perp")]
    folder: Path = tmp_path_factory.mktemp("served")
    async with journey(folder, tapes, row_sizes=ROWS) as running:
        await running.until_played()
        yield running


def still(value: Any) -> Any:
    """Without what moves with the clock."""
    if isinstance(value, dict):
        return {k: still(v) for k, v in value.items() if k not in MOVING}
    return [still(v) for v in value] if isinstance(value, list) else value


async def test_no_card_is_left_out() -> None:
    """A registered card is a study, or part of a named answer; never both, never neither."""
    assert set(STUDIES) | set(ELSEWHERE) == set(INDICATORS)
    assert not set(STUDIES) & set(ELSEWHERE)
    assert set(ELSEWHERE.values()) == set(PARTS)


async def test_every_card_over_both(trip: Journey) -> None:
    """Every study gives numbers or a reason, the same over REST and MCP, with its proof."""
    empty = []
    async with Client(f"{trip.base_url}/mcp") as client:
        for name in STUDIES:
            asked = ASKED.get(name, {})
            rest = await trip.get(f"/indicators/{name}/{NAME}", numbers="string", **asked)
            result = await client.call_tool(
                "get_indicator", {"name": name, "symbol": NAME, **asked}
            )
            assert not result.is_error, (name, result.content)
            found = result.structured_content
            if "dropped" not in found:
                assert still(found) == still(rest), name
            assert rest["algo"] == INDICATORS[name].algo
            assert rest["quality"]["state"], name
            assert rest["bars_used"] > 0
            if not rest["facts"] and not rest["items"]:
                assert rest["reason"], name
            if rest["reason"]:
                empty.append(name)
    assert set(empty) <= {"size_class_cvd", "large_trades", "vpin", "roll"}, empty


async def test_cards_inside_answers(trip: Journey) -> None:
    """The other cards are fields of the answer that is named; asked alone, the refusal names it."""
    paths = {
        "volume_profile": f"/volume_profile/{NAME}",
        "order_flow": f"/order_flow/{NAME}",
        "compare": "/compare/BTCUSDT",
    }
    for answer, fields in PARTS.items():
        body = await trip.get(paths[answer], numbers="string")
        assert not set(fields) - set(body), answer
    for name, answer in ELSEWHERE.items():
        response = await trip.client.get(f"{trip.base_url}/indicators/{name}/{NAME}")
        assert response.status_code == 422
        assert answer in response.json()["message"]


async def test_every_card_is_explained(trip: Journey) -> None:
    """explain gives every card, with what it is no evidence of."""
    for card in CARDS:
        body = await trip.get(f"/explain/{card.name}")
        assert body["card"]["formula"] == card.formula
        assert body["card"]["not_evidence"] == card.not_evidence


async def test_toxicity_is_served(trip: Journey) -> None:
    """VPIN with its state or reason, Kyle, Roll and Amihud with their counts, over both."""
    flow = await trip.get(f"/order_flow/{NAME}", numbers="string")
    (vpin,) = flow["vpin"].values()
    assert vpin["algo"] == INDICATORS["vpin"].algo
    assert (vpin["value"] is None) == bool(vpin["reason"])
    async with Client(f"{trip.base_url}/mcp") as client:
        asked = {"symbol": NAME, "detail": "full"}
        over_mcp = (await client.call_tool("get_order_flow", asked)).structured_content
        assert still(over_mcp["vpin"]) == still(flow["vpin"])
        for name, fact in (
            ("kyle", "price_per_unit"),
            ("roll", "spread"),
            ("amihud", "illiquidity"),
        ):
            asked = {"name": name, "symbol": NAME}
            found = (await client.call_tool("get_indicator", asked)).structured_content
            assert (found["facts"][fact] is None) == bool(found["reason"]), name
            assert found["timeframe"] == "1m"


async def test_sessions_and_composite(trip: Journey) -> None:
    """Custom sessions are cut where they end, and the composite is their exact sum."""
    asked = {"session": "UTC 00:00-01:00", "numbers": "string"}
    body = await trip.get(f"/indicators/sessions/{NAME}", **asked)
    first = body["items"][0]
    assert first["period_start"] == "2025-01-01T00:00:00.000Z"
    assert (first["over"], first["whole"]) == (True, True)
    halves = {"session": "UTC 00:00-00:30", "numbers": "string"}
    body = await trip.get(f"/indicators/sessions/{NAME}", **halves)
    assert body["timeframe"] == "30m"
    bars = await trip.get(f"/footprint/{NAME}", timeframe="1h", limit=3, numbers="string")
    assert Decimal(first["volume"]) == Decimal(bars["bars"][0]["total_volume"])
    whole = await trip.get(f"/indicators/composite/{NAME}", **asked)
    assert whole["facts"]["windows"] == 1
    assert whole["facts"]["volume"] == first["volume"]


async def test_algebra_of_two_windows(trip: Journey) -> None:
    """Two windows merged make the whole, the whole without one leaves the other."""
    path = f"/indicators/profile_algebra/{NAME}"
    at = {"start": iso(START_MS), "end": iso(START_MS + 60 * MINUTE), "numbers": "string"}
    rest = {"start": iso(START_MS + 30 * MINUTE), "end": at["end"], "numbers": "string"}
    merged = await trip.get(path, other=OTHER, operation="merge", **rest)
    left = await trip.get(path, other=OTHER, operation="subtract", **at)
    compared = await trip.get(path, other=OTHER, **rest)
    whole = await trip.get(
        f"/footprint/{NAME}", timeframe="1h", start=at["start"], end=at["end"], numbers="string"
    )
    assert Decimal(merged["facts"]["volume"]) == Decimal(whole["bars"][0]["total_volume"])
    assert left["facts"]["volume"] == compared["facts"]["volume"]
    assert Decimal(0) <= Decimal(compared["facts"]["overlap"]) <= 1


async def test_refusals(trip: Journey) -> None:
    """What can't be asked is refused with what can."""
    for path, query, words in (
        ("kyle", "timeframe=5m", "1m"),
        ("sessions", "session=moon", "day, week"),
        ("cvd", "anchor=soon", "anchor"),
        ("profile_algebra", "", "other"),
        ("profile_algebra", "other=2025-01-02/2025-01-01", "other"),
        ("composite", "windows=99", "windows"),
        ("magic", "", "volume_profile"),
        ("delta", "start=2020-01-01&timeframe=1m", "at most"),
        ("delta", "row_size=5", "allowed"),
    ):
        response = await trip.client.get(f"{trip.base_url}/indicators/{path}/{NAME}?{query}")
        assert response.status_code in (400, 422), (path, response.text)
        assert words in response.json()["message"], (path, response.text)


async def test_derivatives_over_mcp(trip: Journey) -> None:
    """Funding, open interest and liquidations are reachable by agents too, the same as REST."""
    start = 1_700_000_040_000
    minute = DerivativeMinute(
        start,
        whole=True,
        sampled=True,
        funding_rate=Decimal("0.00010000"),
        shorts=Liquidated(1, Decimal("0.5")),
    )
    name = "binance:perp:BTCUSDT"
    await trip.system.store.put([derivative_record(name, minute, 4_000_000_000_000)])
    async with Client(f"{trip.base_url}/mcp") as client:
        asked = {"symbol": "BTCUSDT"}
        found = (await client.call_tool("get_derivatives", asked)).structured_content
    rest = await trip.get("/derivatives/BTCUSDT", limit=5, numbers="string")
    assert set(found["instruments"]) == {name}
    assert still(found) == still(rest)
