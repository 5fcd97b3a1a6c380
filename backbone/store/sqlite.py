"""SqliteStore: the embedded default. WAL, one writer thread, readers on their own connection.

Records are written with synchronous=NORMAL: a power cut may lose the newest of them, a killed
process loses none, and the checkpoint behind them makes them again. A checkpoint is written with
synchronous=FULL: once acknowledged it survives a power cut as well, and with it, since WAL commits
are ordered, every record before it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from backbone.store.base import (
    APPEND_ONLY,
    COLLECTIONS,
    Fence,
    Key,
    Query,
    Readable,
    Record,
    Wanted,
    always,
    kept_revision,
    layout_of,
)
from backbone.store.frame import framed, unframed
from backbone.store.memory import encode_body
from backbone.store.sqlite_statements import (
    APPEND,
    FIXED_TABLES,
    ONLY_APPENDED,
    OUTDATE,
    SCAN,
    SELECT,
    TABLE,
    TAKE,
    UPSERT,
    Durable,
    Transaction,
)
from orderflow.encoding import INT64_MAX
from orderflow.errors import StoreError

SCHEMA = 1
BUSY_S = 5.0
ENCODED_PER_TURN = 50
"""Bodies encoded before the event loop may turn."""
T = TypeVar("T")


class SqliteStore:
    """Implements the store port on one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._write: sqlite3.Connection | None = None
        self._read: sqlite3.Connection | None = None
        self._series: dict[tuple[str, str], int] = {}

    async def _on_writer(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._writer, lambda: work(self._opened(self._write)))

    async def _on_reader(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._reader, lambda: work(self._opened(self._read)))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path.name}: {error}; check disk space and rights") from error

    def _opened(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise StoreError("the store is not open")
        return connection

    async def open(self, source: str) -> None:
        """Create or check the file; StoreError when it belongs to another source or schema."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        await self._run(self._writer, lambda: self._prepare(source))
        await self._run(self._reader, self._connect_reader)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _connect_reader(self) -> None:
        self._read = self._connect()
        self._read.execute("PRAGMA query_only=ON")

    def _prepare(self, source: str) -> None:
        connection = self._write = self._connect()
        tables = "".join(TABLE.format(name=name) for name in COLLECTIONS)
        tables += "".join(ONLY_APPENDED.format(name=name) for name in sorted(APPEND_ONLY))
        connection.executescript(f"BEGIN; {FIXED_TABLES} {tables} COMMIT;")
        known = dict(connection.execute("SELECT key, value FROM meta"))
        if known.get("schema", str(SCHEMA)) != str(SCHEMA):
            raise StoreError(f"{self.path.name} has schema {known['schema']}, not {SCHEMA}")
        if known.get("source", source) != source:
            raise StoreError(
                f"{self.path.name} holds {known['source']} data, not {source}; "
                "give another folder with WADM_DATA_DIR"
            )
        rows = [("schema", str(SCHEMA)), ("source", source)]
        connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", rows)
        for number, instrument, timeframe in connection.execute("SELECT * FROM series"):
            self._series[instrument, timeframe] = number

    async def take(self, scope: str) -> Fence:
        """Count the scope's epochs, durably."""
        return await self._on_writer(lambda connection: self._take(connection, scope))

    def _take(self, connection: sqlite3.Connection, scope: str) -> Fence:
        family, layout = layout_of(scope)
        with Durable(connection), Transaction(connection):
            connection.execute(OUTDATE, {"family": family, "layout": layout})
            (epoch,) = connection.execute(TAKE, (scope,)).fetchone()
        return Fence(scope, int(epoch))

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        """One transaction."""
        bodies: list[bytes] = []
        for record in records:
            bodies.append(encode_body(record))
            if len(bodies) % ENCODED_PER_TURN == 0:
                await asyncio.sleep(0)
        await self._on_writer(lambda connection: self._put(connection, records, bodies, fence))

    def _put(
        self,
        connection: sqlite3.Connection,
        records: Sequence[Record],
        bodies: Sequence[bytes],
        fence: Fence | None,
    ) -> None:
        numbers: dict[tuple[str, str], int] = {}
        with Transaction(connection, fence):
            for record, body in zip(records, bodies, strict=True):
                kept = kept_revision(record)
                series = (record.instrument, record.timeframe)
                if series not in numbers:
                    numbers[series] = self._number(connection, *series)
                values = (
                    numbers[series],
                    record.start_ms,
                    kept,
                    record.revision,
                    record.applied_through_ms,
                    record.published_at_ms,
                    record.expires_at_ms,
                    body,
                )
                statement = APPEND if record.collection in APPEND_ONLY else UPSERT
                connection.execute(statement.format(name=record.collection), values)
        self._series.update(numbers)

    def _number(self, connection: sqlite3.Connection, instrument: str, timeframe: str) -> int:
        """The number of a series; a new one commits with the records that need it."""
        known = self._series.get((instrument, timeframe))
        if known is not None:
            return known
        row = (instrument, timeframe)
        connection.execute(
            "INSERT OR IGNORE INTO series (instrument, timeframe) VALUES (?, ?)", row
        )
        found = connection.execute(
            "SELECT id FROM series WHERE instrument = ? AND timeframe = ?", row
        ).fetchone()
        return int(found[0])

    async def query(self, query: Query) -> list[Record]:
        """Records of a series, oldest first, the newest revision of each start."""
        return await self._on_reader(lambda connection: self._query(connection, query))

    def _query(self, connection: sqlite3.Connection, query: Query) -> list[Record]:
        row = (query.instrument, query.timeframe)
        series = connection.execute(
            "SELECT id FROM series WHERE instrument = ? AND timeframe = ?", row
        ).fetchone()
        if series is None:
            return []
        as_of_ms = INT64_MAX if query.as_of_ms is None else query.as_of_ms
        span = (series[0], query.start_ms, query.end_ms, query.now_ms, as_of_ms, query.limit)
        rows = connection.execute(SELECT.format(name=query.collection), span).fetchall()
        series_of = (query.collection, query.instrument, query.timeframe)
        return [_record(*series_of, row) for row in reversed(rows)]

    async def scan(self, collection: str, after: Key | None, limit: int) -> list[Record]:
        """Up to `limit` records behind a key, in key order, every revision."""
        return await self._on_reader(
            lambda connection: self._scan(connection, collection, after, limit)
        )

    def _scan(
        self, connection: sqlite3.Connection, collection: str, after: Key | None, limit: int
    ) -> list[Record]:
        found: list[Record] = []
        first = ("", "") if after is None else after[:2]
        series = connection.execute(
            "SELECT id, instrument, timeframe FROM series WHERE (instrument, timeframe) >= (?, ?) "
            "ORDER BY instrument, timeframe",
            first,
        ).fetchall()
        for number, instrument, timeframe in series:
            behind = after[2:] if after and (instrument, timeframe) == first else (-1, -1)
            rows = connection.execute(
                SCAN.format(name=collection), (number, *behind, limit - len(found))
            )
            found += [_record(collection, instrument, timeframe, row) for row in rows]
            if len(found) == limit:
                break
        return found

    async def save_checkpoints(
        self, checkpoints: Mapping[str, bytes], fence: Fence | None = None
    ) -> None:
        """One durable transaction; each name has two slots, the older one is overwritten."""
        await self._on_writer(lambda connection: self._save(connection, checkpoints, fence))

    def _save(
        self,
        connection: sqlite3.Connection,
        checkpoints: Mapping[str, bytes],
        fence: Fence | None,
    ) -> None:
        with Durable(connection), Transaction(connection, fence):
            for name, blob in checkpoints.items():
                slots = dict(
                    connection.execute(
                        "SELECT slot, generation FROM checkpoints WHERE name = ?", (name,)
                    )
                )
                slot = min((0, 1), key=lambda slot: slots.get(slot, -1))
                generation = max(slots.values(), default=0) + 1
                connection.execute(
                    "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)",
                    (name, slot, generation, framed(blob)),
                )

    async def load_checkpoints(
        self, readable: Readable = always, wanted: Wanted = always
    ) -> dict[str, bytes]:
        """The newest good and readable generation of each."""
        return await self._on_writer(lambda connection: self._load(connection, readable, wanted))

    def _load(
        self, connection: sqlite3.Connection, readable: Readable, wanted: Wanted
    ) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        names = connection.execute("SELECT DISTINCT name FROM checkpoints ORDER BY name").fetchall()
        for name in [name for (name,) in names if wanted(name)]:
            for (data,) in connection.execute(
                "SELECT data FROM checkpoints WHERE name = ? ORDER BY generation DESC", (name,)
            ):
                if (blob := unframed(data)) is not None and readable(blob):
                    found[name] = blob
                    break
        return found

    async def sweep(self, now_ms: int) -> int:
        """Delete expired records."""
        return await self._on_writer(lambda connection: self._sweep(connection, now_ms))

    def _sweep(self, connection: sqlite3.Connection, now_ms: int) -> int:
        return sum(
            connection.execute(
                f"DELETE FROM {name} WHERE expires_at_ms <= ?",  # noqa: S608 (our own names)
                (now_ms,),
            ).rowcount
            for name in COLLECTIONS
        )

    async def sizes(self) -> dict[str, int]:
        """Bytes of keys and bodies per collection."""
        return await self._on_reader(self._sizes)

    def _sizes(self, connection: sqlite3.Connection) -> dict[str, int]:
        sizes = {}
        for name in COLLECTIONS:
            query = f"SELECT count(*), sum(length(body)) FROM {name}"  # noqa: S608 (our own names)
            count, size = connection.execute(query).fetchone()
            sizes[name] = (size or 0) + 48 * count
        size = connection.execute("SELECT sum(length(data)) FROM checkpoints").fetchone()[0]
        sizes["checkpoints"] = size or 0
        return sizes

    async def close(self) -> None:
        """Close both connections and stop the threads."""
        for pool, connection in ((self._reader, self._read), (self._writer, self._write)):
            if connection is not None:
                await self._run(pool, connection.close)
            pool.shutdown()
        self._read = self._write = None


def _record(collection: str, instrument: str, timeframe: str, row: Sequence[Any]) -> Record:
    start_ms, revision, applied_through_ms, published_at_ms, expires_at_ms, body = row
    return Record(
        collection=collection,
        instrument=instrument,
        timeframe=timeframe,
        start_ms=start_ms,
        revision=revision,
        applied_through_ms=applied_through_ms,
        published_at_ms=published_at_ms,
        expires_at_ms=expires_at_ms,
        body=msgspec.msgpack.decode(body),
    )
