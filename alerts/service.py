"""Asks, judges, writes down, sends: the one loop of alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from alerts.evaluation import Alert, Memory, Verdict, evaluate
from alerts.journal import Journal, Message
from alerts.message import body_of
from alerts.questions import Question, question
from alerts.rule import Book, Rule
from alerts.sender import Sender
from orderflow.errors import WadmError

log = structlog.get_logger()
TICK_S = 0.5
PRUNE_MS = 3_600_000
SILENCED = "silenced"
Ask = Callable[[str, Mapping[str, str]], Awaitable[dict[str, Any]]]


class Asked(NamedTuple):
    """An answer, or why there is none."""

    answer: dict[str, Any] | None
    trouble: str = ""


async def asked(ask: Ask, what: Question) -> Asked:
    """One question; an error of the server becomes words."""
    try:
        return Asked(await ask(what.path, dict(what.parameters)))
    except WadmError as error:
        return Asked(None, f"no answer: {error}")


class AlertService:
    """Rules of one book over one server's answers."""

    def __init__(
        self, book: Book, ask: Ask, journal: Journal, sender: Sender, now_ms: Callable[[], int]
    ) -> None:
        self.book = book
        self.ask = ask
        self.journal = journal
        self.sender = sender
        self.now_ms = now_ms
        self.memories = journal.memories()
        self.words: dict[tuple[str, str], str] = {}
        self.rounds = 0
        self._due: dict[str, int] = {}
        self._pruned_ms = 0

    async def run(self) -> None:
        """Judge and send until cancelled."""
        log.info("alerts.running", rules=len(self.book.rules), targets=len(self.book.targets))
        async with asyncio.TaskGroup() as group:
            for target in self.book.targets:
                group.create_task(self.sender.run(target), name=f"alerts-{target.name}")
            while True:
                await self.round()
                await asyncio.sleep(TICK_S)

    async def round(self) -> None:
        """Judge every rule that is due; equal questions are asked once."""
        now_ms = self.now_ms()
        due = [rule for rule in self.book.rules if self._due.get(rule.name, 0) <= now_ms]
        answers: dict[Question, Asked] = {}
        for rule in due:
            self._due[rule.name] = now_ms + rule.every_s * 1_000
            for symbol in rule.symbols:
                what = question(rule, symbol, now_ms - now_ms % 60_000)
                if what not in answers:
                    answers[what] = await asked(self.ask, what)
                await self._judge(rule, symbol, answers[what])
        if now_ms - self._pruned_ms > PRUNE_MS:
            self._pruned_ms = now_ms
            self.journal.prune(now_ms)
        self.rounds += 1

    async def _judge(self, rule: Rule, symbol: str, given: Asked) -> None:
        place = (rule.name, symbol)
        before = self.memories.get(place)
        now_ms = self.now_ms()
        verdict = evaluate(rule, symbol, given.answer, before, now_ms, given.trouble)
        if verdict.alerts and self._silenced(rule.name, symbol, now_ms):
            # What goes on when the silence ends is told then: an event is over, a state may not be.
            verdict = _hushed(verdict, before)
            if not self.words.get(place, "").startswith(SILENCED):
                log.info("alert.silenced", rule=rule.name, symbol=symbol)
        self.words[place] = verdict.words
        if verdict.memory == before:
            return
        messages = [
            self._message(rule, alert, to, now_ms)
            for alert in verdict.alerts
            for to in rule.targets
        ]
        dropped = await asyncio.to_thread(self.journal.commit, {place: verdict.memory}, messages)
        self.memories[place] = verdict.memory
        for alert in verdict.alerts:
            log.info("alert.fired", id=alert.id, rule=rule.name, symbol=symbol)
        for message in dropped:
            log.error("alert.dropped", id=message.id, rule=rule.name, target=message.target)

    def _silenced(self, rule: str, symbol: str, now_ms: int) -> bool:
        every = (*self.book.silences, *self.journal.silences())
        return any(silence.covers(rule, symbol, now_ms) for silence in every)

    def _message(self, rule: Rule, alert: Alert, target: str, now_ms: int) -> Message:
        return Message(alert.id, target, rule.name, body_of(alert), now_ms, now_ms)


def _hushed(verdict: Verdict, before: Memory | None) -> Verdict:
    """As if it had not fired; events are known all the same."""
    fired_ms = None if before is None else before.fired_ms
    kept = msgspec.structs.replace(verdict.memory, told=False, fired_ms=fired_ms)
    if kept.since_ms is not None:
        kept = msgspec.structs.replace(kept, key="" if before is None else before.key)
    return Verdict(kept, (), f"{SILENCED}: {verdict.words}")
