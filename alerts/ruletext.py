"""One rule from its table of the file to a Rule; every error says what is allowed. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Literal

import msgspec

from alerts.fieldpath import parse_path
from alerts.questions import SOURCES
from alerts.rule import Condition, Kind, Only, Rule
from orderflow.completeness import State
from orderflow.detectors import RULES
from orderflow.errors import ConfigError
from orderflow.event import CORRECTION

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
SYMBOL = re.compile(r"(?!.*\.\.)[A-Za-z0-9:/._-]{2,40}")
PARAMETER = re.compile(r"(?!.*\.\.)[A-Za-z0-9:/._+ -]{1,60}")
WORDS = ("above", "below", "at_least", "at_most", "equals", "differs_from")
KINDS = (*(rule.kind for rule in RULES), CORRECTION)
LONGEST_S = 7 * 86_400
MOST_WINDOWS = 150
Number = int | Decimal


class RuleText(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A table `[rules.NAME]`."""

    targets: list[str]
    symbols: list[str] = []
    answer: str = "order_flow"
    parameters: dict[str, str | int] = {}
    field: str | None = None
    above: Number | None = None
    below: Number | None = None
    at_least: Number | None = None
    at_most: Number | None = None
    equals: Any = None
    differs_from: Any = None
    magnitude: bool = False
    z_above: Number | None = None
    z_windows: int = 60
    events: list[str] | None = None
    side: Literal["buy", "sell"] | None = None
    stale: bool | None = None
    age_above_s: Number | None = None
    worse_than: str | None = None
    for_s: int = 0
    cooldown_s: int | None = None
    every_s: int = 15
    only: Only | None = None
    partial: Literal["refuse", "mark"] = "refuse"
    note: str = ""


def rule_from(name: str, table: dict[str, Any], line: int) -> Rule:
    """A checked rule; ConfigError without the place, which the caller adds."""
    if NAME.fullmatch(name) is None:
        raise ConfigError("a name has lower-case letters, digits, - and _, at most 48")
    try:
        text = msgspec.convert(table, RuleText)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{error}; docs/operations.md lists the keys of a rule") from None
    _check_values(text)
    condition = _condition(text)
    source = SOURCES.get(text.answer)
    if condition.kind is Kind.EVENT:
        text.answer, source = "events", SOURCES["events"]
    if source is None or (text.answer == "events") is not (condition.kind is Kind.EVENT):
        allowed = ", ".join(one for one in SOURCES if one != "events")
        raise ConfigError(f"answer must be one of: {allowed} (events are asked by `events = [..]`)")
    only = text.only or ("final" if text.answer == "footprint" else None)
    _check(text, only, condition)
    cooldown = text.cooldown_s
    if cooldown is None:
        cooldown = 0 if condition.kind is Kind.EVENT else 300
    return Rule(
        name=name,
        symbols=_symbols(text, needed=source.needs_symbol),
        answer=text.answer,
        parameters=_parameters(text, source.parameters),
        condition=condition,
        targets=tuple(dict.fromkeys(text.targets)),
        for_ms=_seconds(text.for_s, "for_s") * 1_000,
        cooldown_ms=_seconds(cooldown, "cooldown_s") * 1_000,
        every_s=_seconds(text.every_s, "every_s", least=1),
        only=only,
        partial_marked=text.partial == "mark",
        note=_plain(text.note),
        line=line,
    )


def _check_values(text: RuleText) -> None:
    """Thresholds are finite numbers; equality also takes a word or a truth."""
    for word in (*WORDS, "z_above", "age_above_s"):
        value = getattr(text, word)
        if value is None or isinstance(value, int):
            continue
        if isinstance(value, str) and word in ("equals", "differs_from"):
            _plain(value)
        elif not isinstance(value, Decimal) or not value.is_finite():
            raise ConfigError(f"{word} must be a finite number")


def _check(text: RuleText, only: Only | None, condition: Condition) -> None:
    """What does not go together."""
    history = text.answer in ("order_flow", "volume_profile", "footprint")
    if condition.kind is Kind.Z_SCORE and not history:
        raise ConfigError("z_above needs answer order_flow, volume_profile or footprint")
    if only and condition.kind is not Kind.EVENT and not history:
        raise ConfigError("only = .. needs answer order_flow, volume_profile or footprint")
    if only and condition.kind in (Kind.STALE, Kind.COMPLETENESS) and text.answer != "footprint":
        raise ConfigError("staleness and completeness are about now: leave `only` out")
    if condition.kind in (Kind.STALE, Kind.COMPLETENESS) and text.answer in ("status", "footprint"):
        raise ConfigError("stale, age_above_s and worse_than need an answer with `quality`")
    if not text.targets:
        raise ConfigError("targets must name at least one target")


