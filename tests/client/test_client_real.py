"""The client against the real server, behind the real nginx with TLS."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from client_system import END, QUICK, START, command, environment, runner, running
from mcp import Client as McpClient
from mcp import StdioServerParameters
from wadm_client import question as ask_for
from wadm_client.__main__ import main
from wadm_client.bridge import Bridge
from wadm_client.client import AsyncClient, Client
from wadm_client.config import Config
from wadm_client.errors import ApiError, CertificateError, UnreachableError
from wadm_client.following import follow_blocking
from wadm_client.history import history, history_async, wait_for_async
from wadm_client.key_levels import write_key_levels
from wadm_client.remote import McpWire

pytestmark = pytest.mark.timeout(1_200)
MOVING = {"timestamp", "quality"}


def still(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: still(v) for k, v in value.items() if k not in MOVING}
    return [still(v) for v in value] if isinstance(value, list) else value


async def test_answers_and_commands(tmp_path: Path) -> None:
    """Typed answers are the server's own, over REST and MCP; every command works through TLS."""
    async with running(tmp_path) as (trip, _, config):
        async with AsyncClient(config) as client:
            profile = await client.volume_profile("BINANCE:BTCUSDT.P", "1h", numbers="string")
            raw = await trip.get("/volume_profile/BINANCE:BTCUSDT.P", numbers="string")
            assert profile.poc == Decimal(raw["poc"])
            assert [str(level.volume) for level in profile.levels or ()] == [
                level["volume"] for level in raw["levels"]
            ]
            assert profile.to_frame()["volume"].sum() == pytest.approx(float(profile.total_volume))
            assert (await client.symbols()).symbols
            assert (await client.status()).ready
            shot = await client.snapshot("BTCUSDT", "NOPEUSDT")
            assert shot.symbols[1].error
            with pytest.raises(ApiError, match="DATA_NOT_FOUND"):
                await client.order_flow("NOPEUSDT")
            assert (await client.footprint("BTCUSDT", "1m", limit=2)).bars
            assert (await client.summary("BTCUSDT")).order_flow.bars is not None
            await client.derivatives("BTCUSDT")
            await client.base_rates("stacked_imbalance", "BTCUSDT")
            asked = ask_for.order_flow("BTCUSDT", "5m", {})
            found = await wait_for_async(client, asked, lambda f: f.total_volume >= 0, 5)
            assert found.symbol == "BTCUSDT"
            rows = [r async for r in history_async(client, "profile", "BTCUSDT", "1m", START, END)]
            assert len(rows) == 2
            path = write_key_levels(tmp_path, rows[0])
            assert json.loads(path.read_text())["symbol"] == "BTCUSDT"
            write_key_levels(tmp_path, rows[0])
        over_mcp = AsyncClient(config, wire=McpWire(config))
        asked_profile = ask_for.volume_profile("BTCUSDT", "1m", {"numbers": "json"})
        by_mcp = (await over_mcp.ask(asked_profile, force=True)).value
        async with AsyncClient(config) as client:
            by_rest = (await client.ask(asked_profile, force=True)).value
        assert (by_mcp.poc, by_mcp.total_volume) == (by_rest.poc, by_rest.total_volume)
        assert (await over_mcp.status()).ready
        with pytest.raises(ApiError, match="DATA_NOT_FOUND"):
            await over_mcp.volume_profile("NOPEUSDT")
        await commands(config, tmp_path)


