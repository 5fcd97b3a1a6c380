"""What was judged and what is to be sent, on disk before anything is sent.

One SQLite file. Memory and the messages that follow from it are written in one transaction; a
message is marked after its target answered. A kill in between sends it once more with the same id.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Self

import msgspec

from alerts.evaluation import Memory
from alerts.rule import Silence
from orderflow.errors import ConfigError, StoreError

MOST_PENDING = 1_000
"""Messages that may wait for one target; what comes then is dropped, and counted as such."""
KEPT_MS = 7 * 86_400_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS memory(
  rule TEXT NOT NULL, symbol TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(rule, symbol));
CREATE TABLE IF NOT EXISTS outbox(
  id TEXT NOT NULL, target TEXT NOT NULL, rule TEXT NOT NULL, body BLOB NOT NULL,
  created_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL, words TEXT NOT NULL DEFAULT '', PRIMARY KEY(id, target));
CREATE INDEX IF NOT EXISTS waiting ON outbox(target, state, due_ms);
CREATE TABLE IF NOT EXISTS silences(
  rule TEXT NOT NULL, symbol TEXT NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY(rule, symbol));
"""


class Message(NamedTuple):
    """One alert for one target."""

    id: str
    target: str
    rule: str
    body: bytes
    created_ms: int
    due_ms: int
    tries: int = 0


class Journal:
    """Use as a context; `alone` refuses a second process that would send the same things."""

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self.path = folder / "alerts.sqlite"
        self._lock: IO[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if alone:
            self._lock = self._locked(folder / "alerts.lock")
        try:
            self._db = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=30
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path.name}: {error}") from None

    def _locked(self, path: Path) -> IO[bytes]:
        handle = path.open("ab")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise ConfigError(
                "another process sends the alerts of this folder; stop it, or choose another "
                "WADM_DATA_DIR"
            ) from None
        return handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let others have it."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def memories(self) -> dict[tuple[str, str], Memory]:
        """What every rule knows of every symbol."""
        rows = self._db.execute("SELECT rule, symbol, data FROM memory").fetchall()
        return {(rule, name): msgspec.json.decode(data, type=Memory) for rule, name, data in rows}

    def commit(
        self, changed: dict[tuple[str, str], Memory], messages: Iterable[Message]
    ) -> list[Message]:
        """Write both or neither; gives the messages that had no room and are dropped.

        A message whose id and target are known already changes nothing.
        """
        dropped = []
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for (rule, symbol), memory in changed.items():
                row = (rule, symbol, msgspec.json.encode(memory))
                self._db.execute("INSERT OR REPLACE INTO memory VALUES(?, ?, ?)", row)
            for message in messages:
                room = self.waiting(message.target) < MOST_PENDING
                state = "waiting" if room else "dropped"
                put = self._db.execute(
                    "INSERT OR IGNORE INTO outbox VALUES(?, ?, ?, ?, ?, ?, ?, ?, '')",
                    (*message, state),
                )
                if put.rowcount and not room:
                    dropped.append(message)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return dropped

    def waiting(self, target: str) -> int:
        """How many messages wait for a target."""
        query = "SELECT count(*) FROM outbox WHERE target = ? AND state = 'waiting'"
        return int(self._db.execute(query, (target,)).fetchone()[0])

    def next_for(self, target: str) -> Message | None:
        """The message that is due first, due or not."""
        query = (
            "SELECT id, target, rule, body, created_ms, due_ms, tries FROM outbox "
            "WHERE target = ? AND state = 'waiting' ORDER BY due_ms, created_ms LIMIT 1"
        )
        row = self._db.execute(query, (target,)).fetchone()
        return None if row is None else Message(*row)

    def mark(self, message: Message, state: str, words: str, due_ms: int | None = None) -> None:
        """What became of a try; with `due_ms` it waits on."""
        self._db.execute(
            "UPDATE outbox SET state = ?, words = ?, tries = tries + 1, due_ms = ? "
            "WHERE id = ? AND target = ?",
            (
                state,
                words,
                message.due_ms if due_ms is None else due_ms,
                message.id,
                message.target,
            ),
        )

    def postpone(self, target: str, until_ms: int) -> None:
        """A target asked for a pause: all of its messages wait."""
        self._db.execute(
            "UPDATE outbox SET due_ms = max(due_ms, ?) WHERE target = ? AND state = 'waiting'",
            (until_ms, target),
        )

    def prune(self, now_ms: int) -> None:
        """Forget what was settled a week ago, and silences that are over."""
        before = now_ms - KEPT_MS
        self._db.execute(
            "DELETE FROM outbox WHERE state != 'waiting' AND created_ms < ?", (before,)
        )
        self._db.execute("DELETE FROM silences WHERE until_ms < ?", (now_ms,))

    def counts(self) -> dict[tuple[str, str], int]:
        """Messages by target and state: waiting, sent, refused, given_up, dropped."""
        query = "SELECT target, state, count(*) FROM outbox GROUP BY target, state"
        return {(target, state): count for target, state, count in self._db.execute(query)}

    def silences(self) -> Sequence[Silence]:
        """Those made by the command."""
        rows = self._db.execute("SELECT rule, symbol, until_ms FROM silences").fetchall()
        return [Silence(*row) for row in rows]

    def silence(self, given: Silence) -> None:
        """Silence a rule and symbol until then, instead of what was said before."""
        self._db.execute("INSERT OR REPLACE INTO silences VALUES(?, ?, ?)", tuple_of(given))


def tuple_of(silence: Silence) -> tuple[str, str, int]:
    """Its columns."""
    return silence.rule, silence.symbol, silence.until_ms
