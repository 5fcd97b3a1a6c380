"""What the bridge passes on beside tools: update notices, completions, progress; and what it says
while the server is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from client_system import QUICK
from edge_support import edge
from journeys_support import Journey, journey
from mcp import Client as McpClient
from mcp import MCPError
from mcp.types import PromptReference, ResourceTemplateReference, ResourceUpdatedNotification
from meddler import Meddler
from sim_support import short_tapes
from wadm_client.bridge import OFFLINE, Bridge
from wadm_client.config import Config
from wadm_client.updates import Updates

pytestmark = pytest.mark.timeout(1_200)
ROWS = "BTCUSDT=0.05,ETHUSDT=0.05"
URI, OTHER = "wadm://volume_profile/BTCUSDT/1h", "wadm://order_flow/ETHUSDT/5m"
WAIT_S = 120.0


class Relay:
    """One port for one server after another; without one, connections end."""

    def __init__(self) -> None:
        self.port = self.upstream = 0
        self._passing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        """Listens on a free port of loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._passing):
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self.upstream)
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, away))
                both.create_task(_copy(there, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the server is away, or the test is over
        finally:
            self._passing.discard(task)
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Until the source ends; then the target ends as well."""
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    except OSError:
        pass  # a side that is gone
    finally:
        target.close()


@contextlib.asynccontextmanager
async def life(folder: Path, between: Relay) -> AsyncIterator[tuple[Journey, Any]]:
    """The server behind the relay, and its notifier with stamps of ours."""
    async with journey(folder / "store", short_tapes(), row_sizes=ROWS) as trip:
        await trip.until_played()
        assert trip.system.server.mcp is not None
        notifier = (await trip.system.server.mcp.hosted()).subscriptions
        notifier.stamp = lambda uri: stamps.get(uri, 0)
        stamps: dict[str, int] = {}
        notifier.stamps = stamps
        between.upstream = trip.system.port
        yield trip, notifier


def changed(notifier: Any, uri: str) -> None:
    """Something moved."""
    notifier.stamps[uri] = notifier.stamps.get(uri, 0) + 1


@contextlib.asynccontextmanager
async def bridged(between: Relay, folder: Path) -> AsyncIterator[Bridge]:
    """A bridge that reaches the server through the relay and the real nginx with TLS."""
    async with edge(folder / "edge", between.port) as front:
        bridge = Bridge(Config(url=front.url, ca_file=front.ca, cache_dir=None, timeout_s=20))
        bridge.updates.patience = QUICK
        yield bridge


async def until_told(notifier: Any, uri: str, heard: asyncio.Queue[str]) -> None:
    """Something moves until it is told; what moved before the notifier first looked is not.

    Another's notice may come first: what moved twice may be told twice.
    """
    async with asyncio.timeout(WAIT_S):
        while heard.empty() or heard.get_nowait() != uri:
            changed(notifier, uri)
            await asyncio.sleep(0.2)


async def test_modern_hosts_listen(tmp_path: Path) -> None:
    """One stream to the server for all that the host listens to; it outlives a restart of the
    server, after which every resource is told; what the server refuses is refused."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen(client: McpClient, ready: asyncio.Event, *uris: str) -> None:
        async with client.listen(resource_subscriptions=uris) as events:
            ready.set()
            async for event in events:
                heard.put_nowait(event.uri)  # type: ignore[union-attr]

    async with Relay().running() as between, bridged(between, tmp_path) as bridge:  # noqa: SIM117
        async with McpClient(bridge.server()) as host, asyncio.TaskGroup() as tasks:
            assert host.server_capabilities.resources is not None
            assert host.server_capabilities.resources.subscribe
            first, second = asyncio.Event(), asyncio.Event()
            listening = [tasks.create_task(listen(host, first, URI))]
            await first.wait()  # The server is away: accepted all the same.
            async with life(tmp_path, between) as (trip, notifier):
                async with asyncio.timeout(WAIT_S):
                    assert await heard.get() == URI
                await until_told(notifier, URI, heard)
                listening.append(tasks.create_task(listen(host, second, OTHER)))
                await second.wait()
                await trip.until(lambda: notifier.modern == {URI: 1, OTHER: 1}, "one stream")
                await until_told(notifier, OTHER, heard)
                with pytest.raises(MCPError, match="at most 200"):
                    async with host.listen(
                        resource_subscriptions=[f"wadm://x/{n}" for n in range(201)]
                    ):
                        pass
            while not heard.empty():
                heard.get_nowait()
            async with life(tmp_path, between) as (trip, notifier):
                async with asyncio.timeout(WAIT_S):
                    assert {await heard.get(), await heard.get()} == {URI, OTHER}
                for task in listening:
                    task.cancel()
                await trip.until(lambda: not +notifier.modern, "the stream is closed")


@pytest.mark.filterwarnings("ignore:resources/.*removed as of")
async def test_hosts_of_the_earlier_era(tmp_path: Path) -> None:
    """subscribe and unsubscribe, completions and progress pass; offline they say so."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.put_nowait(message.params.uri)

    symbol = {"name": "symbol", "value": "btc"}
    template = ResourceTemplateReference(uri="wadm://volume_profile/{symbol}/{timeframe}")
    async with Relay().running() as between, bridged(between, tmp_path) as bridge:  # noqa: SIM117
        async with McpClient(bridge.server(), mode="legacy", message_handler=hear) as host:
            async with life(tmp_path, between) as (trip, notifier):
                await host.subscribe_resource(URI)
                await host.subscribe_resource(URI)
                await until_told(notifier, URI, heard)
                found = await host.complete(template, symbol)
                assert found.completion.values == ["BTCUSDT"]
                prompt = PromptReference(name="read_the_auction")
                found = await host.complete(prompt, {"name": "timeframe", "value": "1"})
                assert "1h" in found.completion.values
                steps: list[float] = []

                async def report(step: float, total: float | None, text: str | None) -> None:
                    steps.append(step)

                asked = {"symbol": "BTCUSDT", "condition": "price_above", "value": "99999999"}
                waited = await host.call_tool(
                    "wait_for", asked | {"timeout_s": 2}, progress_callback=report
                )
                assert not waited.is_error, waited.content
                assert steps
                with pytest.raises(MCPError, match="DATA_NOT_FOUND: unknown symbol"):
                    await host.read_resource("wadm://volume_profile/NOPEUSDT/1h")
                await host.unsubscribe_resource(URI)
                await trip.until(lambda: not +notifier.modern, "the stream is closed")
            with pytest.raises(MCPError) as away:
                await host.complete(template, symbol)
            assert away.value.code == OFFLINE


async def test_a_server_that_ends_each_stream_is_not_hammered() -> None:
    """Streams that break as soon as they open are opened ever more rarely."""
    async with Meddler().running() as between:
        between.fault = "wrong"
        config = Config(url=f"http://127.0.0.1:{between.port}", cache_dir=None)
        waits: list[int] = []
        updates = Updates(config, _nobody)
        patience = updates.patience

        class Counting:
            cap_s = patience.cap_s

            def backoff_s(self, failures: int) -> float:
                waits.append(failures)
                return 0.0 if failures < 4 else 3_600.0

        updates.patience = Counting()  # type: ignore[assignment]
        await updates.add([URI])
        async with asyncio.timeout(WAIT_S):
            while len(waits) < 4:  # noqa: ASYNC110 (what is counted is no event)
                await asyncio.sleep(0.05)
        await updates.close()
    assert waits == [1, 2, 3, 4]


async def _nobody(event: Any) -> None:
    """Nobody listens."""
