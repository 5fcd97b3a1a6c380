"""Messages of the bus as bytes: packed lists of them, and the subject each list goes by.

MessagePack; where an id is wider than 64 bits (Bybit linear: a UUID) JSON. The first byte says
which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from backbone.bus.partition import instrument_name, instrument_tokens, token, unmixed
from backbone.parts import PartMinute, PartState
from backbone.updates import Update
from orderflow.derivatives import Funding, Interruption, Liquidation, OpenInterest
from orderflow.errors import BusError
from orderflow.trade import (
    AnnounceRequest,
    RepairRequest,
    StreamEvent,
    TradeBatch,
    joinable,
    joined,
)

PACK_BYTES = 262_144
"""A packed list is sent when it has grown to this size."""
ALL = "_all"
STATE, CLOSED = "state", "closed"
PACKED, TEXT = b"\x00", b"\x01"

Context = Funding | OpenInterest | Liquidation | Interruption
Message = (
    StreamEvent
    | Context
    | RepairRequest
    | AnnounceRequest
    | Update
    | PartState
    | PartMinute
    | int
    | str
)
ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(list[Message])
TEXT_ENCODER = msgspec.json.Encoder()
TEXT_DECODER = msgspec.json.Decoder(list[Message])


class Packet(NamedTuple):
    """Messages that travel together; `single`: all about one instrument or part."""

    subject: str
    data: bytes
    single: bool = True


def subject_of(topic: str, message: object) -> tuple[str, bool]:
    """`<topic>.<venue>.<market>.<symbol>`, `<topic>.<role>[.<instance>]` or, of updates,
    `<topic>.state` and `<topic>.closed`, and whether it is of one of these alone; only an
    instrument's subject has four tokens, and a partition. Updates travel together: every reader
    wants all, and a packet costs each broker more than what is in it. A window stays behind its
    minutes."""
    if isinstance(message, Update):
        return f"{topic}.{STATE if message.kind == STATE else CLOSED}", True
    if isinstance(message, PartState | PartMinute):
        return ".".join([topic, *map(token, message.part.split("/"))]), True
    if name := instrument_name(message):
        return ".".join([topic, *instrument_tokens(name)]), True
    names = getattr(message, "instruments", None)
    if names:
        return ".".join([topic, *instrument_tokens(names[0])[:2]]), False
    return f"{topic}.{ALL}", False


def packets(topic: str, messages: Sequence[object]) -> Iterator[Packet]:
    """Messages by subject; those of one instrument stay in order, and so do those of several
    instruments with everything around them."""
    waiting: dict[str, list[object]] = {}
    for message in unmixed(messages):
        subject, single = subject_of(topic, message)
        if not single:
            yield from _packed(waiting)
            waiting = {}
            yield Packet(subject, encode([message]), single=False)
        else:
            waiting.setdefault(subject, []).append(message)
    yield from _packed(waiting)


def _packed(groups: dict[str, list[object]]) -> Iterator[Packet]:
    for subject, messages in groups.items():
        part: list[object] = []
        weight = 0
        for message in messages:
            size = _weight(message)
            if part and weight + size > PACK_BYTES:
                yield Packet(subject, encode(_joined(part)))
                part, weight = [], 0
            part.append(message)
            weight += size
        yield Packet(subject, encode(_joined(part)))


def _joined(messages: list[object]) -> list[object]:
    """With neighbouring batches of trades as one: a trade alone costs twice the bytes and six
    times the reader's time."""
    if len(messages) == 1:
        return messages
    found: list[object] = []
    run: list[TradeBatch] = []
    for message in messages:
        if run and not (isinstance(message, TradeBatch) and _alike(run[-1], message)):
            found.append(joined(run))
            run = []
        if isinstance(message, TradeBatch):
            run.append(message)
        else:
            found.append(message)
    if run:
        found.append(joined(run))
    return found


def _alike(one: TradeBatch, other: TradeBatch) -> bool:
    """Two names may share a subject: what stands in for odd letters is the same."""
    return one.instrument == other.instrument and joinable(one, other)


def _weight(message: Any) -> int:
    """About how many bytes a message takes."""
    if isinstance(message, Update):
        return len(message.body) + 100
    return 200 + 40 * len(message) if hasattr(message, "__len__") else 200


def encode(messages: Sequence[object]) -> bytes:
    """A list of messages as bytes; BusError when one of them can't travel."""
    try:
        return PACKED + ENCODER.encode(messages)
    except OverflowError:
        return TEXT + TEXT_ENCODER.encode(messages)
    except (TypeError, ValueError) as error:
        raise BusError(f"this can't travel on the bus: {error}") from error


def decode(data: bytes) -> list[Message]:
    """The inverse of `encode`; BusError for what nobody of us sent."""
    try:
        if data[:1] == PACKED:
            return DECODER.decode(data[1:])
        if data[:1] == TEXT:
            return TEXT_DECODER.decode(data[1:])
    except msgspec.MsgspecError as error:
        raise BusError(f"a message of the bus can't be read: {error}") from error
    raise BusError("a message of the bus has an unknown form")


def inbox(role: str) -> str:
    """Where answers to this role go; nobody else may read there."""
    return f"_INBOX_{role}"
