"""Log: the newest state per key of one topic, in the order of the messages. Pure.

Nobody has a queue: a reader has a place, and reads what lies behind it. A key that changed twice
meanwhile is there once, so a slow reader gets the latest state, and costs no more than a fast one.
"""

from __future__ import annotations

from collections.abc import Iterable

from mcp_server.streaming.messages import Entry, Reason

MOST_KEYS = 200


class Log:
    """Entries after `floor_seq` and `floor_position`; what was before them, `reason` says.

    `current`: the keys that make up the state now, as a snapshot shows it. `counted`: what it tells
    stands at positions of the updates, so that another server knows what a reader lacks.
    """

    def __init__(
        self, seq: int, position: int, most: int = MOST_KEYS, *, counted: bool = True
    ) -> None:
        self.counted = counted
        self.floor_seq = seq
        self.floor_position = position
        self.reason: Reason = "restarted"
        self.current: set[str] = set()
        self._most = most
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        """The newest state of a key; its `seq` is larger than any before."""
        self._entries.pop(entry.key, None)
        self._entries[entry.key] = entry
        if len(self._entries) > self._most:
            oldest = self._entries.pop(next(iter(self._entries)))
            self.floor_seq, self.floor_position = oldest.seq, oldest.position
            self.reason = "too_old"

    def keep(self, current: Iterable[str]) -> None:
        """Which keys a snapshot shows."""
        self.current = set(current)

    def cut(self, seq: int, position: int, reason: Reason) -> None:
        """Forget everything: readers that were told of it begin anew."""
        self._entries.clear()
        self.current = set()
        self.floor_seq, self.floor_position, self.reason = seq, position, reason

    def reaches(self, position: int) -> bool:
        """Everything said of later positions is here."""
        return self.counted and self.floor_position <= position

    def after(self, seq: int) -> list[Entry]:
        """Entries behind a message, in order."""
        found: list[Entry] = []
        for entry in reversed(self._entries.values()):
            if entry.seq <= seq:
                break
            found.append(entry)
        found.reverse()
        return found

    def after_position(self, position: int) -> list[Entry]:
        """Entries said of later positions, in order of their messages."""
        return [entry for entry in self._entries.values() if entry.position > position]

    def state(self) -> list[Entry]:
        """What a snapshot shows, in order of keys."""
        found = [self._entries[key] for key in self.current if key in self._entries]
        return sorted(found, key=lambda entry: entry.key)
