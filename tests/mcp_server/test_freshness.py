"""Closed windows may be kept by others for a minute; nothing else may."""

from __future__ import annotations

from typing import Any

import pytest
from stream_support import START_MS, Market, served

from mcp_server.freshness import KEPT, NOT_KEPT, freshness

END = "2026-01-01T00:02:00.000Z"
END_MS = 1_767_225_720_000


def bars(*finals: bool, end: str = END) -> dict[str, Any]:
    return {"bars": [{"final": final, "period_end": end} for final in finals]}


@pytest.mark.parametrize(
    ("data", "end_ms", "kept"),
    [
        (bars(True, True), END_MS, True),
        (bars(True, True), END_MS + 1, False),
        (bars(True, False), END_MS, False),
        (bars(True, True), None, False),
        (bars(), END_MS, False),
        ({"period_end": END, "quality": {"final": True}}, END_MS, True),
        ({"period_end": END, "quality": {"final": False}}, END_MS, False),
    ],
)
def test_freshness_rule(data: dict[str, Any], end_ms: int | None, *, kept: bool) -> None:
    """Only what is final up to an end that was named and reached."""
    assert freshness(data, end_ms) == (KEPT if kept else NOT_KEPT)


async def test_freshness_is_sent() -> None:
    """Over HTTP: the closed minutes up to an end may be kept, the same with the open one not, and
    neither may an answer about now; the validator is there in any case."""
    market = Market()
    name = market.names[0]
    for _ in range(40):
        market.trade(name)
        market.pass_ms(60_000)
    async with served(market) as house:

        async def asked(**params: str | int) -> Any:
            path = f"{house.url}/footprint/{name}"
            answer = await house.client.get(path, params={"timeframe": "1m", **params})
            assert answer.status_code == 200, answer.text
            assert answer.headers["etag"]
            return answer.headers

        first = START_MS - START_MS % 60_000 + 60_000
        old = await asked(start=str(first), end=str(first + 3 * 60_000))
        assert old["cache-control"] == KEPT["Cache-Control"]
        assert old["cdn-cache-control"] == KEPT["CDN-Cache-Control"]
        for fresh in (await asked(limit=2), await asked(start=str(first), end=str(market.now))):
            assert fresh["cache-control"] == "no-cache"
            assert "cdn-cache-control" not in fresh