async def commands(config: Config, folder: Path) -> None:
    code, out, err = await command("doctor", "--json", config=config)
    assert code == 0, out + err
    assert {check["name"] for check in json.loads(out)} >= {"cache", "server", "answer"}
    code, out, err = await command("get", "profile", "BTCUSDT", "--json", config=config)
    assert code == 0, err
    assert json.loads(out)["symbol"] == "BTCUSDT"
    code, out, err = await command("get", "flow", "NOPEUSDT", config=config)
    assert (code, out) == (6, "")
    assert "DATA_NOT_FOUND" in err
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        words = ["get", "footprint", "BTCUSDT", "1m", "--start", START, "--end", END]
        code, out, err = await command(*words, "--out", str(folder / name), config=config)
        assert (code, out) == (0, "2 rows\n"), err
    lines = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    with (folder / "a.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["content_hash"] for row in table] == [line["content_hash"] for line in lines]
    volumes = pq.read_table(folder / "a.parquet")["total_volume"].to_pylist()
    assert volumes == [Decimal(row["total_volume"]) for row in table]
    (folder / "poll.toml").write_text(
        '[[watch]]\nsymbols = ["BTCUSDT", "ETHUSDT"]\ninterval_s = 1\n'
    )
    words = ["poll", "--config", str(folder / "poll.toml"), "--rounds", "2", "--json"]
    code, out, err = await command(*words, config=config)
    assert code == 0, err
    assert len(out.splitlines()) == 2
    code, out, err = await command("watch", "BTCUSDT", "--rounds", "1", config=config)
    assert code == 0, err
    assert "BTCUSDT" in out
    wadm = Path(str(config.cache_dir)) / "storage/market-data/wadm"
    for name in ("volume_profile/BTCUSDT_1h.json", "order_flow/ETHUSDT_5m.json"):
        assert json.loads((wadm / name).read_text())["value"]["quality"]
    (wadm / "volume_profile/BTCUSDT_1h.json").write_text("{")
    code, out, _ = await command("cache", "verify", "--json", config=config)
    assert code == 8
    assert json.loads(out.splitlines()[0])["problem"]
    assert (await command("cache", "prune", config=config))[0] == 0
    assert (await command("cache", "ls", "--json", config=config))[0] == 0
    assert (await command("poll", "--config", "absent.toml", config=config))[0] == 2


async def test_the_bridge(tmp_path: Path) -> None:
    """The bridge has the remote tools with their schemas, in both eras, and offline it says so."""
    async with running(tmp_path) as (trip, _, config):
        async with McpClient(f"{trip.base_url}/mcp") as direct:
            there = (await direct.list_tools()).tools
            asked = {"symbol": "BTCUSDT", "timeframe": "1m", "start": START, "end": END}
            known = await direct.call_tool("get_volume_profile", asked)
        parameters = StdioServerParameters(
            command=runner()[0], args=["-m", "wadm_client", "mcp"], env=environment(config)
        )
        for mode in ("auto", "legacy"):
            async with McpClient(parameters, mode=mode) as local:
                here = (await local.list_tools()).tools
                assert [t.model_dump() for t in here] == [t.model_dump() for t in there]
                found = await local.call_tool("get_volume_profile", asked)
                assert still(found.structured_content) == still(known.structured_content)
                wrong = await local.call_tool("get_volume_profile", {"symbol": "NOPEUSDT"})
                assert wrong.is_error
                assert (await local.list_prompts()).prompts is not None
        offline = Config(url=config.url, ca_file=config.ca_file, cache_dir=config.cache_dir)
    async with McpClient(Bridge(offline).server()) as local:
        assert len((await local.list_tools()).tools) == len(there)
        found = await local.call_tool("get_volume_profile", asked)
        assert not found.is_error, found.content
        assert [item["quality"]["stale"] for item in found.structured_content["items"]] == [
            True
        ] * 2
        assert json.loads(found.content[0].text) == found.structured_content
        assert found.content[1].text.startswith("STALE")
        never = await local.call_tool("get_order_flow", {"symbol": "BTCUSDT"})
        assert never.is_error
        assert "NOT_READY" in never.content[0].text


async def test_trouble_on_the_way(tmp_path: Path) -> None:
    """Wrong host and unknown authority are refused; a server that returns is asked again."""
    async with running(tmp_path) as (_, front, config):
        async with AsyncClient(config, patience=QUICK) as client:
            first = await client.ask(ask_for.order_flow("BTCUSDT", "5m", {}))
            assert not first.stale
        strangers = Config(url=front.url, cache_dir=None)
        other = Config(url=f"https://127.0.0.2:{front.https}", ca_file=front.ca)
        async with AsyncClient(strangers, patience=QUICK) as client:
            with pytest.raises(CertificateError):
                await client.status()
    async with AsyncClient(config, patience=QUICK) as client:
        old = await client.ask(ask_for.order_flow("BTCUSDT", "5m", {}), force=True)
        assert (old.stale, old.origin) == (True, "cache")
        assert old.value.quality.stale
    assert other.url
    async with AsyncClient(other, patience=QUICK, offline=False) as client:
        with pytest.raises(UnreachableError):
            await client.status()


async def test_blocking_client(tmp_path: Path) -> None:
    """The blocking client gives the same answers; follow gives every event once."""
    async with running(tmp_path) as (_, _, config):

        def work() -> tuple[int, Any]:
            with Client(config, patience=QUICK) as client:
                rows = list(history(client, "flow", "BTCUSDT", "1m", START, END))
                events = client.events("BTCUSDT", since=START).events
                stream = follow_blocking(client, "BTCUSDT", START, interval_s=0.01)
                seen = [one.id for one in itertools.islice(stream, len(events))]
                assert sorted(seen) == sorted({event.id for event in events})
                return len(rows), client.order_flow("BTCUSDT")

        count, flow = await asyncio.to_thread(work)
        assert count == 2
        assert flow.symbol == "BTCUSDT"


def test_installing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The entry joins what a host has already; the key is written nowhere."""
    path = tmp_path / "host.json"
    path.write_text('{"mcpServers": {"other": {"command": "x"}}, "theme": "dark"}')
    words = ["install", "cursor", "--path", str(path), "--url", "https://wadm.test"]
    assert main(words) == 0
    assert main(words) == 0
    assert "already there" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert set(found["mcpServers"]) == {"other", "wadm"}
    assert found["theme"] == "dark"
    assert found["mcpServers"]["wadm"]["env"]["WADM_API_URL"] == "https://wadm.test"
    path.write_text("// not JSON")
    assert main(words) == 2
    assert main(["install", "vscode", "--print"]) == 0
    assert main(["install", "claude-desktop", "--path", str(tmp_path / "new/x.json")]) == 0
