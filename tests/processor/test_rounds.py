"""With many streams trades wait for the round in which time is told, and nobody sees it."""

from __future__ import annotations

from spot_support import announced

from backbone.bus.memory import MemoryBus
from backbone.settings import Settings
from backbone.store.memory import MemoryStore
from orderflow.trade import Connected, TradeBatch, Watermark
from processor.service import ROUND_MS_PER_STREAM, TICK_MS, ProcessorService
from processor.told import AT_A_TIME

START_MS = 1_735_689_600_000
MANY = 400
NAMES = [f"somewhere:spot:Q{number:03}USDT" for number in range(MANY)]


class Late(ProcessorService):
    """A clock that only the test moves; work takes no time."""

    perf_s = staticmethod(lambda: 0.0)


def trade(name: str, key: int, at_ms: int) -> TradeBatch:
    return TradeBatch(name, [key], [at_ms], [1_000], [5], [1])


def applied(service: ProcessorService) -> int:
    return sum(stream.ledger.counts.applied for stream in service.engine.streams.values())


async def test_trades_of_many_streams_wait_for_their_round() -> None:
    """Between two rounds only what is asked for is applied, no position is acknowledged as applied,
    and with the round everything is, before any minute closes."""
    mono_ms = 1_000_000
    service = Late(Settings(), MemoryBus(), MemoryStore(), "simulated", lambda: mono_ms)
    await service._apply([announced(name) for name in NAMES])
    await service._apply([Connected(NAMES, "c", START_MS)])
    marked: list[int] = []
    service.writer.mark = lambda: marked.append(applied(service))  # type: ignore[method-assign]
    await service._apply([trade(name, 1, START_MS + 1) for name in NAMES])
    for _ in range(MANY // AT_A_TIME + 1):
        mono_ms += int(ROUND_MS_PER_STREAM * MANY)
        await service.tick()
    assert applied(service) == marked[-1] == MANY
    marked = marked[-1:]
    mono_ms += TICK_MS
    await service._apply([trade(name, 2, START_MS + 2) for name in NAMES])
    await service._apply([Watermark(NAMES, START_MS + 70_000, "c")])
    await service.tick()
    assert (applied(service), marked) == (MANY, [MANY])
    assert service.view.stream(NAMES[7]).applied == 2
    assert applied(service) == MANY + 1
    mono_ms += int(ROUND_MS_PER_STREAM * MANY) - TICK_MS
    await service.tick()
    while service._round:
        await service.tick()
    assert applied(service) == 2 * MANY
    assert set(marked[1:]) == {2 * MANY}
    streams = service.engine.streams.values()
    assert all(stream.closed_minutes == 1 for stream in streams)
    assert all(
        stream.minutes[START_MS].bar(stream.instrument).flow.trades == 2 for stream in streams
    )
