"""Whether a rule fires: an answer, what is remembered and the time in; a decision out. Pure.

A number that is stale, or of a window that is not whole, decides nothing: the rule neither fires
nor goes on counting its `for`. Rules about staleness and completeness are the exception.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from alerts.fieldpath import Scalar
from alerts.questions import PROVEN, WHOLE, Reading, moment_ms, readings, value_of
from alerts.rule import Kind, Rule
from orderflow.answers import iso
from orderflow.completeness import RANK, State

LEAST_WINDOWS = 20
"""Fewer earlier windows give no z-score."""
MOST_SEEN = 2_000
OLD_MS = 20 * 60_000
"""A window is final at most 15 minutes after its end; one that ended much earlier is no news."""
PLACES = Decimal("0.01")


class Memory(msgspec.Struct, frozen=True):
    """What one rule knows of one symbol. Times in ms; `seen` are ids of events, oldest first."""

    fingerprint: str
    since_ms: int | None = None
    told: bool = False
    fired_ms: int | None = None
    key: str = ""
    seen: tuple[str, ...] = ()
    begun: bool = False


class Alert(msgspec.Struct, frozen=True):
    """What is told. The id is the same whenever the same thing is found again."""

    id: str
    rule: str
    symbol: str
    what: str
    value: str
    as_of: str
    age_ms: int | None
    final: bool | None
    state: str | None
    coverage: str | None
    source: str
    answer: str
    parameters: dict[str, str]
    note: str = ""
    test: bool = False


class Verdict(NamedTuple):
    """What to remember, what to tell, and in words how it stands."""

    memory: Memory
    alerts: tuple[Alert, ...]
    words: str


def evaluate(
    rule: Rule,
    symbol: str,
    answer: dict[str, Any] | None,
    memory: Memory | None,
    now_ms: int,
    trouble: str = "",
) -> Verdict:
    """Judge one answer; None with `trouble` when the server gave none."""
    if memory is None or memory.fingerprint != rule.fingerprint:
        memory = Memory(rule.fingerprint)
    if rule.condition.kind is Kind.EVENT:
        return _events(rule, symbol, answer, memory, now_ms, trouble)
    if answer is None:
        return _no_answer(rule, symbol, memory, now_ms, trouble)
    found = _newest(rule, readings(rule, answer), now_ms)
    if isinstance(found, str):
        return Verdict(_broken(memory), (), f"undecided: {found}")
    reading, earlier = found
    if doubt := _doubt(rule, reading):
        return Verdict(_broken(memory), (), f"undecided: {doubt}")
    held = _held(rule, reading, earlier)
    if held.holds is None:
        return Verdict(_broken(memory), (), f"undecided: {held.words}")
    return _judged(rule, symbol, memory, now_ms, (reading, held))


class Held(NamedTuple):
    """Whether the condition holds, the value looked at, and both in words."""

    holds: bool | None
    value: str
    words: str


def _newest(rule: Rule, found: list[Reading], now_ms: int) -> tuple[Reading, list[Reading]] | str:
    """The window to judge and the ones before it; words when there is none."""
    if rule.judges_windows:
        found = [one for one in found if one.closed and (rule.only is None or one.final)]
        found = [_aged(one, now_ms) for one in found]
    if not found:
        return "no final window yet" if rule.judges_windows else "nothing in the answer"
    return found[-1], found[:-1]


def _aged(one: Reading, now_ms: int) -> Reading:
    """A window's age counts from its end."""
    age_ms = max(0, (one.told_ms or now_ms) - one.at_ms)
    begin = moment_ms(one.key) or one.at_ms
    return one._replace(age_ms=age_ms, stale=age_ms > 2 * (one.at_ms - begin) + OLD_MS)


def _doubt(rule: Rule, reading: Reading) -> str:
    """Why this number may not decide; empty when it may."""
    if rule.condition.kind in (Kind.STALE, Kind.COMPLETENESS):
        return ""
    if reading.stale:
        return "the number is stale"
    if reading.state is None:
        return ""
    if rule.only == "verified" and reading.state not in PROVEN:
        return f"{reading.state} is not verified"
    if reading.state not in WHOLE and not rule.partial_marked:
        return f"the window is {reading.state}"
    return ""


