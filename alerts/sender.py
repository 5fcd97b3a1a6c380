"""Sends what the journal holds: one worker a target, so that a slow one delays nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog

from alerts.journal import Journal, Message
from alerts.message import alert_from
from alerts.reach import Reach, UnsentError
from alerts.retrying import Retries
from alerts.rule import TargetEntry
from alerts.targets import TARGETS
from alerts.targets.target import Delivered, Parcel
from orderflow.errors import ConfigError

log = structlog.get_logger()
LONGEST_REST_S = 1.0
Options = Callable[[TargetEntry], Mapping[str, str]]


async def deliver(target: TargetEntry, parcel: Parcel, reach: Reach) -> Delivered:
    """One try at a target; whatever goes wrong is told in words without addresses or secrets."""
    try:
        return await TARGETS[target.kind].deliver(parcel, reach)
    except UnsentError as error:
        return Delivered("later", str(error))
    except ConfigError as error:
        return Delivered("refused", str(error))
    except (ValueError, KeyError) as error:
        return Delivered("refused", f"the target's options do not fit: {type(error).__name__}")


class Sender:
    """Workers over one journal."""

    def __init__(
        self,
        journal: Journal,
        options: Options,
        reach: Reach,
        now_ms: Callable[[], int],
        retries: Retries,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.journal = journal
        self.options = options
        self.reach = reach
        self.now_ms = now_ms
        self.retries = retries
        self.chance = chance

    async def run(self, target: TargetEntry) -> None:
        """Send until cancelled."""
        while True:
            message = self.journal.next_for(target.name)
            now_ms = self.now_ms()
            if message is None or message.due_ms > now_ms:
                rest_s = LONGEST_REST_S if message is None else (message.due_ms - now_ms) / 1_000
                await asyncio.sleep(min(rest_s, LONGEST_REST_S))
                continue
            await self.once(target, message)

    async def once(self, target: TargetEntry, message: Message) -> Delivered:
        """Try one message and write down what came of it."""
        if self.now_ms() > message.created_ms + self.retries.budget_s * 1_000:
            given = Delivered("later", "its time is over")
        else:
            alert = alert_from(message.body)
            parcel = Parcel(alert, message.body, self.options(target), self.now_ms())
            given = await deliver(target, parcel, self.reach)
        self._noted(message, given)
        return given

    def _noted(self, message: Message, given: Delivered) -> None:
        about = {"id": message.id, "rule": message.rule, "target": message.target}
        told = about | {"answer": given.words, "tries": message.tries + 1}
        if given.outcome == "accepted":
            self.journal.mark(message, "sent", given.words)
            log.info("alert.sent", **told)
            return
        if given.outcome == "refused":
            self.journal.mark(message, "refused", given.words)
            log.error("alert.refused", **told)
            return
        now_ms = self.now_ms()
        due = self.retries.next_ms(
            message.created_ms, now_ms, message.tries + 1, self.chance, given.pause_s
        )
        if due is None:
            self.journal.mark(message, "given_up", given.words)
            log.error("alert.given_up", **told)
            return
        self.journal.mark(message, "waiting", given.words, due)
        if given.pause_s:
            self.journal.postpone(message.target, now_ms + int(given.pause_s * 1_000))
        log.warning("alert.later", in_ms=due - now_ms, **told)
