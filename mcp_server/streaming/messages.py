"""Messages of the stream: encoded once, sent to everybody as the same bytes. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["snapshot", "upsert", "final", "revision", "status", "heartbeat", "reset"]
KINDS: tuple[Kind, ...] = (
    "snapshot",
    "upsert",
    "final",
    "revision",
    "status",
    "heartbeat",
    "reset",
)
Reason = Literal["new_epoch", "restarted", "too_old", "missed"]
REASONS: dict[Reason, str] = {
    "new_epoch": "the updates are counted anew: the processor or its bus began a new life",
    "restarted": "this server does not reach back to the cursor",
    "too_old": "more changed since the cursor than is kept",
    "missed": "this server missed updates itself",
}


class Frame:
    """One message as JSON (`text`, a WebSocket message) and as a server-sent event (`sse`)."""

    __slots__ = ("_text", "kind", "sse")

    def __init__(self, kind: Kind, cursor: str | None, fields: bytes) -> None:
        """`fields`: a JSON object of what else it says. Without a cursor it moves no position."""
        head = b'{"type":"%s"' % kind.encode()
        if cursor is not None:
            head += b',"cursor":"%s"' % cursor.encode()
        inner = fields[1:-1]
        body = head + (b"," + inner if inner else b"") + b"}"
        place = b"" if cursor is None else b"id: %s\n" % cursor.encode()
        self.kind = kind
        self.sse = b"%sevent: %s\ndata: %s\n\n" % (place, kind.encode(), body)
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The JSON alone."""
        if self._text is None:
            self._text = self.sse.partition(b"data: ")[2][:-2].decode()
        return self._text


class Entry:
    """The newest state of one key: message `seq`, said of position `position`."""

    __slots__ = ("data", "frame", "key", "position", "seq")

    def __init__(self, seq: int, position: int, key: str, data: bytes, frame: Frame) -> None:
        self.seq = seq
        self.position = position
        self.key = key
        self.data = data
        self.frame = frame


def reset(reason: Reason) -> Frame:
    """What was told before does not go on; snapshots follow."""
    said = {"reason": reason, "message": REASONS[reason]}
    return Frame("reset", None, msgspec.json.encode(said))


def change(kind: Kind, cursor: str, key: str, data: bytes) -> Frame:
    """A key has this state now."""
    return Frame(kind, cursor, b'{"key":%s,"data":%s}' % (msgspec.json.encode(key), data))


def snapshot(cursor: str | None, topic: str, items: list[Entry]) -> Frame:
    """Every current key of a topic. Only the last topic's carries the cursor."""
    told = b",".join(
        b'{"key":%s,"data":%s}' % (msgspec.json.encode(item.key), item.data) for item in items
    )
    fields = b'{"topic":%s,"items":[%s]}' % (msgspec.json.encode(topic), told)
    return Frame("snapshot", cursor, fields)


def heartbeat(cursor: str, timestamp: str, *, ready: bool, lag_ms: int | None) -> Frame:
    """Nothing else to say; `lag_ms` is that of the worst stream."""
    said = {"timestamp": timestamp, "ready": ready, "worst_lag_ms": lag_ms}
    return Frame("heartbeat", cursor, msgspec.json.encode(said))
