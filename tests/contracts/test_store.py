"""The store contract, on every implementation."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from store_support import LATER_MS, query, record, store_settings
from store_support import mongo as mongo

from backbone.settings import Settings
from backbone.store import STORES
from backbone.store.base import (
    AUDIT,
    COLLECTIONS,
    DISTRIBUTIONS,
    EVENTS,
    EVERY_REVISION,
    FOOTPRINTS,
    VOLUME_PROFILE,
    Query,
    Record,
    Store,
    key_of,
)
from orderflow.errors import FencedError, StoreError


@pytest.fixture(params=sorted(STORES))
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    with store_settings(request.param, tmp_path, request) as chosen:
        yield chosen


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    made = STORES[settings.store](settings, "live")
    await made.open("live")
    yield made
    await made.close()


async def test_newest_revision_wins(store: Store) -> None:
    """In any order of writes the largest (revision, applied_through) stays."""
    versions = [(0, 5), (0, 9), (1, 2), (1, 3), (2, 1)]
    random.Random(3).shuffle(versions)
    for revision, through in versions:
        await store.put([record(60, revision, through)])
    (found,) = await store.query(query())
    assert (found.revision, found.applied_through_ms) == (2, 1)
    assert found.body == record(60, 2, 1).body


async def test_evidence_of_an_unchanged_bar_grows(store: Store) -> None:
    """What was published later replaces the same revision, what was published earlier does not."""
    for collection in (FOOTPRINTS, VOLUME_PROFILE):
        for published, state in ((5, "contiguous"), (9, "verified"), (7, "repairing")):
            body = {"state": state}
            await store.put(
                [record(0, collection=collection, published_at_ms=published, body=body)]
            )
        (found,) = await store.query(query(collection=collection))
        assert found.body == {"state": "verified"}


async def test_every_revision_is_kept(store: Store) -> None:
    """Profiles keep each revision as a record; a question gets the newest."""
    for revision in (0, 1, 2):
        await store.put([record(0, revision, collection=VOLUME_PROFILE)])
    before = await store.sizes()
    await store.put([record(0, 2, collection=VOLUME_PROFILE)])
    assert await store.sizes() == before
    (found,) = await store.query(query(collection=VOLUME_PROFILE))
    assert found.revision == 2


async def test_append_only(store: Store) -> None:
    """An entry of the audit is never replaced, whatever comes under its key, and a repeated write
    adds nothing; before it expires nothing removes it."""
    first = record(0, 1, collection=AUDIT, body={"actor": "a"})
    await store.put([first, record(5, collection=AUDIT)])
    for changes in ({"revision": 9}, {"published_at_ms": 9}, {"expires_at_ms": 1}):
        values = {"revision": 1, "collection": AUDIT, "body": {"actor": "b"}} | changes
        await store.put([record(0, **values), record(1, collection=AUDIT), record(1)])
    assert await store.query(query(collection=AUDIT, limit=1, end_ms=1)) == [first]
    assert [r.start_ms for r in await store.scan(AUDIT, None, 9)] == [0, 1, 5]
    await store.sweep(1)
    assert len(await store.scan(AUDIT, None, 9)) == 3


async def test_series_and_ranges(store: Store) -> None:
    """A question sees its own series, in [start, end), the newest `limit`, oldest first."""
    await store.put([record(start) for start in (3, 1, 2, 5)])
    await store.put([record(9, instrument="v:spot:DEF"), record(8, timeframe="5m")])
    found = await store.query(query(start_ms=1, end_ms=5, limit=2))
    assert [r.start_ms for r in found] == [2, 3]
    assert await store.query(query(instrument="v:spot:GHI")) == []


async def test_expiry(store: Store) -> None:
    """An expired record is never seen, before the sweep and after it."""
    at = LATER_MS + 50
    await store.put([record(1, expires_at_ms=at), record(2, expires_at_ms=at + 500)])
    assert [r.start_ms for r in await store.query(query(now_ms=at))] == [2]
    assert await store.sweep(at) == 1
    assert [r.start_ms for r in await store.query(query(now_ms=0))] == [2]


@pytest.mark.parametrize("collection", sorted(EVERY_REVISION))
async def test_as_of_every_revision(store: Store, collection: str) -> None:
    """Where every revision is kept, a question about the past gets the newest of that time."""
    for revision, published in ((0, 100), (1, 200), (2, 300)):
        await store.put(
            [record(7, revision, published_at_ms=published, collection=collection)],
        )
    found = {
        at: [r.revision for r in await store.query(query(collection=collection, as_of_ms=at))]
        for at in (99, 100, 250, 300)
    }
    assert found == {99: [], 100: [0], 250: [1], 300: [2]}
    (newest,) = await store.query(query(collection=collection))
    assert newest.revision == 2


async def test_as_of_newest_only(store: Store) -> None:
    """Elsewhere a record that was published later is not seen, and counts for no limit."""
    await store.put([record(1, published_at_ms=100), record(2, published_at_ms=200)])
    found = await store.query(query(as_of_ms=150, limit=1))
    assert [r.start_ms for r in found] == [1]


async def test_events_and_distributions(store: Store) -> None:
    """Pages of events are replaced by newer ones; pages of distributions are kept side by side."""
    for collection, kept in ((EVENTS, 1), (DISTRIBUTIONS, 2)):
        for revision in (0, 1):
            body = {"events": [{"id": "a", "n": revision}], "counts": [[-3, 4], [1, 2]]}
            await store.put([record(0, revision, collection=collection, body=body)])
        (found,) = await store.query(query(collection=collection))
        assert (found.revision, found.body["events"][0]["n"]) == (1, 1)
        assert found.body["counts"] == [[-3, 4], [1, 2]]
        assert await store.sweep(LATER_MS + 10**9) == kept


async def test_all_or_nothing(store: Store) -> None:
    """A record that can't be stored takes its whole write with it, and says why."""
    bad = record(2, body={"big": 2**70})
    with pytest.raises(StoreError, match="footprints"):
        await store.put([record(1), bad])
    assert await store.query(query()) == []


