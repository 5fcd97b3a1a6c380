"""How a processor goes on after a stop: checkpoints from the store, then the bus behind them.

In one process the bus forgets with the process, so what came since is an outage to be repaired.
Apart, the bus has kept it: everything behind the floor is read again, and what a stream's own
checkpoint contains already is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from backbone.bus.base import OLDEST, REPAIRS, TRADES, Bus, Delivery, Subscription
from backbone.store.base import Store
from orderflow.trade import AnnounceRequest
from processor import checkpoint, floor
from processor.engine import Engine
from processor.said import Said
from processor.share import Share

log = structlog.get_logger()
ASK_MS = 5_000


class Resuming:
    """Start-up of one share, and what of it lasts a little longer. `apart`: see above."""

    def __init__(
        self, engine: Engine, bus: Bus, store: Store, share: Share, *, apart: bool
    ) -> None:
        self.engine = engine
        self.bus = bus
        self.store = store
        self.share = share
        self.apart = apart
        self._saved: dict[str, int] = {}
        self._unknown = 0
        self._asked_ms = 0

    async def start(self, mono_ms: int) -> tuple[Subscription, int]:
        """The subscription to trades, and the position that everything restored contains."""
        if not self.apart:
            subscription = await self.bus.subscribe(TRADES, self.share.cursor)
            self.restore(await self.checkpoints(), mono_ms)
            return subscription, 0
        blobs = await self.checkpoints()
        kept = floor.decode(blobs.pop(self.share.floor_name, None))
        after = kept.position or OLDEST
        subscription = await self.bus.subscribe(
            TRADES, self.share.cursor, after, kept.epoch, self.share.partition
        )
        gapless = subscription.gapless and subscription.epoch == kept.epoch
        self.restore(blobs, mono_ms, gapless=gapless)
        log.info("processor.reads_on", behind=kept.position, gapless=gapless)
        await self.bus.publish(REPAIRS, [AnnounceRequest("the processor started")])
        if not gapless:
            return subscription, 0
        self._saved = {name: checkpoint.saved_at(blob).position for name, blob in blobs.items()}
        return subscription, kept.position

    async def checkpoints(self) -> dict[str, bytes]:
        """The newest ones that this version can go on from, and the floor."""
        return await self.store.load_checkpoints(_readable, self.share.wants)

    def restore(self, blobs: Mapping[str, bytes], mono_ms: int, *, gapless: bool = False) -> None:
        """Streams as the last checkpoints left them; `gapless`: the bus has everything since."""
        for name, blob in blobs.items():
            if name.startswith(floor.NAME):
                continue
            stream, said = checkpoint.decode(blob, mono_ms, gapless=gapless)
            self.engine.adopt(stream)
            for window in said:
                key = (name, window.timeframe, window.start_ms)
                self.engine.said[key] = Said(window.revision, window.content_hash, window.quality)
        log.info("processor.restored", streams=len(self.engine.streams))

    def unseen(self, delivery: Delivery) -> Sequence[object]:
        """What is of this share, without what the checkpoints contain already; soon after a start
        that is nothing."""
        messages = self.share.own(delivery.messages)
        if not self._saved:
            return messages
        if delivery.position > max(self._saved.values()):
            self._saved = {}
            return messages
        return floor.unseen(messages, delivery.position, self._saved)

    async def ask_who_is_there(self, mono_ms: int) -> None:
        """Trades of instruments nobody announced to this process: ask for the announcement."""
        if not self.apart or self.engine.unknown == self._unknown:
            return
        if mono_ms - self._asked_ms >= ASK_MS:
            self._asked_ms, self._unknown = mono_ms, self.engine.unknown
            await self.bus.publish(REPAIRS, [AnnounceRequest("trades of unknown instruments")])


def _readable(blob: bytes) -> bool:
    return checkpoint.readable(blob) or floor.readable(blob)
