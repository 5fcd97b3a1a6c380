"""Faults on demand: what a venue or a network does wrong, at a known place of the tape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from simulator.columns import KEY, Row
from simulator.injected import Step, extras

RowAction = Literal[
    "drop", "duplicate", "swap", "malformed", "huge", "drift", "ADL", "BT", "ZERO", "stall"
]
ConnectionAction = Literal["half_open", "deaf", "drip", "abort", "close"]
VenueAction = Literal["429", "418", "403", "outage", "refuse_connects", "shutdown"]
ROW_ACTIONS: tuple[RowAction, ...] = get_args(RowAction)
CONNECTION_ACTIONS: tuple[ConnectionAction, ...] = get_args(ConnectionAction)
VENUE_ACTIONS: tuple[VenueAction, ...] = get_args(VenueAction)
SHAPES = ("malformed", "huge", "drift")
LOST = {"drop", "stall", *SHAPES}
EXTRA = {"ADL", "BT", "ZERO"}
ENDLESS = 1 << 62
BLOCK_BITS = 12


@dataclass(frozen=True, slots=True)
class Share:
    """A container that holds `part` of all ids, the same for the same seed."""

    seed: int
    part: float
    _blocks: dict[int, frozenset[int]] = field(default_factory=dict, compare=False, repr=False)

    def __contains__(self, ident: object) -> bool:
        if not isinstance(ident, int):
            return False
        return ident in self.block(ident >> BLOCK_BITS)

    def block(self, block: int) -> frozenset[int]:
        """The ids of one block of 2^BLOCK_BITS that are inside."""
        inside = self._blocks.get(block)
        if inside is None:
            inside = self._blocks[block] = self._inside(block)
        return inside

    def _inside(self, block: int) -> frozenset[int]:
        """The ids of a block, found at once: asking for each of them alone is slow."""
        idents = range(block << BLOCK_BITS, (block + 1) << BLOCK_BITS)
        whole = (1 << 64) - 1
        first = idents[0] * 0x9E3779B97F4A7C15 + self.seed * 0xBF58476D1CE4E5B9 & whole
        steps = np.arange(len(idents), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = np.uint64(first) + steps
        mixed = (mixed ^ mixed >> np.uint64(29)) * np.uint64(0x94D049BB133111EB)
        limit = min(int(np.ceil(self.part * (1 << 53))), 1 << 53)
        places = np.flatnonzero(mixed >> np.uint64(11) < np.uint64(limit))
        return frozenset(idents[place] for place in places.tolist())


class _Union:
    """The ids that any of these containers holds; shares are merged block by block."""

    def __init__(self, containers: Iterable[Container[int]]) -> None:
        self._others: list[Container[int]] = []
        self._shares: list[Share] = []
        for ids in containers:
            if isinstance(ids, Share):
                self._shares.append(ids)
            else:
                self._others.append(ids)
        self._blocks: dict[int, frozenset[int]] = {}

    def __contains__(self, ident: int) -> bool:
        block = ident >> BLOCK_BITS
        inside = self._blocks.get(block)
        if inside is None:
            inside = frozenset().union(*(share.block(block) for share in self._shares))
            self._blocks[block] = inside
        return ident in inside or any(ident in ids for ids in self._others)


@dataclass(slots=True)
class _Rule:
    """What to do to whom; `stream` None is every trade stream, `times` how often it may strike."""

    stream: str | None
    action: str
    ids: Container[int]
    connection: int | None = None
    times: int = ENDLESS

    def fits(self, stream: str, ordinal: int) -> bool:
        """`stream` is `host/stream`; the rule may name it without its host."""
        names = (None, stream, stream.partition("/")[2], stream.rpartition(" ")[2])
        return self.stream in names and self.connection in (None, ordinal)


@dataclass(slots=True)
class RestRefusal:
    """`times` REST requests in a row get this status; 0 cuts the connection without an answer."""

    status: int
    times: int
    retry_after_s: int
    host: str | None


@dataclass(slots=True)
class FaultPlan:
    """Rules by stream name and trade id, and what is wrong with a venue as a whole.

    A stream is `btcusdt@aggTrade` or `publicTrade.BTCUSDT` on every host that has it, or of one
    host `binance_usdm/btcusdt@aggTrade`, `bybit/perp publicTrade.BTCUSDT`. Ids are what the stream
    numbers its trades by: `a`, `t`, Bybit spot `i`; for Bybit linear the place of the trade on the
    tape, from 1. `connection` limits a rule to the n-th WebSocket that the host accepted, from 1.
    Rules may be added while the simulator plays. `fired` counts what happened, by kind.

    `drip_bytes_per_s` is the rate of a dripping connection, `huge_bytes` the size of a huge frame;
    `clock_offset_ms` is added to what the venues say the time is; `refuse_connects` WebSockets in a
    row are refused with `refuse_status`; USD-M delivers nothing on `silent_routes`.
    """

    clock_offset_ms: int = 0
    drip_bytes_per_s: float = 2000.0
    huge_bytes: int = 8 << 20
    refuse_connects: int = 0
    refuse_status: int = 503
    silent_routes: set[str] = field(default_factory=set)
    fired: Counter[str] = field(default_factory=Counter)
    _rows: list[_Rule] = field(default_factory=list)
    _connections: list[_Rule] = field(default_factory=list)
    _stalled: list[_Rule] = field(default_factory=list)
    _held: dict[tuple[str, int], list[Step]] = field(default_factory=dict)
    _rest: list[RestRefusal] = field(default_factory=list)
    _topics: Counter[str] = field(default_factory=Counter)
    _hit: dict[tuple[str, int], _Union] = field(default_factory=dict)

    @classmethod
    def seeded(
        cls,
        seed: int,
        share: float = 0.01,
        kinds: Iterable[str] | None = None,
        density: float = 1.0,
    ) -> FaultPlan:
        """Every kind (or these) on every stream: rows by `share`, the rest a fiftieth of it, or
        `density` times as often."""
        plan = cls()
        chosen = [*ROW_ACTIONS, *CONNECTION_ACTIONS, *VENUE_ACTIONS]
        for place, action in enumerate(chosen):
            if kinds is not None and action not in kinds:
                continue
            part = share if action in ROW_ACTIONS else share / 50 * density
            rule = _Rule(None, action, Share(seed * 1_000 + place, part))
            (plan._rows if action in ROW_ACTIONS else plan._connections).append(rule)
        return plan

    def on_trades(
        self,
        stream: str | None,
        action: RowAction,
        ids: Iterable[int] | Share,
        *,
        connection: int | None = None,
    ) -> None:
        """Do something to trades by id.

        `drop`, `duplicate`, `swap` (with the one after it), `stall` (like drop, counted apart),
        `malformed` (its JSON is cut short), `huge` (padded to `huge_bytes`), `drift` (the price has
        another name), or send an extra trade after it: `ADL` (far off the market), `BT` (block
        trade), `ZERO` (size). On numbered streams an extra trade repeats the id before it, so that
        the numbers stay whole.
        """
        chosen = ids if isinstance(ids, Share) else set(ids)
        self._rows.append(_Rule(stream, action, chosen, connection))
        self._hit.clear()

    def on_connection(
        self,
        stream: str | None,
        action: ConnectionAction | VenueAction,
        after_id: int,
        *,
        connection: int | None = None,
    ) -> None:
        """Hurt a connection, or its venue, right after a trade was sent; each rule strikes once.

        `half_open` (no more bytes either way, socket kept), `deaf` (data go on, but nothing the
        client says is heard: no pong), `drip`, `abort` (RST), `close`; of the venue `429`, `418`,
        `403`, `outage` (REST), `refuse_connects`, `shutdown` (announced, then cut).
        """
        self._connections.append(_Rule(stream, action, {after_id}, connection, 1))
        self._hit.clear()

    def calm(self) -> None:
        """No more faults: every rule is forgotten, what was held back is lost."""
        self._rows, self._connections, self._stalled, self._rest = [], [], [], []
        self._held.clear()
        self._hit.clear()
        self._topics.clear()
        self.silent_routes.clear()
        self.refuse_connects = self.clock_offset_ms = 0

    def stall(self, stream: str, *, connection: int | None = None) -> None:
        """From now on lose everything of one stream."""
        self._stalled.append(_Rule(stream, "stall", (), connection))

    def resume(self, stream: str, *, connection: int | None = None) -> None:
        """End a stall."""
        self._stalled = [
            r for r in self._stalled if (r.stream, r.connection) != (stream, connection)
        ]

    def refuse_rest(
        self, status: int, times: int = 1, *, host: str | None = None, retry_after_s: int = 1
    ) -> None:
        """The next REST requests get 429, 418, 403 or 5xx; status 0 cuts them off (an outage)."""
        self._rest.append(RestRefusal(status, times, retry_after_s, host))

    def refuse_subscription(self, topic: str, times: int = 1) -> None:
        """The venue says no to a stream; Bybit then refuses the whole batch it is in."""
        self._topics[topic] += times

    # Used by the hosts and the player

    def touches(self, stream: str, ordinal: int) -> bool:
        """Whether any rule is about this trade stream (`host/stream`) on this connection."""
        rules = (*self._stalled, *self._rows, *self._connections)
        return any(rule.fits(stream, ordinal) for rule in rules)

    def spares(self, stream: str, ordinal: int, rows: list[Row]) -> bool:
        """Whether nothing happens to these rows, so that they can be sent in one go."""
        if (stream, ordinal) in self._held or self.is_stalled(stream, ordinal):
            return False
        hit = self._ids_hit(stream, ordinal)
        return not any(row[KEY] in hit for row in rows)

    def _ids_hit(self, stream: str, ordinal: int) -> _Union:
        """The ids of a stream that some rule is about; kept until the rules change."""
        found = self._hit.get((stream, ordinal))
        if found is None:
            rules = (*self._rows, *self._connections)
            found = _Union(rule.ids for rule in rules if rule.fits(stream, ordinal))
            self._hit[stream, ordinal] = found
        return found

    def is_stalled(self, stream: str, ordinal: int) -> bool:
        """Whether the stream is silent on this connection."""
        return any(rule.fits(stream, ordinal) for rule in self._stalled)

    def steps(self, stream: str, ordinal: int, rows: list[Row]) -> list[Step]:
        """The rows to send in place of `rows`; a swapped one waits for its successor."""
        if self.is_stalled(stream, ordinal):
            self.fired["stall"] += len(rows)
            return []
        rules = [rule for rule in self._rows if rule.fits(stream, ordinal)]
        hit = self._ids_hit(stream, ordinal)
        held = self._held.pop((stream, ordinal), [])
        steps: list[Step] = []
        for row in rows:
            actions: set[str] = set()
            if row[KEY] in hit:
                actions = {rule.action for rule in rules if row[KEY] in rule.ids}
            own = self._replaced(row, actions, is_linear="perp publicTrade" in stream)
            if "swap" in actions and not held and own:
                held = own
                continue
            if own and held:
                self.fired["swap"] += 1
                own, held = own + held, []
            steps += own
        if held:
            self._held[stream, ordinal] = held
        return steps

    def _replaced(self, row: Row, actions: set[str], *, is_linear: bool) -> list[Step]:
        if actions & LOST:
            # An extra trade under the id of a lost one would make that id look seen.
            actions = actions - EXTRA
        self.fired.update(actions - {"swap"})
        shape = next((name for name in SHAPES if name in actions), "")
        own: list[Step] = [] if actions & {"drop", "stall"} else [(row, shape)]
        own *= 2 if "duplicate" in actions else 1
        return own + [(extra, "") for extra in extras(row, actions, is_linear=is_linear)]

    def strike(self, stream: str, ordinal: int, key: int) -> str | None:
        """What happens to the connection or its venue after this trade, if anything."""
        if key not in self._ids_hit(stream, ordinal):
            return None
        for rule in self._connections:
            if rule.fits(stream, ordinal) and key in rule.ids and rule.times > 0:
                rule.times -= 1
                if not rule.times:
                    self._connections = [rule for rule in self._connections if rule.times > 0]
                    self._hit.clear()
                self.fired[rule.action] += 1
                return rule.action
        return None

    def rest_refusal(self, host: str) -> RestRefusal | None:
        """What this REST request gets instead of its answer, if anything."""
        for refusal in self._rest:
            if refusal.host in (None, host) and refusal.times > 0:
                refusal.times -= 1
                self._rest = [refusal for refusal in self._rest if refusal.times > 0]
                self.fired[f"rest_{refusal.status or 'outage'}"] += 1
                return refusal
        return None

    def connect_refused(self) -> bool:
        """Whether this WebSocket is refused."""
        if self.refuse_connects <= 0:
            return False
        self.refuse_connects -= 1
        self.fired["connect_refused"] += 1
        return True

    def refused_topic(self, topics: list[str]) -> str | None:
        """The first of the topics the venue refuses this time."""
        for topic in topics:
            if self._topics[topic] > 0:
                self._topics[topic] -= 1
                self.fired["subscription_refused"] += 1
                self.fired["batch_poisoned"] += len(topics) > 1
                return topic
        return None
