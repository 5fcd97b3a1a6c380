"""The pure core: no change is lost and none is told twice, however readers come and go."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server.streaming.cursor import Cursor, parse_cursor
from mcp_server.streaming.journal import MOST_AT_ONCE, Journal, Reader
from mcp_server.streaming.log import MOST_KEYS
from mcp_server.streaming.messages import REASONS, Frame, Kind
from orderflow.errors import InvalidParameterError

LIFE, OTHER = "0a0a0a0a", "0b0b0b0b"
TOPICS = ("bars/A", "bars/B", "flow/A")
RECONNECTS = 1_000


def journal(life: str = LIFE, topics: Sequence[str] = TOPICS, epoch: str = "first") -> Journal:
    made = Journal(life)
    made.begin_epoch(epoch, 0)
    for topic in topics:
        made.add_topic(topic)
    return made


def put(made: Journal, topic: str, key: str, number: int, position: int) -> None:
    made.put(topic, "upsert", key, json.dumps(number).encode(), position)
    made.logs[topic].keep([*made.logs[topic].current, key])


class Client:
    """Applies what it reads, and holds the protocol to its promises."""

    def __init__(self, topics: Sequence[str] = TOPICS) -> None:
        self.topics = topics
        self.cursor: Cursor | None = None
        self.state: dict[str, int] = {}
        self.resets: list[str] = []
        self.snapshots = self.changes = 0
        self.reader: Reader | None = None
        self.waiting: list[Frame] = []

    def connect(self, made: Journal) -> None:
        """As a new connection with what it kept."""
        self.reader = Reader(self.topics)
        self.waiting = made.opened(self.reader, self.cursor)

    def read(self, made: Journal, most: int) -> None:
        """At most so many messages, wherever in a batch that ends."""
        assert self.reader is not None
        for _ in range(most):
            if not self.waiting:
                self.waiting = made.next(self.reader)
            if not self.waiting:
                return
            self.take(json.loads(self.waiting[0].text))
            self.waiting = self.waiting[1:]

    def take(self, message: dict[str, object]) -> None:
        """One message."""
        kind: Kind = message["type"]  # type: ignore[assignment]
        if kind == "reset":
            self.resets.append(str(message["reason"]))
            self.state = {}
        elif kind == "snapshot":
            self.snapshots += 1
            for item in message["items"]:  # type: ignore[attr-defined]
                self.state[item["key"]] = item["data"]
        else:
            key, number = str(message["key"]), int(message["data"])  # type: ignore[call-overload]
            assert number > self.state.get(key, -1), "told twice, or out of order"
            self.state[key] = number
            self.changes += 1
        if "cursor" in message:
            self.cursor = parse_cursor(str(message["cursor"]))


def drive(seed: int, reconnects: int) -> tuple[Client, dict[str, int]]:
    """Changes and cuts in random order; cuts fall inside batches as well."""
    draw = random.Random(seed)
    made, client = journal(), Client()
    truth: dict[str, int] = {}
    number = position = cuts = 0
    client.connect(made)
    client.read(made, len(TOPICS))
    while cuts < reconnects:
        position += 1
        for _ in range(draw.randrange(6)):
            number += 1
            topic = draw.choice(TOPICS)
            key = f"{topic}/{draw.randrange(12)}"
            put(made, topic, key, number, position)
            truth[key] = number
        made.complete(position)
        client.read(made, draw.choice((0, 1, 2, 3, 1_000)))
        if draw.random() < 0.5:
            cuts += 1
            client.connect(made)
    client.read(made, 1_000_000)
    return client, truth


def test_thousand_reconnects() -> None:
    """A thousand cuts in the middle of what was sent: every key ends in its newest state, no
    message came twice, nothing was reset and only the first connection got snapshots."""
    client, truth = drive(8, RECONNECTS)
    assert client.state == truth
    assert client.resets == []
    assert client.snapshots == len(TOPICS)
    assert client.changes > RECONNECTS


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_any_cuts(seed: int) -> None:
    """The same for any order of changes, reads and cuts."""
    client, truth = drive(seed, 20)
    assert client.state == truth
    assert client.resets == []


def test_every_change_to_a_reader_that_keeps_up() -> None:
    """Who reads after every change gets every one of them; a cut changes nothing of that."""
    made, client = journal(), Client()
    client.connect(made)
    for number in range(1, 2_001):
        put(made, "bars/A", "bars/A/1", number, number)
        made.complete(number)
        client.read(made, 10)
        client.connect(made)
    assert client.changes == 2_000


def test_coalesced() -> None:
    """A reader that stops gets the newest state of each key, not the way there."""
    made, client = journal(), Client()
    client.connect(made)
    client.read(made, 10)
    for number in range(1, 50_001):
        put(made, "bars/A", f"bars/A/{number % 7}", number, number)
        made.complete(number)
    client.read(made, 1_000)
    assert client.changes == 7
    assert client.resets == []
    assert len(made.logs["bars/A"]) == 7


def test_too_far_behind() -> None:
    """Who is further behind than is kept is told so, and begins anew."""
    made, client = journal(), Client()
    client.connect(made)
    client.read(made, 10)
    for number in range(1, MOST_KEYS + 10):
        put(made, "bars/A", f"bars/A/{number}", number, number)
        made.complete(number)
    client.read(made, 10_000)
    assert client.resets == ["too_old"]
    assert client.state == {f"bars/A/{n}": n for n in range(10, MOST_KEYS + 10)}
    put(made, "bars/A", "bars/A/1", 99_999, 99_999)
    client.read(made, 10)
    assert client.resets == ["too_old"]
    assert client.state["bars/A/1"] == 99_999


def test_a_batch_is_bounded() -> None:
    """One go holds no more than so many messages, and the next goes on behind them."""
    made, client = journal(), Client()
    client.connect(made)
    client.read(made, 10)
    for number in range(1, 151):
        put(made, TOPICS[number % 3], f"{TOPICS[number % 3]}/{number}", number, number)
    made.complete(150)
    assert client.reader is not None
    sizes = []
    while frames := made.next(client.reader):
        sizes.append(len(frames))
    assert sizes == [MOST_AT_ONCE, MOST_AT_ONCE, 150 - 2 * MOST_AT_ONCE]


def test_another_server() -> None:
    """A server that counts the same updates goes on where the first one stopped."""
    first, client = journal(), Client()
    second = journal(OTHER)
    client.connect(first)
    for number in range(1, 21):
        for made in (first, second):
            put(made, "bars/A", f"bars/A/{number % 9}", number, number)
            made.complete(number)
        if number == 12:
            client.read(first, 1_000)
            client.take(json.loads(put_and_told(first, 13)))
    client.connect(second)
    client.read(second, 1_000)
    assert client.resets == []
    assert client.state["bars/A/2"] == 20
    assert sorted(client.state.values())[-8:] == list(range(13, 21))


def put_and_told(made: Journal, position: int) -> str:
    """A change of another topic, whose message carries the completed position."""
    put(made, "flow/A", "flow/A", position, position)
    return made.logs["flow/A"].after(made.seq - 1)[0].frame.text


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        (Cursor("ffffffff", 5, LIFE, 5), "new_epoch"),
        (Cursor("", 999, OTHER, 5), "restarted"),
        (Cursor("", 0, OTHER, 5), "restarted"),
        (Cursor("", 5, LIFE, 10**9), "restarted"),
    ],
)
def test_lost_places(cursor: Cursor, reason: str) -> None:
    """A place of another life, before what is known or in the future: reset, reason, snapshots."""
    made = Journal(LIFE)
    made.begin_epoch("first", 3)
    for topic in TOPICS:
        made.add_topic(topic)
    put(made, "bars/A", "bars/A/1", 1, 4)
    made.complete(5)
    client = Client()
    client.cursor = cursor._replace(epoch=cursor.epoch or made.epoch)
    client.connect(made)
    client.read(made, 100)
    assert client.resets == [reason]
    assert reason in REASONS
    assert client.state == {"bars/A/1": 1}
    assert client.cursor is not None
    assert client.cursor.life == LIFE
    client.connect(made)
    client.read(made, 100)
    assert client.resets == [reason]


def test_lost_place_in_an_empty_topic() -> None:
    """A topic that has nothing to tell, and does not reach back to the place, is a lost place."""
    made = Journal(LIFE)
    made.begin_epoch("first", 3)
    for topic in TOPICS:
        made.add_topic(topic)
    client = Client()
    client.cursor = Cursor(made.epoch, 1, OTHER, 5)
    client.connect(made)
    client.read(made, 100)
    assert client.resets == ["restarted"]


def test_cut_while_connected() -> None:
    """When the server itself missed updates, or they count anew, its readers are told so."""
    made, client = journal(), Client()
    client.connect(made)
    put(made, "bars/A", "bars/A/1", 1, 1)
    client.read(made, 10)
    made.cut("bars/A", "missed")
    client.read(made, 10)
    assert client.resets == ["missed"]
    assert made.begin_epoch("second", 0)
    client.read(made, 10)
    assert client.resets == ["missed", "new_epoch"]
    put(made, "bars/A", "bars/A/1", 2, 1)
    client.read(made, 10)
    assert client.state == {"bars/A/1": 2}


def test_same_bytes_for_everybody() -> None:
    """Readers that are equally far get the very same frames: they are encoded once."""
    made = journal()
    readers = [Reader(TOPICS) for _ in range(3)]
    snapshots = [made.opened(reader, None) for reader in readers]
    put(made, "bars/A", "bars/A/1", 1, 1)
    batches = [made.next(reader) for reader in readers]
    for got in (snapshots, batches):
        assert all(frame is other for frame, other in zip(got[0], got[1], strict=True))
        assert all(frame is other for frame, other in zip(got[0], got[2], strict=True))


@pytest.mark.parametrize(
    "text", ["", "1", "zz.1.zz.1", "0a0a0a0a.1.0a0a0a0a.1 ", "0a0a0a0a.-1.0a0a0a0a.1", "9" * 99]
)
def test_foreign_cursors(text: str) -> None:
    """A cursor that was never given is refused with what to do."""
    with pytest.raises(InvalidParameterError, match="leave it out"):
        parse_cursor(text)
