"""The store port: immutable records in time, checkpoints, and what the store is for.

Contract (tests/contracts/test_store.py): a record replaces one of the same key only with a larger
(revision, applied_through_ms, published_at_ms) or the same, never with a smaller one, so that the
evidence of an unchanged bar can grow; collections in EVERY_REVISION keep each
revision as a record of its own, and a record in APPEND_ONLY is never replaced nor removed before
it expires; readers never see a record past its expiry; a `put` is all or
nothing; a checkpoint is returned as the newest generation whose checksum holds; a write under a
fence is refused as a whole once the fence's scope was taken anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec

from orderflow.errors import FencedError

FLOW_BARS = "flow_bars"
FOOTPRINTS = "footprints"
VOLUME_PROFILE = "volume_profile"
ORDER_FLOW = "order_flow"
EVENTS = "events"
DISTRIBUTIONS = "distributions"
DERIVATIVES = "derivatives"
INGESTION = "ingestion_status"
API_KEYS = "api_keys"
KEY_USAGE = "key_usage"
AUDIT = "audit"
SYSTEM_METRICS = "system_metrics"
COLLECTIONS = (
    FLOW_BARS,
    FOOTPRINTS,
    VOLUME_PROFILE,
    ORDER_FLOW,
    EVENTS,
    DISTRIBUTIONS,
    DERIVATIVES,
    INGESTION,
    API_KEYS,
    KEY_USAGE,
    AUDIT,
    SYSTEM_METRICS,
)
EVERY_REVISION = frozenset({VOLUME_PROFILE, DISTRIBUTIONS})
APPEND_ONLY = frozenset({AUDIT})
FAR_FUTURE_MS = 253_402_300_799_000
"""The end of the year 9999: the expiry of what is kept until somebody removes it."""


class Record(msgspec.Struct, gc=False, frozen=True):
    """One stored bar or report; `body` is plain data (str, int, bytes, lists, dicts, None)."""

    collection: str
    instrument: str
    timeframe: str
    start_ms: int
    revision: int
    applied_through_ms: int
    published_at_ms: int
    expires_at_ms: int
    body: Mapping[str, Any]


Key: TypeAlias = tuple[str, str, int, int]
"""(instrument, timeframe, start_ms, revision or 0) of a record: unique in its collection."""


def kept_revision(record: Record) -> int:
    """The revision where each is kept as a record of its own, else 0."""
    return record.revision if record.collection in EVERY_REVISION else 0


def key_of(record: Record) -> Key:
    """What makes a record unique in its collection."""
    return record.instrument, record.timeframe, record.start_ms, kept_revision(record)


class Query(msgspec.Struct, gc=False, frozen=True):
    """Records of one series with start_ms in [start_ms, end_ms); the newest revision of each.

    `now_ms` is wall time, for expiry. `limit` counts from the newest; order is oldest first.
    With `as_of_ms` (wall time) only what was published by then exists: in a collection of
    EVERY_REVISION the newest revision of that time, elsewhere the record unless it is newer.
    """

    collection: str
    instrument: str
    timeframe: str
    start_ms: int
    end_ms: int
    now_ms: int
    limit: int = 1_000
    as_of_ms: int | None = None


class Fence(NamedTuple):
    """The right to write for a scope, until somebody takes the scope again.

    The store counts how often a scope was taken; a write says in which of these epochs its writer
    took it, and the comparison is part of the write's own transaction. So a former owner that was
    cut off, paused or slow can't write behind its successor, whatever it believes.

    A scope is `<layout>/<part>`, a layout `<family>-<number>`: taking a part also ends every part
    of the family's other layouts.
    """

    scope: str
    epoch: int


Readable: TypeAlias = Callable[[bytes], bool]
"""Whether a checkpoint can be used; one that can't be makes way for the generation before."""


Wanted: TypeAlias = Callable[[str], bool]
"""Whether the checkpoint of this name is asked for."""


def always(blob: bytes | str) -> bool:
    """Any blob, any name will do."""
    return True


def layout_of(scope: str) -> tuple[str, str]:
    """Beginnings that scopes of the same family, and of the same layout, have."""
    layout = scope.partition("/")[0]
    return layout.rpartition("-")[0] + "-", layout + "/"


def refused(fence: Fence) -> FencedError:
    """The error for a write under a fence of before."""
    return FencedError(f"{fence.scope} was taken by another process after epoch {fence.epoch}")


class Store(Protocol):
    """Where bars, reports and checkpoints are kept."""

    async def open(self, source: str) -> None:
        """Ready the store; StoreError when it already holds data of another source."""
        ...

    async def take(self, scope: str) -> Fence:
        """Own this scope from now on: writes under every earlier fence of it, and of other
        layouts of its family, are refused."""
        ...

    async def put(self, records: Sequence[Record], fence: Fence | None = None) -> None:
        """Write records in one transaction, idempotent by key and revision; FencedError."""
        ...

    async def query(self, query: Query) -> list[Record]:
        """Records of a series, oldest first."""
        ...

    async def scan(self, collection: str, after: Key | None, limit: int) -> list[Record]:
        """Up to `limit` records behind a key, in key order: every revision, expired ones too."""
        ...

    async def save_checkpoints(
        self, checkpoints: Mapping[str, bytes], fence: Fence | None = None
    ) -> None:
        """Durably save one blob per name, in one transaction; two generations are kept;
        FencedError."""
        ...

    async def load_checkpoints(
        self, readable: Readable = always, wanted: Wanted = always
    ) -> dict[str, bytes]:
        """The newest blob with a good checksum that is `readable`, for every `wanted` name."""
        ...

    async def sweep(self, now_ms: int) -> int:
        """Delete expired records; returns how many."""
        ...

    async def sizes(self) -> dict[str, int]:
        """Bytes held per collection, keys included."""
        ...

    async def close(self) -> None:
        """Flush and release."""
        ...
