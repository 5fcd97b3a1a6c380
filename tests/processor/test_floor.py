"""What of the bus the checkpoints contain, and what is passed over when it comes again."""

from __future__ import annotations

import pytest

from orderflow.trade import Connected, InstrumentChanged, TradeBatch, Watermark
from processor import checkpoint, floor
from processor.floor import Floor, Positions, unseen

A, B = "v:spot:A", "v:spot:B"


def batch(name: str) -> TradeBatch:
    return TradeBatch(name, [1], [1], [1], [1], [1])


def test_floor_waits_for_every_stream() -> None:
    """The floor moves only when the oldest change of every stream is in a durable checkpoint."""
    positions = Positions()
    positions.mark([A], 10)
    positions.mark([A, B], 20)
    assert positions.floor == 0
    positions.saving([A])
    assert positions.floor == 0
    positions.saved()
    assert positions.floor == 10
    positions.mark([B], 30)
    positions.saving([B])
    positions.saved()
    assert positions.floor == 30


def test_failed_write_changes_nothing() -> None:
    """A checkpoint that did not become durable holds the floor where it was."""
    positions = Positions()
    positions.mark([], 10)
    positions.mark([A], 20)
    positions.saving([A])
    positions.mark([A], 30)
    positions.failed()
    assert positions.floor == 10
    positions.saving([A])
    positions.saved()
    assert positions.floor == 30


def test_unseen() -> None:
    """Messages of a stream up to its own checkpoint are passed over, those of others are not."""
    both = Connected([A, B], "c", 5)
    messages = [batch(A), batch(B), both, Watermark([A], 5, "c")]
    assert unseen(messages, 7, {A: 7}) == [batch(B), Connected([B], "c", 5)]
    assert unseen(messages, 8, {A: 7}) == messages
    announced = InstrumentChanged("v", "spot", "A", "A", "USDT", 1, 1)  # type: ignore[arg-type]
    assert unseen([announced], 1, {A: 7}) == [announced]


def test_as_a_checkpoint() -> None:
    """The floor is told apart from a stream's checkpoint, and both from damage."""
    blob = floor.encode(Floor("life", 5))
    assert floor.decode(blob) == Floor("life", 5)
    assert floor.decode(None) == Floor()
    assert floor.readable(blob)
    assert not checkpoint.readable(blob)
    for damaged in (b"", b"{", b'{"state": {}, "said": []}'):
        assert not floor.readable(damaged)


@pytest.mark.parametrize("name", [A, floor.NAME])
def test_names(name: str) -> None:
    """No instrument is called like the floor's checkpoint."""
    assert (":" in name) is (name != floor.NAME)
