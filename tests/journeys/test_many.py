"""Several processors and two collectors of a venue, as processes: one house, the same answers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from apart_support import WAIT_S, House, house
from journeys_support import journey
from mongo_support import MongoServer, mongo_server
from nats_support import NatsServer
from nats_support import nats as nats

from simulator.service import Simulator
from simulator.tape import Tape
from simulator.tapes.synthetic import Market, synthetic_tape

PROCESSORS = ("process-a", "process-b", "process-c")
COLLECTORS = ("collect-a", "collect-b")
PARTITIONS = 6
SYMBOLS = [f"C{number:02d}USDT" for number in range(8)]
START_MS = 1_735_689_600_000
MINUTES = 3
Hashes = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with mongo_server(tmp_path_factory.mktemp("many")) as started:
        yield started


def tape() -> Tape:
    """Eight symbols on both markets of one venue, some trades a second each."""
    markets = [
        Market(f"binance:{kind}:{symbol}", "0.01", "0.001", 100.0 + place, 2.0, 0.5)
        for place, symbol in enumerate(SYMBOLS)
        for kind in ("spot", "perp")
    ]
    return synthetic_tape(START_MS, seed=7, markets=markets, end_ms=START_MS + MINUTES * 60_000)


NAMES = [f"binance:{kind}:{symbol}" for symbol in SYMBOLS for kind in ("spot", "perp")]
SPAN = {"start": "2025-01-01T00:00:00Z", "end": "2025-01-01T00:03:00Z"}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Hashes:
    """Content hashes of one process, `wadm up`'s own."""
    return asyncio.run(_calm(tmp_path_factory.mktemp("calm")))


async def _calm(folder: Path) -> Hashes:
    async with journey(folder, [tape()]) as trip:
        await trip.until_played()
        answers = [await trip.get(f"/footprint/{name}", timeframe="1m", **SPAN) for name in NAMES]
    return {
        (name, bar["period_start"]): bar["content_hash"]
        for name, answer in zip(NAMES, answers, strict=True)
        for bar in answer["bars"]
    }


async def final(parts: House) -> Hashes:
    """What the server says is final."""
    bars = await parts.bars({**SPAN, "timeframe": "1m"}, tuple(NAMES))
    return {
        (bar["instrument"], bar["period_start"]): bar["content_hash"]
        for bar in bars
        if bar["final"]
    }


async def until(parts: House, what: str, condition: Callable[[], Any]) -> None:
    """Wait for processes."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not await condition():
                ended = [name for name, p in parts.processes.items() if p.returncode is not None]
                assert not ended, parts.logs()
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{what}: not within {WAIT_S} s\n{parts.logs()}")


async def owned(parts: House) -> dict[str, list[int]]:
    """Partitions by running processor."""
    found = {}
    for name in PROCESSORS:
        if name in parts.processes:
            _, health = await parts.get(name, "/health")
            found[name] = [] if health is None else health["partitions"]
    return found


async def dealt(parts: House) -> bool:
    """Every partition has one owner, and every processor its share."""
    shares = list((await owned(parts)).values())
    return sorted(chain(*shares)) == list(range(PARTITIONS)) and all(
        len(share) <= -(-PARTITIONS // len(shares)) for share in shares
    )


async def leader(parts: House) -> str | None:
    for name in COLLECTORS:
        if name in parts.processes:
            _, health = await parts.get(name, "/health")
            if health is not None and health["leads"]:
                return name
    return None


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(900)
async def test_parts_come_go_and_die(
    tmp_path: Path, nats: NatsServer, server: MongoServer, calm: Hashes
) -> None:
    """Processors join and are killed, one is stopped for longer than its leases last, the collector
    that leads is killed: the house ends in the content hashes of one process, each partition with
    one owner, and what the stopped one still wanted to write was refused."""
    assert len(calm) == MINUTES * len(NAMES)
    async with (
        Simulator([tape()], speed=3.0, start_after=len(NAMES)) as simulator,
        house(tmp_path / "many", nats, server, simulator.urls) as parts,
    ):
        parts.common |= {"symbols": ",".join(SYMBOLS), "partitions": str(PARTITIONS)}
        for name in ("process-a", "process-b", "serve", *COLLECTORS):
            await parts.start(name)
        for name in ("process-a", "process-b", *COLLECTORS):
            await parts.until_ready(name)
        await until(parts, "two share", lambda: dealt(parts))
        await until(parts, "one leads", lambda: leader(parts))
        await parts.start("process-c")
        await until(parts, "three share", lambda: dealt(parts))
        await parts.kill("process-a")
        await until(parts, "two take over", lambda: dealt(parts))
        led = await leader(parts)
        assert led is not None
        await parts.kill(led)
        await until(parts, "the other leads", lambda: leader(parts))
        await parts.start(led)
        paused = parts.processes["process-b"]
        paused.send_signal(signal.SIGSTOP)
        await parts.start("process-a")

        async def without_b() -> bool:
            shares = await asyncio.gather(
                *(parts.get(name, "/health") for name in ("process-a", "process-c"))
            )
            found = [health["partitions"] for _, health in shares if health is not None]
            return sorted(chain(*found)) == list(range(PARTITIONS))

        await until(parts, "two own what the stopped one had", without_b)
        paused.send_signal(signal.SIGCONT)
        await until(parts, "three share again", lambda: dealt(parts))

        async def same() -> bool:
            return await final(parts) == calm

        await until(parts, "the same answers", same)
        log = (parts.folder / "process-b.log").read_text()
        assert "leases.lost" in log or "processor.fenced" in log
        for name in list(parts.processes):
            assert await parts.stop(name) == 0, parts.logs()