def _held(rule: Rule, reading: Reading, earlier: list[Reading]) -> Held:
    """The condition alone."""
    condition = rule.condition
    if condition.kind is Kind.STALE:
        if condition.word:
            age = None if reading.age_ms is None else Decimal(reading.age_ms) / 1_000
            return _compared(rule, age, "age in seconds")
        return Held(reading.stale, str(reading.stale).lower(), "the number is stale")
    if condition.kind is Kind.COMPLETENESS:
        state = reading.state or State.UNKNOWN
        worse = RANK[state] > RANK[condition.worse_than]
        return Held(worse, str(state), f"completeness is worse than {condition.worse_than}")
    value = value_of(rule, reading)
    if condition.kind is Kind.COMPARE:
        return _compared(rule, value, condition.field)
    score = _score(rule, value, earlier)
    if isinstance(score, str):
        return Held(None, "", score)
    return _compared(rule, score, f"z-score of {condition.field}")


def _score(rule: Rule, value: Scalar, earlier: list[Reading]) -> Decimal | str:
    """Deviations from the mean of the earlier windows that are whole, in their own spread."""
    whole = [one for one in earlier if one.state in WHOLE][-rule.condition.windows :]
    numbers = [found for one in whole if isinstance(found := value_of(rule, one), Decimal)]
    if not isinstance(value, Decimal):
        return f"{rule.condition.field} is no number here"
    count = len(numbers)
    if count < LEAST_WINDOWS:
        return f"{count} of at least {LEAST_WINDOWS} earlier windows"
    mean = sum(numbers, Decimal(0)) / count
    spread = (sum(((one - mean) ** 2 for one in numbers), Decimal(0)) / count).sqrt()
    return "the earlier windows are all equal" if not spread else (value - mean) / spread


def _compared(rule: Rule, value: Scalar, name: str) -> Held:
    condition = rule.condition
    if value is None:
        return Held(None, "", f"{name} is missing")
    wanted = condition.value
    shown = f"|{name}|" if condition.magnitude else name
    words = f"{shown} {condition.word.replace('_', ' ')} {_text(wanted)}"
    if condition.word in ("equals", "differs_from"):
        return Held((value == wanted) is (condition.word == "equals"), _text(value), words)
    if not isinstance(value, Decimal) or not isinstance(wanted, Decimal):
        return Held(None, "", f"{name} is no number here")
    size = abs(value) if condition.magnitude else value
    holds = {
        "above": size > wanted,
        "below": size < wanted,
        "at_least": size >= wanted,
        "at_most": size <= wanted,
    }[condition.word]
    if condition.kind is Kind.Z_SCORE:
        value = value.quantize(PLACES)
    return Held(holds, _text(value), words)


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _broken(memory: Memory) -> Memory:
    """What is not known does not go on counting."""
    return memory if memory.told else msgspec.structs.replace(memory, since_ms=None)


def _judged(
    rule: Rule, symbol: str, memory: Memory, now_ms: int, seen: tuple[Reading, Held]
) -> Verdict:
    """How long, whether already told, whether it is too soon again."""
    reading, held = seen
    words = f"{held.words} (it is {held.value})"
    if rule.judges_windows and reading.key == memory.key:
        return Verdict(memory, (), f"judged before: {words}")
    windowed = rule.judges_windows and not rule.for_ms
    told = memory.told and not windowed
    if not held.holds:
        quiet = msgspec.structs.replace(memory, since_ms=None, told=False, key=reading.key)
        return Verdict(quiet, (), f"does not hold: {words}")
    since = reading.at_ms if windowed or memory.since_ms is None else memory.since_ms
    kept = msgspec.structs.replace(memory, since_ms=since, told=told, key=reading.key)
    if told:
        return Verdict(kept, (), f"holds and was told: {words}")
    if reading.at_ms - since < rule.for_ms:
        return Verdict(kept, (), f"holds, not yet long enough: {words}")
    if _cooling(rule, memory, now_ms):
        return Verdict(kept, (), f"holds, cooling down: {words}")
    alert = _alert(rule, symbol, reading, held, str(since))
    fired = msgspec.structs.replace(kept, told=True, fired_ms=now_ms)
    return Verdict(fired, (alert,), f"fires: {words}")


def _cooling(rule: Rule, memory: Memory, now_ms: int) -> bool:
    return memory.fired_ms is not None and now_ms - memory.fired_ms < rule.cooldown_ms


