"""What waits for the store gets there, however slow the store is."""

from __future__ import annotations

from collections.abc import Sequence

from backbone.store.base import FAR_FUTURE_MS, FOOTPRINTS, Fence, Record
from backbone.store.memory import MemoryStore
from orderflow.errors import StoreError
from processor.engine import Engine
from processor.share import Share
from processor.writer import FEWEST_RECORDS, PUT_RECORDS, Writer

INSTRUMENT = "somewhere:spot:ABCUSDT"
AT_ONCE = 2 * FEWEST_RECORDS


class SlowStore(MemoryStore):
    """Can't take more than a few records in its time limit."""

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        if len(records) > AT_ONCE:
            raise StoreError("too slow")
        await super().put(records, fence)


async def test_a_slow_store_gets_fewer_at_a_time() -> None:
    """Puts that are refused for their size become smaller until they pass: nothing is lost."""
    store = SlowStore()
    await store.open("simulated")
    now_ms = 0
    writer = Writer(Engine({}), store, lambda name: None, lambda: now_ms, Share(), apart=False)
    count = 2 * PUT_RECORDS
    writer.later(
        [
            Record(FOOTPRINTS, INSTRUMENT, "1m", n, 0, n, n, FAR_FUTURE_MS, {"n": n})
            for n in range(count)
        ]
    )
    for _ in range(20):
        now_ms += 60_000
        writer.persist(now_ms)
        if writer.writing is not None:
            await writer.writing
    assert writer.idle
    assert writer.failures >= 3
    assert writer.durable()
    found = await store.scan(FOOTPRINTS, None, 2 * count)
    assert [record.body["n"] for record in found] == list(range(count))
