"""What SqliteStore says to the database: tables, statements and transactions."""

from __future__ import annotations

import sqlite3

from backbone.store.base import Fence, refused

TABLE = """
CREATE TABLE IF NOT EXISTS {name} (
  series INTEGER NOT NULL, start_ms INTEGER NOT NULL, kept_revision INTEGER NOT NULL,
  revision INTEGER NOT NULL, applied_through_ms INTEGER NOT NULL,
  published_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (series, start_ms, kept_revision)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {name}_expiry ON {name} (expires_at_ms);
"""
FIXED_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
  id INTEGER PRIMARY KEY, instrument TEXT NOT NULL, timeframe TEXT NOT NULL,
  UNIQUE (instrument, timeframe)
);
CREATE TABLE IF NOT EXISTS checkpoints (
  name TEXT NOT NULL, slot INTEGER NOT NULL, generation INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (name, slot)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fences (scope TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
"""
OUTDATE = """
UPDATE fences SET epoch = epoch + 1
WHERE substr(scope, 1, length(:family)) = :family AND substr(scope, 1, length(:layout)) != :layout
"""
TAKE = """
INSERT INTO fences VALUES (?, 1) ON CONFLICT (scope) DO UPDATE SET epoch = epoch + 1
RETURNING epoch
"""
UPSERT = """
INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (series, start_ms, kept_revision) DO UPDATE SET
  revision = excluded.revision, applied_through_ms = excluded.applied_through_ms,
  published_at_ms = excluded.published_at_ms, expires_at_ms = excluded.expires_at_ms,
  body = excluded.body
WHERE (excluded.revision, excluded.applied_through_ms, excluded.published_at_ms)
  >= (revision, applied_through_ms, published_at_ms)
"""
APPEND = "INSERT OR IGNORE INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
ONLY_APPENDED = """
CREATE TRIGGER IF NOT EXISTS {name}_unchanged BEFORE UPDATE ON {name}
BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END;
CREATE TRIGGER IF NOT EXISTS {name}_unremoved BEFORE DELETE ON {name}
WHEN old.expires_at_ms > CAST(strftime('%s', 'now') AS INTEGER) * 1000
BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END;
"""
SELECT = """
SELECT start_ms, max(revision), applied_through_ms, published_at_ms, expires_at_ms, body
FROM {name} WHERE series = ? AND start_ms >= ? AND start_ms < ? AND expires_at_ms > ?
AND published_at_ms <= ?
GROUP BY start_ms ORDER BY start_ms DESC LIMIT ?
"""

SCAN = """
SELECT start_ms, revision, applied_through_ms, published_at_ms, expires_at_ms, body
FROM {name} WHERE series = ? AND (start_ms, kept_revision) > (?, ?)
ORDER BY start_ms, kept_revision LIMIT ?
"""


class Durable:
    """Commits inside survive a power cut."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self.connection.execute("PRAGMA synchronous=FULL")

    def __exit__(self, *_: object) -> None:
        self.connection.execute("PRAGMA synchronous=NORMAL")


class Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK when the body failed; nothing behind a fence that
    was taken anew."""

    def __init__(self, connection: sqlite3.Connection, fence: Fence | None = None) -> None:
        self.connection = connection
        self.fence = fence

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        if self.fence is not None:
            asked = (self.fence.scope,)
            row = self.connection.execute("SELECT epoch FROM fences WHERE scope = ?", asked)
            if row.fetchone() != (self.fence.epoch,):
                self.connection.execute("ROLLBACK")
                raise refused(self.fence)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.connection.execute("COMMIT")
        elif self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