def _no_answer(rule: Rule, symbol: str, memory: Memory, now_ms: int, trouble: str) -> Verdict:
    """Only a rule about staleness holds when there is no answer at all."""
    if rule.condition.kind is not Kind.STALE:
        return Verdict(_broken(memory), (), f"undecided: {trouble}")
    reading = Reading({}, "", None, now_ms, False, None, None, None, None, True, "live")
    held = Held(True, trouble, "there is no answer")
    return _judged(rule, symbol, memory, now_ms, (reading, held))


def _alert(rule: Rule, symbol: str, reading: Reading, held: Held, episode: str) -> Alert:
    return Alert(
        id=alert_id(rule, symbol, reading.source, episode),
        rule=rule.name,
        symbol=symbol,
        what=held.words,
        value=held.value,
        as_of=iso(reading.at_ms),
        age_ms=reading.age_ms,
        final=reading.final,
        state=None if reading.state is None else str(reading.state),
        coverage=reading.coverage,
        source=reading.source,
        answer=rule.answer,
        parameters=dict(rule.parameters),
        note=rule.note,
    )


def alert_id(rule: Rule, symbol: str, source: str, episode: str) -> str:
    """The same rule, symbol and episode (its beginning, or the event) give the same id."""
    text = "\n".join((rule.name, rule.fingerprint, symbol, source, episode))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _events(
    rule: Rule,
    symbol: str,
    answer: dict[str, Any] | None,
    memory: Memory,
    now_ms: int,
    trouble: str,
) -> Verdict:
    """New events of the kinds; what was there at the first look is not new."""
    if answer is None:
        return Verdict(memory, (), f"undecided: {trouble}")
    kinds = ", ".join(rule.condition.events)
    listed = [one for one in answer.get("events", []) if isinstance(one, dict)]
    unseen = [one for one in reversed(listed) if str(one.get("id")) not in memory.seen]
    settled = [one for one in unseen if _settled(rule, one)]
    seen = (*memory.seen, *(str(one.get("id")) for one in settled))[-MOST_SEEN:]
    fresh = [one for one in settled if not _old(one, now_ms)]
    kept = msgspec.structs.replace(memory, seen=seen, begun=True)
    if not memory.begun:
        return Verdict(kept, (), f"first look: {len(fresh)} events of {kinds} are known")
    if not fresh:
        return Verdict(kept, (), f"no new event of {kinds}")
    if _cooling(rule, memory, now_ms):
        return Verdict(kept, (), f"{len(fresh)} new events of {kinds}, cooling down")
    told = fresh if rule.cooldown_ms == 0 else fresh[-1:]
    alerts = tuple(_event_alert(rule, symbol, one, answer, now_ms) for one in told)
    fired = msgspec.structs.replace(kept, fired_ms=now_ms)
    return Verdict(fired, alerts, f"fires: {len(fresh)} new events of {kinds}")


def _old(event: dict[str, Any], now_ms: int) -> bool:
    """Published so long ago that it is no news, for example while nobody watched."""
    published = moment_ms(event.get("published_at"))
    return published is not None and now_ms - published > OLD_MS


def _settled(rule: Rule, event: dict[str, Any]) -> bool:
    """Whether an event's own bar is as far proven as the rule asks."""
    state = event.get("state")
    known = State(state) if isinstance(state, str) and state in set(State) else State.UNKNOWN
    if rule.only == "verified":
        return known in PROVEN
    if rule.only == "final" and event.get("complete") is not True:
        return False
    return rule.partial_marked or known in WHOLE


def _event_alert(
    rule: Rule, symbol: str, event: dict[str, Any], answer: dict[str, Any], now_ms: int
) -> Alert:
    at_ms = moment_ms(event.get("at"))
    complete = event.get("complete")
    side = f" {event['side']}" if isinstance(event.get("side"), str) else ""
    source = str(answer.get("source") or "live")
    return Alert(
        id=alert_id(rule, symbol, source, str(event.get("id"))),
        rule=rule.name,
        symbol=symbol,
        what=f"{event.get('kind')}{side} on {event.get('instrument')} {event.get('timeframe')}",
        value=str(event.get("price")),
        as_of=str(event.get("at")),
        age_ms=None if at_ms is None else max(0, now_ms - at_ms),
        final=complete if isinstance(complete, bool) else None,
        state=None if event.get("state") is None else str(event["state"]),
        coverage=None,
        source=source,
        answer=rule.answer,
        parameters=dict(rule.parameters) | {"event": str(event.get("id"))},
        note=rule.note,
    )