async def test_checkpoints(store: Store) -> None:
    """The newest generation of each name comes back."""
    await store.save_checkpoints({"a": b"1", "b": b"x" * 10_000})
    await store.save_checkpoints({"a": b"2"})
    await store.save_checkpoints({"a": b"3"})
    assert await store.load_checkpoints() == {"a": b"3", "b": b"x" * 10_000}


async def test_sizes(store: Store) -> None:
    """Sizes name every collection."""
    assert set(await store.sizes()) == {*COLLECTIONS, "checkpoints"}


async def test_source_is_remembered(settings: Settings) -> None:
    """A store belongs to one source and refuses the other by name."""
    one = STORES[settings.store](settings, "live")
    await one.open("live")
    if settings.store == "memory":
        with pytest.raises(StoreError, match="live"):
            await one.open("simulated")
        return
    await one.close()
    other = STORES[settings.store](settings, "live")
    with pytest.raises(StoreError, match=r"live data.*WADM_"):
        await other.open("simulated")
    await other.close()


async def test_reopened(settings: Settings) -> None:
    """What was written is there after closing and opening; a third generation is as good."""
    if settings.store == "memory":
        pytest.skip("memory forgets")
    for turn in range(3):
        store = STORES[settings.store](settings, "live")
        await store.open("live")
        assert len(await store.query(query())) == turn
        await store.put([record(turn)])
        await store.save_checkpoints({"a": str(turn).encode()})
        assert await store.load_checkpoints() == {"a": str(turn).encode()}
        await store.close()


async def test_scan(store: Store) -> None:
    """Every record comes once, in key order, page by page: every revision, expired ones too."""
    made = [
        record(start, revision, instrument=name, timeframe=frame, collection=VOLUME_PROFILE)
        for name in ("v:spot:B", "v:spot:A")
        for frame in ("1m", "5m")
        for start in (0, 60)
        for revision in (1, 0)
    ]
    await store.put([*made, record(5, expires_at_ms=LATER_MS)])
    for limit in (1, 3, 16, 100):
        found: list[Record] = []
        while page := await store.scan(VOLUME_PROFILE, key_of(found[-1]) if found else None, limit):
            assert len(page) <= limit
            found += page
        assert found == sorted(made, key=key_of)
    assert [r.expires_at_ms for r in await store.scan(FOOTPRINTS, None, 5)] == [LATER_MS]


async def test_long_write(store: Store) -> None:
    """More records than fit in a chunk are one write; repeating it changes nothing."""
    made = [record(start, body={"x": "y" * 500}) for start in range(230)]
    for _ in range(2):
        await store.put(made)
        assert await store.query(query()) == made
    await store.put([])
    assert await store.query(query(limit=3)) == made[-3:]


