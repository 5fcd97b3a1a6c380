"""Minutes an earlier life of the processor published after its last checkpoint. Pure."""

from __future__ import annotations

from orderflow.content import bar_hash
from orderflow.footprint import FootprintBar
from orderflow.instrument import Instrument
from processor.minute import Minute


class Earlier:
    """Revision and content hash of minutes that this life has not closed yet."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[int, str]] = {}

    def note(self, instrument: str, bar: FootprintBar, revision: int) -> None:
        """What was published of a minute."""
        self._told[bar.flow.start_ms] = revision, bar_hash([instrument], "1m", bar)

    def revision(self, instrument: Instrument, minute: Minute) -> int:
        """What a minute is closed with: 0, or where it had got to, one more if it changed."""
        told = self._told.pop(minute.start_ms, None)
        if told is None:
            return 0
        revision, content = told
        return revision + (bar_hash([instrument.name], "1m", minute.bar(instrument)) != content)
