"""The file of rules: TOML in, a Book out; an error names the line, the rule and the fix. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from alerts.rule import Book, Silence, TargetEntry
from alerts.ruletext import NAME, SYMBOL, rule_from
from orderflow.errors import ConfigError

TABLES = ("rules", "targets", "silences")
MOST_RULES = 500
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class TargetOptions(NamedTuple):
    """What a kind of target takes: open options and secrets, and which of both it needs."""

    options: tuple[str, ...]
    secrets: tuple[str, ...]
    needed: tuple[str, ...]


def read_book(text: str, kinds: Mapping[str, TargetOptions]) -> Book:
    """Everything in a file, whole or not at all."""
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"no TOML: {error}") from None
    if unknown := [name for name in tables if name not in TABLES]:
        raise ConfigError(f"unknown table {unknown[0]!r}; allowed: {', '.join(TABLES)}")
    targets = tuple(
        _placed(text, "targets", name, lambda line, n=name, t=table: _target(n, t, kinds))
        for name, table in _tables(tables, "targets")
    )
    rules = tuple(
        _placed(text, "rules", name, lambda line, n=name, t=table: rule_from(n, t, line))
        for name, table in _tables(tables, "rules")
    )
    if not 1 <= len(rules) <= MOST_RULES:
        raise ConfigError(f"the file must hold 1 to {MOST_RULES} rules: [rules.NAME]")
    known = {target.name for target in targets}
    for rule in rules:
        if unknown := [name for name in rule.targets if name not in known]:
            raise ConfigError(
                f"line {rule.line}, rule {rule.name}: there is no target {unknown[0]!r}; "
                f"add [targets.{unknown[0]}] or name one of: {', '.join(sorted(known)) or '-'}"
            )
    listed = tables.get("silences", [])
    if not isinstance(listed, list):
        raise ConfigError("silences are written as [[silences]]")
    return Book(rules, targets, tuple(_silence(one, rules) for one in listed))


def _tables(tables: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    found = tables.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise ConfigError(f"{name} are written as [{name}.NAME]")
    return list(found.items())


def _placed(text: str, table: str, name: str, read: Any) -> Any:
    """The entry; its errors say where it stands."""
    pattern = re.compile(rf"^\s*\[\s*{table}\s*\.\s*[\"']?{re.escape(name)}[\"']?\s*[.\]]", re.M)
    found = pattern.search(text)
    line = 0 if found is None else text.count("\n", 0, found.end()) + 1
    try:
        return read(line)
    except ConfigError as error:
        place = f"line {line}, " if line else ""
        raise ConfigError(f"{place}{table.removesuffix('s')} {name}: {error}") from None


def _target(name: str, table: dict[str, Any], kinds: Mapping[str, TargetOptions]) -> TargetEntry:
    if NAME.fullmatch(name) is None:
        raise ConfigError("a name has lower-case letters, digits, - and _, at most 48")
    kind = table.get("kind")
    takes = kinds.get(kind) if isinstance(kind, str) else None
    if takes is None:
        raise ConfigError(f"kind must be one of: {', '.join(kinds)}")
    options: dict[str, str] = {}
    sources: dict[str, str] = {}
    for key, value in table.items():
        if key == "kind":
            continue
        secret, _, way = key.rpartition("_")
        if key in takes.options:
            options[key] = _option(key, value)
        elif secret in takes.secrets and way in ("env", "file"):
            sources[secret] = _source(key, value, way)
        else:
            raise ConfigError(f"unknown key {key!r}; {_allowed(takes)}")
    both = set(options) | set(sources)
    if missing := [one for one in takes.needed if one not in both]:
        raise ConfigError(f"{missing[0]} is missing; {_allowed(takes)}")
    return TargetEntry(name, str(kind), tuple(sorted(options.items())), tuple(sources.items()))


def _allowed(takes: TargetOptions) -> str:
    secrets = (f"{name}_env or {name}_file" for name in takes.secrets)
    return f"allowed: {', '.join((*takes.options, *secrets))}"


def _option(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ConfigError(f"{key} must be text")
    text = str(value)
    if not 1 <= len(text) <= 500 or any(not sign.isprintable() for sign in text):
        raise ConfigError(f"{key} must be one line of 1 to 500 printable signs")
    return text


def _source(key: str, value: Any, way: str) -> str:
    """Where a secret is; never the secret itself."""
    text = _option(key, value)
    if way == "file":
        return f"file:{text}"
    if VARIABLE.fullmatch(text) is None or text.startswith("WADM_"):
        raise ConfigError(
            f"{key} names an environment variable (letters, digits, _; not WADM_..); "
            "the secret itself never stands in this file"
        )
    return f"env:{text}"


def _silence(table: Any, rules: tuple[Any, ...]) -> Silence:
    """`rule` and `symbol` are optional, `until` is a time with a zone or UTC."""
    allowed = {"rule", "symbol", "until"}
    if not isinstance(table, dict) or set(table) - allowed or "until" not in table:
        raise ConfigError("[[silences]] takes rule, symbol and until (a time, needed)")
    rule, symbol = table.get("rule", ""), table.get("symbol", "")
    if rule and rule not in {one.name for one in rules}:
        raise ConfigError(f"[[silences]]: there is no rule {rule!r}")
    if symbol and (not isinstance(symbol, str) or SYMBOL.fullmatch(symbol) is None):
        raise ConfigError("[[silences]]: symbol must look like BTCUSDT")
    return Silence(rule, symbol, until_ms(table["until"]))


def until_ms(value: Any) -> int:
    """A time of TOML or ISO-8601; UTC unless it says otherwise."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ConfigError("until must look like 2026-01-31T12:00:00Z") from None
    return int(found.replace(tzinfo=found.tzinfo or UTC).timestamp() * 1_000)