async def test_identical_answers(
    request: pytest.FixtureRequest, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Any order of any writes leaves every store with the same answers."""
    with contextlib.ExitStack() as folders:
        stores: dict[str, Store] = {}
        for name in sorted(STORES):
            chosen = store_settings(name, tmp_path / name, request)
            stores[name] = STORES[name](folders.enter_context(chosen), "live")
            await stores[name].open("live")
        draw = random.Random(11)
        for _ in range(12):
            written = [_any_record(draw) for _ in range(draw.randrange(1, 70))]
            for each in stores.values():
                await each.put(written)
        for _ in range(60):
            asked = _any_query(draw)
            answers = {name: await each.query(asked) for name, each in stores.items()}
            with subtests.test(asked=asked):
                assert answers["sqlite"] == answers["memory"] == answers["mongo"]
        for collection in COLLECTIONS:
            pages = [await each.scan(collection, None, 10_000) for each in stores.values()]
            assert all(page == pages[0] for page in pages)
        for each in stores.values():
            await each.close()


def _any_record(draw: random.Random) -> Record:
    start, revision = draw.randrange(0, 10), draw.randrange(0, 3)
    return record(
        start,
        revision,
        draw.randrange(0, 3),
        collection=draw.choice((FOOTPRINTS, VOLUME_PROFILE, EVENTS)),
        instrument=draw.choice(("v:spot:ABC", "v:perp:ABC")),
        timeframe=draw.choice(("1m", "5m")),
        published_at_ms=draw.randrange(0, 9),
        expires_at_ms=LATER_MS + draw.randrange(1, 100),
        body={"n": [draw.randrange(-(2**63), 2**63), None, b"\x00\xff", {"k": ["v", 0.5]}]},
    )


def _any_query(draw: random.Random) -> Query:
    return query(
        collection=draw.choice((FOOTPRINTS, VOLUME_PROFILE, EVENTS)),
        instrument=draw.choice(("v:spot:ABC", "v:perp:ABC")),
        timeframe=draw.choice(("1m", "5m")),
        as_of_ms=draw.choice((None, 2, 5)),
        start_ms=draw.randrange(0, 6),
        end_ms=draw.randrange(4, 12),
        now_ms=LATER_MS + draw.randrange(0, 100),
        limit=draw.choice((1, 3, 1_000)),
    )


async def test_a_former_owner_writes_nothing(store: Store) -> None:
    """Once a scope is taken again, every write under the fence before is refused as a whole, and
    the new owner's are not; other scopes and writes without a fence go on."""
    before, other = await store.take("parts-2/0"), await store.take("parts-2/1")
    await store.put([record(1)], before)
    await store.save_checkpoints({"a": b"1"}, before)
    after = await store.take("parts-2/0")
    assert after.epoch > before.epoch
    with pytest.raises(FencedError):
        await store.put([record(2)], before)
    with pytest.raises(FencedError):
        await store.save_checkpoints({"a": b"2", "b": b"2"}, before)
    await store.put([record(3)], after)
    await store.put([record(4)], other)
    await store.put([record(5)])
    await store.save_checkpoints({"a": b"3"}, after)
    assert [r.start_ms for r in await store.query(query())] == [1, 3, 4, 5]
    assert await store.load_checkpoints() == {"a": b"3"}


async def test_a_fence_outlives_its_process(settings: Settings, store: Store) -> None:
    """Another process takes over: it reads the newest checkpoints of the names it wants, and what
    it saves is newer than what the one before it saved, whoever opened the store first."""
    if settings.store == "memory":
        pytest.skip("a store of one process")
    before = await store.take("p-1/0")
    successor = STORES[settings.store](settings, "live")
    await successor.open("live")
    try:
        for number in range(5):
            await store.save_checkpoints({"a": b"%d" % number, "c": b"c"}, before)
        after = await successor.take("p-1/0")
        assert await successor.load_checkpoints(wanted="a".__eq__) == {"a": b"4"}
        await successor.save_checkpoints({"a": b"5"}, after)
        with pytest.raises(FencedError):
            await store.save_checkpoints({"a": b"late"}, before)
        assert await store.load_checkpoints() == {"a": b"5", "c": b"c"}
        assert (await store.take("p-1/0")).epoch > after.epoch
    finally:
        await successor.close()


async def test_taking_a_scope_ends_a_write_under_way(store: Store) -> None:
    """A write that began before the scope was taken is whole or not there at all."""
    before = await store.take("p-1/0")
    records = [record(start) for start in range(200)]
    writing = asyncio.create_task(store.put(records, before))
    await store.take("p-1/0")
    refused = (await asyncio.gather(writing, return_exceptions=True))[0]
    found = await store.query(query(limit=500))
    assert len(found) == (0 if isinstance(refused, FencedError) else 200)
    assert refused is None or isinstance(refused, FencedError)


async def test_another_layout_ends_all_owners_of_the_one_before(store: Store) -> None:
    """Whoever takes a part of another number of parts makes writes of every part before refused,
    those of its own layout and of other families go on."""
    before = [await store.take(f"parts-3/{number}") for number in range(3)]
    other = await store.take("others-3/0")
    first = await store.take("parts-12/0")
    second = await store.take("parts-12/1")
    for fence in before:
        with pytest.raises(FencedError):
            await store.put([record(1)], fence)
    for fence in (first, second, other):
        await store.put([record(2)], fence)
