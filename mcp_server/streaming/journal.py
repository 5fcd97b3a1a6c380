"""Journal: the logs of every topic under one sequence, and what a reader gets next. Pure.

The state machine of the protocol:

- a reader without a cursor gets a snapshot of every topic, then what changes;
- one with a cursor of this life gets the messages behind it, each once;
- one with a cursor of another server or an earlier life of this one gets what changed after its
  position, as long as that is kept and counts in the same epoch;
- one whose place is lost gets `reset` with the reason, then snapshots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mcp_server.streaming import messages
from mcp_server.streaming.cursor import Cursor, epoch_name
from mcp_server.streaming.log import Log
from mcp_server.streaming.messages import Entry, Frame, Kind, Reason

MOST_AT_ONCE = 64
"""Messages a reader takes in one go: what one that stops reading holds on to."""


class Reader:
    """One reader's place: everything up to message `seq` of its topics was taken."""

    def __init__(self, topics: Sequence[str]) -> None:
        self.topics = tuple(topics)
        self.seq = 0


class Journal:
    """Topics by name. `life` names this journal; `position` is complete in every log."""

    def __init__(self, life: str) -> None:
        self.life = life
        self.seq = 0
        self.epoch = epoch_name("")
        self.position = 0
        self.logs: dict[str, Log] = {}
        self.resets: Counter[Reason] = Counter()
        self._snapshots: dict[tuple[str, bool], Frame] = {}
        self._taken: dict[tuple[int, tuple[str, ...]], tuple[list[Frame], int]] = {}

    @property
    def cursor(self) -> Cursor:
        """Of a reader that was told everything."""
        return Cursor(self.epoch, self.position, self.life, self.seq)

    # Writing

    def add_topic(self, name: str, position: int | None = None, *, counted: bool = True) -> Log:
        """A topic whose changes after `position` (default: from now on) will be put."""
        begins = self.position if position is None else position
        log = self.logs[name] = Log(self.seq, begins, counted=counted)
        return log

    def drop_topic(self, name: str) -> None:
        """Nobody reads it."""
        self.logs.pop(name, None)

    def put(self, topic: str, kind: Kind, key: str, data: bytes, position: int) -> None:
        """A key of a topic has this state as of `position`."""
        self.seq += 1
        cursor = self.cursor.text
        frame = messages.change(kind, cursor, key, data)
        self.logs[topic].put(Entry(self.seq, position, key, data, frame))
        self._forget_made()

    def complete(self, position: int) -> None:
        """Every change up to this position was put."""
        if position != self.position:
            self.position = position
            self._forget_made()

    def begin_epoch(self, epoch: str, position: int) -> bool:
        """Positions count in this life from now on; True when they counted in another before."""
        known = epoch_name(epoch)
        if known == self.epoch:
            return False
        self.epoch, self.position = known, position
        for name in self.logs:
            self.cut(name, "new_epoch")
        return True

    def cut(self, topic: str, reason: Reason) -> None:
        """What was told of a topic does not go on."""
        self.seq += 1
        self.logs[topic].cut(self.seq, self.position, reason)
        self._forget_made()

    def _forget_made(self) -> None:
        self._snapshots.clear()
        self._taken.clear()

    # Reading

    def opened(self, reader: Reader, cursor: Cursor | None) -> list[Frame]:
        """The first messages of a reader; its topics exist and are filled."""
        if cursor is None:
            return self._snapshot(reader)
        if cursor.epoch != self.epoch:
            return self._reset(reader, "new_epoch")
        logs = [self.logs[name] for name in reader.topics]
        if cursor.life == self.life and all(log.floor_seq <= cursor.seq for log in logs):
            if cursor.seq > self.seq:
                return self._reset(reader, "restarted")
            reader.seq = cursor.seq
            return self.next(reader)
        lost = next((log for log in logs if not log.reaches(cursor.position)), None)
        if lost is not None:  # an empty log is one too
            return self._reset(reader, lost.reason)
        if cursor.position > self.position:
            return self._reset(reader, "restarted")
        found = _in_order(log.after_position(cursor.position) for log in logs)
        reader.seq = self.seq
        return [entry.frame for entry in found]

    def next(self, reader: Reader) -> list[Frame]:
        """What a reader has not taken yet, at most MOST_AT_ONCE; empty when there is nothing."""
        if reader.seq == self.seq:
            return []
        lost = next((n for n in reader.topics if self.logs[n].floor_seq > reader.seq), None)
        if lost is not None:
            return self._reset(reader, self.logs[lost].reason)
        name = (reader.seq, reader.topics)
        if (taken := self._taken.get(name)) is None:
            taken = self._taken[name] = self._take(reader)
        reader.seq = taken[1]
        return taken[0]

    def _take(self, reader: Reader) -> tuple[list[Frame], int]:
        """Messages and the place behind them; readers that are equally far share both."""
        found = _in_order(self.logs[name].after(reader.seq) for name in reader.topics)
        if len(found) > MOST_AT_ONCE:
            found = found[:MOST_AT_ONCE]
            return [entry.frame for entry in found], found[-1].seq
        return [entry.frame for entry in found], self.seq

    def _reset(self, reader: Reader, reason: Reason) -> list[Frame]:
        self.resets[reason] += 1
        return [messages.reset(reason), *self._snapshot(reader)]

    def _snapshot(self, reader: Reader) -> list[Frame]:
        reader.seq = self.seq
        last = len(reader.topics) - 1
        return [self._state(name, last=at == last) for at, name in enumerate(reader.topics)]

    def _state(self, topic: str, *, last: bool) -> Frame:
        frame = self._snapshots.get((topic, last))
        if frame is None:
            cursor = self.cursor.text if last else None
            frame = messages.snapshot(cursor, topic, self.logs[topic].state())
            self._snapshots[topic, last] = frame
        return frame


def _in_order(found: Iterable[list[Entry]]) -> list[Entry]:
    return sorted((entry for entries in found for entry in entries), key=lambda entry: entry.seq)
