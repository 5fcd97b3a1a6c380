"""One feed against the simulator while its connection is black-holed; prints what came of it.

`python half_open_run.py nft` drops the packets of the present connections with nftables (run it in
a network namespace of its own); `proxy` lets a relay fall silent instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from backbone.bus.base import TRADES
from backbone.bus.memory import MemoryBus
from backbone.settings import read_settings
from collectors.service import CollectorService
from orderflow.trade import TradeBatch
from simulator.service import Simulator
from simulator.tapes.synthetic import Market, synthetic_tape

START_MS = 1_735_689_600_000
MARKET = Market("binance:spot:BTCUSDT", "0.01", "0.00001", 64_000.0, 20.0, 0.05)
WAIT_S = 120.0
RULES = "add table inet hole; add chain inet hole input {{ type filter hook input priority 0; }};"


class Relay:
    """A TCP relay whose present connections can fall silent without a sign."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.silent: set[int] = set()
        self.count = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """The port it listens on."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        number = self.count
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        ways = (self._pass(number, reader, far_writer), self._pass(number, far_reader, writer))
        await asyncio.gather(*ways, return_exceptions=True)
        for end in (writer, far_writer):
            end.close()

    async def _pass(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            if number not in self.silent:
                writer.write(data)
        if number not in self.silent:
            writer.close()

    def fall_silent(self) -> None:
        """No byte passes the present connections from now on, and nobody is told."""
        self.silent.update(range(1, self.count + 1))


async def until(condition: Callable[[], bool]) -> float:
    """Seconds until a condition holds."""
    began = time.monotonic()
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (any condition, bounded)
            await asyncio.sleep(0.02)
    return time.monotonic() - began


def drop_present(port: int) -> int:
    """nftables rules against every present connection to a port; how many there were."""
    with open("/proc/net/tcp", encoding="ascii") as file:  # noqa: PTH123
        rows = [line.split() for line in file][1:]
    ports = {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if row[3] == "01" and int(row[2].rpartition(":")[2], 16) == port
    }
    rules = [RULES.format()]
    for own in ports:
        rules += [f"add rule inet hole input tcp {way} {own} drop;" for way in ("sport", "dport")]
    subprocess.run(["nft", " ".join(rules)], check=True)
    return len(ports)


async def main(way: str) -> dict[str, Any]:
    """Play, black-hole, wait until trades flow again."""
    tape = synthetic_tape(START_MS, markets=[MARKET], end_ms=START_MS + 600_000)
    bus, batches = MemoryBus(), list[TradeBatch]()
    async with Simulator([tape], speed=1.0) as sim:
        urls, relay = dict(sim.urls), None
        ws_port = int(urls["binance_spot_ws_url"].rpartition(":")[2])
        if way == "proxy":
            relay = Relay(ws_port)
            urls["binance_spot_ws_url"] = f"ws://127.0.0.1:{await relay.start()}"
        settings = read_settings({}, symbols="BTCUSDT", venues="binance", markets="spot", **urls)
        collector = CollectorService(settings, bus, "binance")
        subscription = await bus.subscribe(TRADES, "test")

        async def listen() -> None:
            while True:
                for delivery in await subscription.next():
                    batches.extend(
                        m for m in delivery.messages
                        if isinstance(m, TradeBatch) and m.source == "live"
                    )  # fmt: skip

        listening = asyncio.create_task(listen())
        await collector.start()
        try:
            await until(lambda: len(batches) > 5)
            if relay is None:
                held = await asyncio.to_thread(drop_present, ws_port)
            else:
                held = relay.count
                relay.fall_silent()
            await asyncio.sleep(0.5)
            seen = len(batches)
            back_s = await until(lambda: len(batches) > seen)
            (feed,) = [f for f in collector.statuses() if f.connection.endswith("1a")]
        finally:
            await collector.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            if relay is not None:
                relay.server.close()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(relay.server.wait_closed(), 1)
    found = {"way": way, "held": held, "back_s": round(back_s + 0.5, 2)}
    return found | {"causes": feed.causes, "connects": feed.connects}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1]))) + "\n")
