"""A stream that a person paused: its hole is declared, and repaired where the venue still can.

The list of paused streams is one file in the data folder, so it survives restarts and needs no
open port: `wadm pause` writes it, every collector on this machine reads it once a second.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import structlog

from orderflow.errors import ConfigError

log = structlog.get_logger()
LOOK_S = 1.0
FILE = "paused.json"
REASON = "paused"


class PauseList:
    """Canonical names of paused streams in a file; missing or unreadable means none."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def read(self) -> frozenset[str]:
        """The names; a file that is no list of names pauses nothing."""
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return frozenset()
        if not isinstance(found, list):
            return frozenset()
        return frozenset(name for name in found if isinstance(name, str))

    def change(self, name: str, *, paused: bool) -> bool:
        """Add or remove a name in one step; False when nothing changes."""
        before = self.read()
        after = before | {name} if paused else before - {name}
        if after == before:
            return False
        part = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(sorted(after)))
            part.replace(self.path)
        except OSError as error:
            raise ConfigError(
                f"{self.path} can't be written: {error.strerror}; see WADM_DATA_DIR"
            ) from error
        return True


class Pauses:
    """What is paused now; `changed` is told a name and whether it is paused."""

    def __init__(self, pauses: PauseList, changed: Callable[[str, bool], None]) -> None:
        self._pauses = pauses
        self._changed = changed
        self.names: set[str] = set(pauses.read())

    async def run(self) -> None:
        """Look at the file once a second, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Tell what changed since the last time."""
        wanted = self._pauses.read()
        for name in sorted(wanted ^ self.names):
            log.warning("stream.paused" if name in wanted else "stream.resumed", instrument=name)
            self._changed(name, name in wanted)
