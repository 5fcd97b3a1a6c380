"""A whole system against the simulator, in this process, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backbone.settings import read_settings
from simulator.clock import MAX
from simulator.faults import FaultPlan
from simulator.service import Simulator
from simulator.tape import Tape
from wadm.compose import SIMULATED, System, opened_store

WAIT_S = 600.0


class Journey:
    """A running system, its simulator and an HTTP client."""

    def __init__(self, system: System, simulator: Simulator, client: httpx2.AsyncClient) -> None:
        self.system = system
        self.simulator = simulator
        self.client = client

    @property
    def base_url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.system.port}"

    async def get(self, path: str, **params: Any) -> Any:
        """A JSON answer, which must be good."""
        response = await self.client.get(self.base_url + path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def until(self, condition: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
        """Wait for a condition, but not for ever."""
        try:
            async with asyncio.timeout(wait_s):
                while not condition():  # noqa: ASYNC110 (any condition, bounded)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            view = self.system.processor.view
            streams = [view.stream(i.name) for i in view.instruments()]
            pytest.fail(f"{what}: not within {wait_s} s; {streams} {self.system.feeds()}")

    async def until_played(self) -> None:
        """The whole tape has been sent, applied, closed and written."""
        await asyncio.wait_for(self.simulator.finished.wait(), WAIT_S)
        engine = self.system.processor.engine

        def settled() -> bool:
            return all(
                (stream.next_close_ms or 0) > stream.last_event_ms
                and not stream.evidence.wanted()
                and not stream.dirty
                for stream in engine.streams.values()
            )

        await self.until(settled, "everything closed")
        await self.until(lambda: self.system.processor.written, "everything written")


@contextlib.asynccontextmanager
async def journey(
    folder: Path,
    tapes: Sequence[Tape],
    *,
    speed: float | str = MAX,
    faults: FaultPlan | None = None,
    simulator: Simulator | None = None,
    **settings: Any,
) -> AsyncIterator[Journey]:
    """The system on a store in `folder`; every venue and market that a tape is for."""
    listed = [track.instrument for tape in tapes for track in tape.tracks]
    names = {item.name for item in listed}
    venues = sorted({item.venue for item in listed})
    markets = sorted({item.market for item in listed})
    symbols = sorted({item.symbol for item in listed})
    async with contextlib.AsyncExitStack() as stack:
        if simulator is None:
            simulator = await stack.enter_async_context(
                Simulator(tapes, speed=speed, faults=faults, start_after=len(names), hold=True)
            )
        chosen = read_settings(
            {},
            data_dir=str(folder),
            port=0,
            symbols=",".join(symbols),
            venues=",".join(venues),
            markets=",".join(markets),
            **({"backfill": "0"} | simulator.urls | settings),
        )
        store = await stack.enter_async_context(opened_store(chosen, SIMULATED))
        system = System(chosen, store, SIMULATED)
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=30))
        await stack.enter_async_context(system.running())
        yield Journey(system, simulator, client)
