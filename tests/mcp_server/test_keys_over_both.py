"""A whole system behind keys: scopes over REST and both eras of MCP, and no key anywhere else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from journeys_support import Journey, journey
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.types import ResourceTemplateReference
from sim_support import short_tapes

from backbone.keys.book import KeyBook, Terms
from backbone.telemetry import configure_logs

pytestmark = pytest.mark.timeout(1_200)
Mode = Literal["auto", "legacy"]
ROWS = "BTCUSDT=0.05,ETHUSDT=0.05"


async def made(trip: Journey, **terms: Any) -> str:
    access = trip.system.server.config.app.state.access  # type: ignore[union-attr]
    text, _ = await KeyBook(trip.system.store, "test").create("t", 4, Terms(**terms))
    await access.ring.refresh()
    return text.text


@contextlib.asynccontextmanager
async def agent(trip: Journey, mode: Mode, key: str) -> AsyncIterator[Client]:
    """The official client with this key."""
    async with httpx2.AsyncClient(headers={"X-API-Key": key}, timeout=20) as http:
        transport = streamable_http_client(f"{trip.base_url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def listened(client: Client, mode: Mode, uri: str) -> None:
    """Ask to be told, in the way of the era."""
    if mode == "legacy":
        with pytest.warns(MCPDeprecationWarning):
            await client.session.subscribe_resource(uri)
    else:
        async with client.listen(resource_subscriptions=[uri]):
            pass


async def called(trip: Journey, mode: Mode, key: str, tool: str, **asked: Any) -> Any:
    async with agent(trip, mode, key) as client:
        try:
            return await client.call_tool(tool, asked)
        except MCPError as error:
            return error


async def test_scopes_over_both(tmp_path: Path) -> None:
    """A key for one symbol gets that one, however it is spelt, and no other by any way."""
    async with journey(tmp_path, short_tapes(), row_sizes=ROWS) as trip:
        await trip.until_played()
        key = await made(trip, symbols=("BTCUSDT",), tools=("get_volume_profile", "get_events"))
        sent = {"X-API-Key": key}
        for path, status in {
            "/volume_profile/BTCUSDT": 200,
            "/volume_profile/BINANCE:BTCUSDT.P": 200,
            "/volume_profile/ETHUSDT": 403,
            "/order_flow/ETH%2FUSDT:USDT": 403,
            "/events?symbol=ETHUSDT": 403,
            "/derivatives/ETHUSDT": 403,
            "/footprint/binance:spot:ETHUSDT": 403,
        }.items():
            answer = await trip.client.get(trip.base_url + path, headers=sent)
            assert answer.status_code == status, path
        both = await trip.client.get(
            f"{trip.base_url}/snapshot?symbols=BTCUSDT,ETHUSDT", headers=sent
        )
        first, second = both.json()["symbols"]
        assert first["profile"]
        assert second["error"].startswith("FORBIDDEN")
        modes: tuple[Mode, Mode] = ("auto", "legacy")
        for mode in modes:
            good = await called(trip, mode, key, "get_volume_profile", symbol="BTCUSDT")
            assert not good.is_error
            bad = await called(trip, mode, key, "get_volume_profile", symbol="ETHUSDT")
            assert bad.is_error
            assert "FORBIDDEN" in bad.content[0].text
            none = await called(trip, mode, key, "get_order_flow", symbol="BTCUSDT")
            assert isinstance(none, MCPError)
            assert str(none).startswith("FORBIDDEN")


async def test_scopes_of_resources(tmp_path: Path) -> None:
    """By address a key for one symbol reads, subscribes to and is offered that one only, however it
    is spelt."""
    async with journey(tmp_path, short_tapes(), row_sizes=ROWS) as trip:
        await trip.until_played()
        key = await made(trip, symbols=("BTCUSDT",), per_minute=10_000)
        kinds = ("volume_profile/{}/1h", "order_flow/{}/1h", "key_levels/{}")
        mine = ("BTCUSDT", "binance:spot:BTCUSDT", "BINANCE:BTCUSDT.P")
        others = ("ETHUSDT", "ethusdt", "binance:spot:ETHUSDT", "BINANCE:ETHUSDT.P", "ETH", "NONE")
        modes: tuple[Mode, Mode] = ("auto", "legacy")
        for mode in modes:
            async with agent(trip, mode, key) as client:
                for uri in (f"wadm://{kind.format(s)}" for kind in kinds for s in mine):
                    assert "BTCUSDT" in str(await client.read_resource(uri))
                    await listened(client, mode, uri)
                for uri in (f"wadm://{kind.format(s)}" for kind in kinds for s in others):
                    with pytest.raises(MCPError, match=r"FORBIDDEN|NOT_FOUND|VALIDATION"):
                        await client.read_resource(uri)
                    with pytest.raises(MCPError, match="FORBIDDEN"):
                        await listened(client, mode, uri)
                about = ResourceTemplateReference(type="ref/resource", uri=f"wadm://{kinds[2]}")
                offered = await client.complete(about, {"name": "symbol", "value": ""})
                assert offered.completion.values == ["BTCUSDT"]


async def test_session_belongs_to_its_key(tmp_path: Path) -> None:
    """Another good key finds no session under a stolen id; a revoked key's session is over."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }
    accept = {"Accept": "application/json, text/event-stream"}
    async with journey(tmp_path, short_tapes(), row_sizes=ROWS) as trip:
        mine, other = await made(trip), await made(trip)
        url = f"{trip.base_url}/mcp"
        started = await trip.client.post(url, json=hello, headers={"X-API-Key": mine, **accept})
        session = started.headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        for key, status in ((other, 404), (mine, 200)):
            sent = {"X-API-Key": key, "Mcp-Session-Id": session, **accept}
            assert (await trip.client.post(url, json=listing, headers=sent)).status_code == status


async def test_canary(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is in no log, answer, metric, error or file, wherever it was put."""
    configure_logs("debug")
    folder = tmp_path / "store"
    async with journey(folder, short_tapes(), row_sizes=ROWS) as trip:
        key = await made(trip, endpoints=("volume_profile", "metrics", "mcp", "nowhere"))
        secret = key[18:61]
        paths = (
            f"/volume_profile/{key}",
            f"/nowhere/{key}",
            f"/volume_profile/BTCUSDT?timeframe={key}",
            f"/volume_profile/BTCUSDT?{key}=1",
            f"/volume_profile/BTCUSDT?api_key={key}",
            "/metrics",
            "/status",
        )
        sent = {"X-API-Key": key}
        answers = [await trip.client.get(trip.base_url + path, headers=sent) for path in paths]
        queries = trip.system.queries

        async def broken(*_: object) -> None:
            raise RuntimeError(f"with the key {key}")

        monkeypatch.setattr(queries, "volume_profile", broken)
        failed = await trip.client.get(
            f"{trip.base_url}/volume_profile/BTCUSDT", headers={"X-API-Key": key}
        )
        assert failed.status_code == 500
        answers.append(failed)
        call = {"jsonrpc": "2.0", "id": 1, "method": key, "params": {"name": key}}
        accept = {"Accept": "application/json, text/event-stream", "X-API-Key": key}
        answers.append(await trip.client.post(f"{trip.base_url}/mcp", json=call, headers=accept))
        told = json.dumps([[a.text, dict(a.headers)] for a in answers])
    logged = "".join(capfd.readouterr())
    assert "server.error" in logged
    assert secret not in logged
    assert secret not in told
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
