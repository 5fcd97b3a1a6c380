"""Secrets of targets: from an environment variable or a file, read when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alerts.rule import TargetEntry
from orderflow.errors import ConfigError

LONGEST = 4_096


def options_of(target: TargetEntry, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Open options and secrets together; a relative file is looked for beside the rules."""
    found = dict(target.options)
    for name, source in target.sources:
        way, _, where = source.partition(":")
        place = f"target {target.name}: {name}_{way}"
        found[name] = _file(folder / where, place) if way == "file" else _env(environ, where, place)
    return found


def _env(environ: Mapping[str, str], name: str, place: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"{place}: the environment has no {name}; export it, or name a file")
    return value


def _file(path: Path, place: str) -> str:
    try:
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{place} can't be read: {path.name}; see its name and mode") from None
    if not value or len(value) > LONGEST or "\n" in value:
        raise ConfigError(f"{place} must hold one line of at most {LONGEST} signs")
    return value
