"""The real Prometheus reads our pages by the deployed files, and its alerts are what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ruamel import yaml
from stream_support import Market

from backbone.keys.book import KeyBook, Terms
from backbone.measures import MEASURES
from backbone.settings import read_settings
from backbone.store.memory import MemoryStore
from backbone.telemetry import LoopStall, Statuses, metrics_page
from mcp_server.app import build_app, build_server
from mcp_server.queries import Queries
from wadm.health import health_server

DEPLOY = Path("deploy")
WAIT_S = 120.0
NEEDED = ("prometheus", "promtool")
SUFFIX = re.compile(r"_(total|bucket|sum|count)$")
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in NEEDED),
        reason="prometheus and promtool are not installed (Debian package prometheus)",
    ),
]


def promtool(root: Path, *words: str) -> str:
    """What it prints; it must be content."""
    found = subprocess.run(
        ["promtool", *words], cwd=root / "deploy", capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_deploy_files_are_prometheus_own(root: Path) -> None:
    """The configuration, the rules, and when each rule fires."""
    promtool(root, "check", "config", "--syntax-only", "prometheus.yml")
    assert "rules found" in promtool(root, "check", "rules", "prometheus/alerts.yml")
    promtool(root, "test", "rules", "prometheus/alerts_test.yml")


class Prometheus:
    """A running one."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self.url = url
        self.client = client

    async def ask(self, path: str, **params: str) -> Any:
        """The data of a good answer."""
        answer = await self.client.get(f"{self.url}/api/v1/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def until(self, path: str, condition: Callable[[Any], bool], **params: str) -> Any:
        """The first answer for which a condition holds; not for ever."""
        async with asyncio.timeout(WAIT_S):
            while True:
                data = await self.ask(path, **params)
                if condition(data):
                    return data
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def prometheus(folder: Path, config: dict[str, Any]) -> AsyncIterator[Prometheus]:
    """The real one, on a free port, with nothing kept."""
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        "prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0", "--log.format=json",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    draining: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                line = await process.stderr.readline()
                assert line, "prometheus ended"
                if found := re.search(rb'"address":"(?:127\.0\.0\.1):([1-9]\d*)"', line):
                    break
        draining = asyncio.create_task(process.stderr.read())
        async with httpx2.AsyncClient(timeout=30) as client:
            yield Prometheus(f"http://127.0.0.1:{int(found[1])}", client)
    finally:
        process.kill()
        await process.wait()
        if draining is not None:
            await draining


def configuration(root: Path, key_file: Path, ports: dict[str, int]) -> dict[str, Any]:
    """The deployed file, with our ports and a second between scrapes."""
    text = (root / DEPLOY / "prometheus.yml").read_text()
    found: dict[str, Any] = yaml.YAML(typ="safe").load(text)
    found["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    found["rule_files"] = [str(root / DEPLOY / name) for name in found["rule_files"]]
    for job in found["scrape_configs"]:
        port = ports[job["job_name"]]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(key_file)
    return found


@contextlib.asynccontextmanager
async def part(server: Any) -> AsyncIterator[int]:
    """A server of this process, and its port."""
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn has a flag)
            await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def test_deploy_prometheus_scrapes(root: Path, tmp_path: Path) -> None:
    """By the deployed files it reads a part without a key and the server with one; every query of
    the dashboard and every alert is answered, and one that ends is seen to be down."""
    market = Market()
    market.trade("binance:perp:AAAUSDT", 5)
    store = MemoryStore()
    await store.open("simulated")
    key, _ = await KeyBook(store, "test").create("prometheus", 4, Terms(endpoints=("metrics",)))
    key_file = tmp_path / "metrics.key"
    key_file.write_text(key.text)
    statuses = Statuses(market.view, list, LoopStall())
    page = metrics_page(statuses)
    settings = read_settings({}, port=0, key_cost=4)
    app = build_app(Queries(market.view, store, list), settings, page, statuses.meter)
    apart = health_server("127.0.0.1", 0, lambda: {"ready": True}, page)
    async with part(build_server(app, settings)) as served, contextlib.AsyncExitStack() as stack:
        ports = {"server": served, "parts": await stack.enter_async_context(part(apart))}
        config = configuration(root, key_file, ports)
        async with prometheus(tmp_path, config) as watching:
            await watching.until("query", lambda data: len(data["result"]) == 2, query="up == 1")
            applied = "wadm_processor_trades_applied_total"
            data = await watching.until("query", lambda d: len(d["result"]) == 4, query=applied)
            values = {s["metric"]["instrument"]: s["value"][1] for s in data["result"]}
            assert values["binance:perp:AAAUSDT"] == "5"
            counted = {"wadm_http_requests_total", "wadm_http_request_seconds_bucket"}
            counted |= {"wadm_stream_readers", "wadm_cpu_seconds_total"}
            names = await watching.until("label/__name__/values", lambda d: counted <= set(d))
            plain = {name for name in names if name.startswith(("wadm_", "ingestion_"))}
            assert {SUFFIX.sub("", name) for name in plain} <= set(MEASURES)
            await check_rules(root, watching)
            await stack.aclose()
            await watching.until("query", lambda d: len(d["result"]) == 1, query="up == 0")
            alerts = await watching.until("alerts", lambda data: _down(data) != [])
            assert _down(alerts) == ["parts"]
    await store.close()


def _down(data: Any) -> list[str]:
    labels = [alert["labels"] for alert in data["alerts"]]
    return [found["job"] for found in labels if found["alertname"] == "WadmPartDown"]


async def check_rules(root: Path, watching: Prometheus) -> None:
    """It takes every query, and says of every rule that it is well."""
    board = json.loads((root / DEPLOY / "grafana/dashboards/wadm.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            assert (await watching.ask("query", query=target["expr"]))["resultType"] == "vector"

    def well(data: Any) -> bool:
        return all(rule["health"] == "ok" for rule in data["groups"][0]["rules"])

    data = await watching.until("rules", well)
    assert len(data["groups"][0]["rules"]) > 20
    assert Path(data["groups"][0]["file"]).name == "alerts.yml"