def _condition(text: RuleText) -> Condition:
    """Exactly one of the conditions."""
    words = [word for word in WORDS if getattr(text, word) is not None]
    given = {
        Kind.COMPARE: bool(words),
        Kind.Z_SCORE: text.z_above is not None,
        Kind.EVENT: text.events is not None,
        Kind.STALE: text.stale is not None or text.age_above_s is not None,
        Kind.COMPLETENESS: text.worse_than is not None,
    }
    kinds = [kind for kind, there in given.items() if there]
    if len(kinds) != 1 or len(words) > 1:
        raise ConfigError(
            f"a rule has exactly one condition: field with one of {', '.join(WORDS)}; field with "
            "z_above; events; stale = true; age_above_s; worse_than"
        )
    kind = kinds[0]
    if kind in (Kind.COMPARE, Kind.Z_SCORE):
        return _of_field(text, kind, words)
    if text.field is not None or text.magnitude:
        raise ConfigError("field and magnitude go with a comparison or z_above only")
    if kind is Kind.EVENT:
        return _of_events(text)
    if kind is Kind.COMPLETENESS:
        if text.worse_than not in set(State):
            raise ConfigError(f"worse_than must be one of: {', '.join(State)}")
        return Condition(kind, worse_than=State(text.worse_than))
    if text.stale is not None and (text.stale is False or text.age_above_s is not None):
        raise ConfigError("write stale = true, or age_above_s = SECONDS")
    if text.age_above_s is None:
        return Condition(kind)
    return Condition(kind, word="above", value=Decimal(text.age_above_s))


def _of_field(text: RuleText, kind: Kind, words: list[str]) -> Condition:
    if text.field is None:
        raise ConfigError("field is missing: the path of a number, for example delta")
    path = parse_path(text.field)
    if kind is Kind.Z_SCORE:
        if text.z_above is None or text.z_above <= 0 or not 20 <= text.z_windows <= MOST_WINDOWS:
            raise ConfigError(f"z_above must be above 0 and z_windows 20 to {MOST_WINDOWS}")
        limit = Decimal(text.z_above)
        return Condition(
            kind, path, text.field, "above", limit, magnitude=True, windows=text.z_windows
        )
    value = getattr(text, words[0])
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return Condition(kind, path, text.field, words[0], value, magnitude=text.magnitude)


def _of_events(text: RuleText) -> Condition:
    events = tuple(dict.fromkeys(text.events or ()))
    if not events or (unknown := [one for one in events if one not in KINDS]):
        wrong = f"{unknown[0]!r} is no event; " if events else ""
        raise ConfigError(f"{wrong}events must name some of: {', '.join(KINDS)}")
    return Condition(Kind.EVENT, events=events, side=text.side or "")


def _symbols(text: RuleText, *, needed: bool) -> tuple[str, ...]:
    if not needed:
        if text.symbols:
            raise ConfigError("answer = status is about the server: leave symbols out")
        return ("",)
    wrong = [one for one in text.symbols if SYMBOL.fullmatch(one) is None]
    if not text.symbols or wrong or len(text.symbols) > 50:
        raise ConfigError('symbols must be a list of 1 to 50, for example ["BTCUSDT"]')
    return tuple(dict.fromkeys(text.symbols))


def _parameters(text: RuleText, allowed: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    for name, value in text.parameters.items():
        if name not in allowed:
            raise ConfigError(
                f"{name!r} is no parameter of {text.answer}; allowed: {', '.join(allowed)}"
            )
        if PARAMETER.fullmatch(str(value)) is None:
            raise ConfigError(f"parameter {name} has signs that no parameter has")
    for name, answer in (("name", "indicator"), ("instrument", "derivatives")):
        if text.answer == answer and name not in text.parameters:
            raise ConfigError(f"answer = {answer} needs parameters = {{ {name} = .. }}")
    return tuple(sorted((name, str(value)) for name, value in text.parameters.items()))


def _seconds(value: int, name: str, least: int = 0) -> int:
    if not least <= value <= LONGEST_S:
        raise ConfigError(f"{name} must be {least} to {LONGEST_S} seconds")
    return value


def _plain(text: str) -> str:
    if len(text) > 300 or any(not sign.isprintable() for sign in text):
        raise ConfigError("note must be one line of at most 300 printable signs")
    return text
