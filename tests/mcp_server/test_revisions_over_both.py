"""A corrected window: what was said before, what is said now, and what lies between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journeys_support import Journey, journey
from market_support import ROWS, START_MS, market_tape
from mcp import Client

from backbone.clock import wall_ms
from backbone.store.base import FOOTPRINTS, VOLUME_PROFILE, Query, Record
from orderflow.encoding import bar_from_body, bar_to_body
from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS

pytestmark = pytest.mark.timeout(1_200)
NAME = "binance:spot:BTCUSDT"
MINUTES = 40
FIVE = 5 * MINUTE_MS
AT = START_MS - START_MS % FIVE + 2 * FIVE
MORE = 7_000
SPAN = {"start": str(AT), "end": str(AT + FIVE), "timeframe": "5m", "detail": "summary"}
MOVING = {"now", "timestamp", "age_ms", "next_update_at", "next_update_in_ms"}


@pytest.fixture
async def trip(tmp_path: Path) -> AsyncIterator[Journey]:
    """Forty minutes of the known market, one window of which is corrected afterwards."""
    async with journey(tmp_path, [market_tape(MINUTES)], row_sizes=ROWS) as running:
        await running.until_played()
        yield running


async def stored(trip: Journey, collection: str) -> Record:
    query = Query(collection, NAME, "5m", AT, AT + FIVE, wall_ms())
    (record,) = await trip.system.store.query(query)
    return record


async def correct(trip: Journey) -> int:
    """Write the window's revision 1, which found MORE lots at its highest row; returns wall time
    between the two publications."""
    later = []
    between = 0
    for collection in (FOOTPRINTS, VOLUME_PROFILE):
        record = await stored(trip, collection)
        bar, quality = bar_from_body(record.body)
        top = max(bar.rows)
        buy, sell, trades = bar.rows[top]
        flow = msgspec.structs.replace(bar.flow, buy_lots=bar.flow.buy_lots + MORE)
        found = FootprintBar(flow, bar.row_size, {**bar.rows, top: (buy + MORE, sell, trades)})
        proof = msgspec.structs.replace(quality, revision=1)
        between = record.published_at_ms + 1
        later.append(
            msgspec.structs.replace(
                record,
                revision=1,
                published_at_ms=record.published_at_ms + 2,
                body={**record.body, **bar_to_body(found, proof)},
            )
        )
    await trip.system.store.put(later)
    trip.system.processor.engine.version += 1  # as a revision does: answers are made anew
    return between


def still(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: still(v) for k, v in value.items() if k not in MOVING}
    return [still(v) for v in value] if isinstance(value, list) else value


async def both(trip: Journey, tool: str, path: str, **asked: str) -> Any:
    """The answer over REST, which must be that over MCP."""
    rest = await trip.get(f"{path}/{NAME}", **{**asked, "numbers": "string"})
    arguments: dict[str, Any] = {"symbol": NAME, **asked}
    if "revision" in arguments:
        arguments["revision"] = int(arguments["revision"])
    async with Client(f"{trip.base_url}/mcp") as client:
        result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert still(result.structured_content) == still(rest)
    return rest


async def test_as_of(trip: Journey) -> None:
    """as_of gives what had been published by then, not what is known now; before that nothing."""
    between = await correct(trip)
    old = await both(trip, "get_volume_profile", "/volume_profile", **SPAN, as_of=str(between))
    new = await both(trip, "get_volume_profile", "/volume_profile", **SPAN)
    (was,), (now,) = old["items"], new["items"]
    assert (was["quality"]["revision"], now["quality"]["revision"]) == (0, 1)
    assert float(now["total_volume"]) == pytest.approx(float(was["total_volume"]) + MORE / 1e5)
    bars = {"start": SPAN["start"], "end": SPAN["end"], "timeframe": "5m"}
    for as_of, revision in ((str(between), 0), (str(between + 5), 1)):
        answer = await both(trip, "get_footprint", "/footprint", **bars, as_of=as_of)
        assert answer["bars"][0]["revision"] == revision
        flow = {"start": SPAN["start"], "end": SPAN["end"], "period": "5m", "detail": "summary"}
        found = await both(trip, "get_order_flow", "/order_flow", **flow, as_of=as_of)
        assert found["items"][0]["quality"]["revision"] == revision
    url = f"{trip.base_url}/volume_profile/{NAME}"
    early = await trip.client.get(url, params={**SPAN, "as_of": "1000"})
    assert (early.status_code, early.json()["code"]) == (404, "DATA_NOT_FOUND")
    short = await trip.client.get(
        f"{trip.base_url}/order_flow/{NAME}", params={"period": "5s", "as_of": str(between)}
    )
    assert short.status_code == 422


async def test_changes_by_revision(trip: Journey) -> None:
    """Since revision 0 the volume and delta changed by exactly the correction; since revision 1
    nothing did; a revision that never was, names the newest."""
    asked = {"since": str(AT), "timeframe": "5m"}
    same = await both(trip, "get_changes", "/changes", **asked, revision="0")
    assert (same["changed"], same["changes"], same["revision"]) == (False, [], 0)
    await correct(trip)
    found = await both(trip, "get_changes", "/changes", **asked, revision="0")
    assert (found["since_revision"], found["revision"], found["changed"]) == (0, 1, True)
    moved = {change["name"]: change["change"] for change in found["changes"]}
    assert float(moved["total_volume"]) == float(moved["delta"]) == MORE / 1e5
    assert "price" in found["unchanged"]
    none = await both(trip, "get_changes", "/changes", **asked, revision="1")
    assert (none["changed"], none["changes"]) == (False, [])
    for changed, status, word in (
        ({"revision": "2"}, 404, "the newest is 1"),
        ({"revision": "-1"}, 422, "whole number"),
        ({"revision": "0", "since": str(AT + 1)}, 422, "period_start"),
        ({"revision": "0", "timeframe": "1m"}, 422, "5m and longer"),
        ({"revision": "0", "since": "1000000200000"}, 404, "no stored revision"),
    ):
        refused = await trip.client.get(
            f"{trip.base_url}/changes/{NAME}", params={**asked, **changed}
        )
        assert refused.status_code == status, refused.text
        assert word in refused.json()["message"]
