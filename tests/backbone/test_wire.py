"""How messages of the bus are packed: what travels together, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.bus.base import TRADES, UPDATES
from backbone.bus.wire import PACK_BYTES, decode, encode, packets
from backbone.updates import Update
from orderflow.errors import BusError
from orderflow.trade import TradeBatch, Watermark

NAMES = [f"binance:spot:S{number}USDT" for number in range(5)]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["state", "minute", "window"]))))
def test_updates_travel_together(said: list[tuple[str, str]]) -> None:
    """One packet of states and one of what closed, whatever the instruments; each in its order, so
    that no window comes before its minutes."""
    updates = [Update(kind, name, place, 0) for place, (name, kind) in enumerate(said)]  # type: ignore[arg-type]
    states = [update for update in updates if update.kind == "state"]
    closed = [update for update in updates if update.kind != "state"]
    found = {packet.subject: packet for packet in packets(UPDATES, updates)}
    assert all(packet.single for packet in found.values())
    read = {subject: decode(packet.data) for subject, packet in found.items()}
    wanted = {"updates.state": states, "updates.closed": closed}
    assert read == {subject: messages for subject, messages in wanted.items() if messages}


def test_many_updates_are_several_packets() -> None:
    """None is larger than a broker takes."""
    updates = [Update("state", name, 0, 0, body=bytes(PACK_BYTES // 3)) for name in NAMES]
    found = list(packets(UPDATES, updates))
    assert [len(decode(packet.data)) for packet in found] == [2, 2, 1]


def test_trades_without_a_watermark_between_them_are_one_batch() -> None:
    """A message about several instruments is a barrier for all of them."""
    batches = [TradeBatch(NAMES[0], [key], [key], [1], [1], [1]) for key in range(4)]
    said = Watermark(NAMES, 5, "c")
    found = [decode(p.data) for p in packets(TRADES, [*batches[:2], said, *batches[2:]])]
    assert [len(messages) for messages in found] == [1, 1, 1]
    assert [list(m[0].key) for m in found if isinstance(m[0], TradeBatch)] == [[0, 1], [2, 3]]


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\xc1", b"\x01{", b"\x05[]", b"\x00\x91\x80"])
def test_unreadable(data: bytes) -> None:
    """What nobody of us sent is an error of the bus."""
    with pytest.raises(BusError):
        decode(data)


def test_what_cannot_travel() -> None:
    """What has no form on the wire is refused where it is published."""
    with pytest.raises(BusError, match="can't travel"):
        encode([object()])
