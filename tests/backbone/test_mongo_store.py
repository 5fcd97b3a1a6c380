"""What is MongoDB's own: rights, indexes, validation, expiry, elections, and URIs that won't do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import store_support
from bson.datetime_ms import DatetimeMS
from mongo_support import (
    URI_VARIABLE,
    MongoServer,
    ReplicaProxy,
    drop_database,
    mongo_server,
    replica_set,
)
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from backbone.clock import wall_ms
from backbone.settings import read_settings
from backbone.store.base import FOOTPRINTS, VOLUME_PROFILE, Query, Record
from backbone.store.mongo import MongoStore
from backbone.store.mongo_client import mongo_uri
from backbone.store.mongo_schema import CHECKPOINTS, EXPIRY, META, SERIES
from orderflow.errors import ConfigError, StoreError

HOUR_MS = 3_600_000
GOOD = "mongodb://processor:s3cret@db1,db2/?replicaSet=rs0&tls=true"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with mongo_server(tmp_path_factory.mktemp("own")) as started:
        yield started


@pytest.fixture
def database() -> str:
    return f"wadm_{uuid.uuid4().hex[:10]}"


@pytest.fixture
def uri(request: pytest.FixtureRequest) -> str:
    """The set that `make test-mongo` names, else a server of our own."""
    named = os.environ.get(URI_VARIABLE)
    return named or request.getfixturevalue("server").uri()


@pytest.fixture
async def store(uri: str, database: str) -> AsyncIterator[MongoStore]:
    made = MongoStore(uri, database)
    await made.open("live")
    yield made
    await made.close()
    if URI_VARIABLE in os.environ:
        await asyncio.to_thread(drop_database, uri, database)


def record(start: int, revision: int = 0, **changes: Any) -> Record:
    own = {"expires_at_ms": wall_ms() + HOUR_MS, "body": {"rows": [start, revision]}}
    return store_support.record(start, revision, **(own | changes))


def query(collection: str = FOOTPRINTS, limit: int = 1_000) -> Query:
    return Query(collection, "v:spot:ABC", "1m", 0, 10**9, wall_ms(), limit)


def stages(plan: dict[str, Any]) -> list[tuple[str, str | None]]:
    """(stage, index) from the top of a plan to its source."""
    found = [(plan["stage"], plan.get("indexName"))]
    inner = plan.get("inputStage")
    return found + (stages(inner) if inner else [])


@pytest.mark.parametrize("collection", [FOOTPRINTS, VOLUME_PROFILE])
async def test_questions_use_their_index(store: MongoStore, collection: str) -> None:
    """A series is found by its index, what expired by the other; nothing is searched through."""
    await store.put([record(k, k % 3, collection=collection) for k in range(300)])
    plan = await store._found(query(collection, 10)).explain()
    assert ("IXSCAN", SERIES) in stages(plan["queryPlanner"]["winningPlan"])
    expired = {"expires_at": {"$lte": DatetimeMS(wall_ms())}}
    plan = await store._database[collection].find(expired).explain()
    assert ("IXSCAN", EXPIRY) in stages(plan["queryPlanner"]["winningPlan"])


async def test_database_deletes_what_expired(store: MongoStore) -> None:
    """The TTL monitor really deletes; a reader does not see the record even before that."""
    await store.put([record(1, expires_at_ms=wall_ms() - 1), record(2)])
    assert [r.start_ms for r in await store.query(query())] == [2]
    async with asyncio.timeout(180):
        while len(await store.scan(FOOTPRINTS, None, 9)) > 1:  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0.1)
    assert [r.start_ms for r in await store.scan(FOOTPRINTS, None, 9)] == [2]


async def test_validation(store: MongoStore) -> None:
    """The database itself refuses what is no record or no checkpoint, whoever writes it."""
    await store.put([record(1)])
    good = await store._database[FOOTPRINTS].find_one({}, {"_id": False})
    assert good is not None
    good["start_ms"] = 2
    bad = [good | {"start_ms": "2"}, good | {"body": {"60000": 1}}, good | {"more": 1}, {"a": 1}]
    for document in bad:
        with pytest.raises(PyMongoError, match="validation"):
            await store._database[FOOTPRINTS].insert_one(dict(document))
    with pytest.raises(PyMongoError, match="validation"):
        await store._database[CHECKPOINTS].insert_one({"name": "a", "slot": 7})
    assert await store._database[FOOTPRINTS].count_documents({}) == 1


async def test_all_or_nothing_across_chunks(store: MongoStore) -> None:
    """A write that fails in its second chunk leaves nothing of its first."""
    await store.put([record(500)])
    records = [record(k) for k in range(120)]
    records[100] = record(100, published_at_ms=-1)
    with pytest.raises(StoreError, match="code"):
        await store.put(records)
    assert [r.start_ms for r in await store.query(query())] == [500]


async def test_least_rights(server: MongoServer, database: str) -> None:
    """The processor's user needs readWrite on its database; the server's user can only read."""
    server.add_user(f"p_{database}", "one", "readWrite", database)
    server.add_user(f"s_{database}", "two", "read", database)
    reader = MongoStore(server.uri(f"s_{database}", "two"), database, read_only=True)
    with pytest.raises(StoreError, match="start the processor first"):
        await reader.open("live")
    writer = MongoStore(server.uri(f"p_{database}", "one"), database)
    await writer.open("live")
    await writer.put([record(1)])
    await writer.save_checkpoints({"a": b"1"})
    await reader.open("live")
    assert len(await reader.query(query())) == 1
    assert (await reader.sizes())[FOOTPRINTS] > 0
    with pytest.raises(StoreError, match="13"):
        await reader.put([record(2)])
    assert len(await writer.query(query())) == 1
    for each in (reader, writer):
        await each.close()
    other = MongoStore(server.uri(f"s_{database}", "two"), database, read_only=True)
    with pytest.raises(StoreError, match="live data, not simulated"):
        await other.open("simulated")
    await other.close()


async def test_wrong_password(server: MongoServer, database: str) -> None:
    """A refused user is a StoreError that repeats neither user nor password."""
    store = MongoStore(server.uri("root", "not-the-word"), database)
    with pytest.raises(StoreError, match="18") as caught:
        await store.open("live")
    assert "not-the-word" not in str(caught.value)
    await store.close()


async def test_newer_schema_is_refused(store: MongoStore, server: MongoServer) -> None:
    """A database that a newer version made is left alone."""
    await store._database[META].update_one({}, {"$set": {"schema": 99}})
    other = MongoStore(server.uri(), store.name)
    with pytest.raises(StoreError, match="schema 99"):
        await other.open("live")
    await other.close()


async def test_not_open() -> None:
    """A store that is not open says so."""
    with pytest.raises(StoreError, match="not open"):
        await MongoStore(GOOD, "x").put([record(1)])


# Elections


async def _until(condition: Any, wait_s: float = 20) -> None:
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _load(store: MongoStore, acked: list[int], reads: list[int]) -> AsyncIterator[None]:
    """Writes and checkpoints one after another, and reads beside them, until the block ends."""
    stop = asyncio.Event()

    async def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await store.put([record(number), record(number, collection=VOLUME_PROFILE)])
            await store.save_checkpoints({"a": str(number).encode()})
            acked.append(number)

    async def read() -> None:
        while not stop.is_set():
            reads.append(len(await store.query(query(limit=5))))

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())
        yield
        stop.set()


async def _check(store: MongoStore, acked: list[int]) -> None:
    """Every acknowledged write is there, once."""
    for collection in (FOOTPRINTS, VOLUME_PROFILE):
        found = await store.query(query(collection, 100_000))
        assert [r.start_ms for r in found][: len(acked)] == acked
    assert int((await store.load_checkpoints())["a"]) >= acked[-1]


@pytest.mark.slow
@pytest.mark.parametrize("majority", [True, False])
async def test_primary_dies_under_load(
    server: MongoServer, database: str, *, majority: bool
) -> None:
    """The primary is killed while writes and reads run, or two of three members: no acknowledged
    write is lost, no read fails, writes resume by themselves."""
    async with replica_set(server) as proxy:
        store = MongoStore(proxy.uri, database)
        await store.open("live")
        acked: list[int] = []
        reads: list[int] = []
        async with _load(store, acked, reads):
            await _until(lambda: len(acked) > 20)
            await _fall(proxy, majority=majority)
            before, read_before = len(acked), len(reads)
            await _until(lambda: len(acked) > before + 20 and len(reads) > read_before + 20)
        await _check(store, acked)
        await store.close()


async def _fall(proxy: ReplicaProxy, *, majority: bool) -> None:
    """An election after a second, or after three when a member has to come back first."""
    proxy.kill(0)
    if majority:
        await asyncio.sleep(1)
        proxy.elect()
        return
    proxy.kill(1)
    await asyncio.sleep(1)
    proxy.elect()
    assert proxy.primary is None
    await asyncio.sleep(2)
    await proxy.revive(1)
    proxy.elect()


async def test_step_down_under_load(server: MongoServer, database: str) -> None:
    """A primary that steps down loses nothing; on a real set where `make test-mongo` names one."""
    async with contextlib.AsyncExitStack() as stack:
        uri = os.environ.get(URI_VARIABLE)
        if uri is None:
            uri = (await stack.enter_async_context(replica_set(server))).uri
        store = MongoStore(uri, database)
        await store.open("live")
        acked: list[int] = []
        reads: list[int] = []
        async with _load(store, acked, reads), AsyncMongoClient(uri) as admin:
            await _until(lambda: len(acked) > 20)
            await admin.admin.command({"replSetStepDown": 30, "secondaryCatchUpPeriodSecs": 10})
            before = len(acked)
            await _until(lambda: len(acked) > before + 20, 60)
        await _check(store, acked)
        await store.close()
        await asyncio.to_thread(drop_database, uri, database)


async def test_reads_go_on_without_a_primary(server: MongoServer, database: str) -> None:
    """History is answered by a secondary while there is no primary."""
    async with replica_set(server) as proxy:
        store = MongoStore(proxy.uri, database)
        await store.open("live")
        await store.put([record(1)])
        proxy.kill(0)
        async with asyncio.timeout(5):
            assert len(await store.query(query())) == 1
        await store.close()


# URIs


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "WADM_MONGO_URI_FILE"),
        ("http://x", "must look like"),
        ("mongodb://us er:p@ss@db1/?replicaSet=rs0", "must look like"),
        ("mongodb://u:s3cret@db1/?tls=true", "replica set"),
        ("mongodb://db1/?replicaSet=rs0&tls=true", "name a user"),
        ("mongodb://u:s3cret@db1/?replicaSet=rs0", "TLS"),
        ("mongodb://u:s3cret@127.0.0.1,db2/?replicaSet=rs0", "TLS"),
        (GOOD + "&tlsInsecure=true", "verify"),
        (GOOD + "&tlsAllowInvalidCertificates=true", "verify"),
    ],
)
def test_refused_uris(uri: str, message: str) -> None:
    """A URI names set, user and verified TLS, or the fix; no part of it is repeated."""
    with pytest.raises(ConfigError, match=message) as caught:
        mongo_uri(read_settings({}, store="mongo", mongo_uri=uri))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_uri_from_a_file(tmp_path: Path) -> None:
    """A file holds the secret; a missing one is named by its setting."""
    path = tmp_path / "uri"
    path.write_text(GOOD + "\n")
    assert mongo_uri(read_settings({}, mongo_uri_file=str(path))) == GOOD
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        mongo_uri(read_settings({}, mongo_uri_file=str(tmp_path / "none")))


def test_uri_on_this_machine() -> None:
    """Loopback needs a user but no TLS."""
    uri = "mongodb://u:p@127.0.0.1,localhost,[::1]/?replicaSet=rs0"
    assert mongo_uri(read_settings({}, mongo_uri=uri)) == uri


def test_settings_hide_the_uri() -> None:
    """The printed settings do not hold the secret."""
    assert "s3cret" not in repr(read_settings({}, mongo_uri=GOOD))


async def test_whatever_the_uri_says(server: MongoServer, database: str) -> None:
    """Weaker write rules in a URI are overruled."""
    weak = server.uri() + "&w=1&journal=false&retryWrites=false"
    store = MongoStore(weak, database)
    await store.open("live")
    client = store._client
    assert isinstance(client, AsyncMongoClient)
    assert client.write_concern.document == {"w": "majority", "j": True}
    assert client.options.retry_writes
    await store.close()
