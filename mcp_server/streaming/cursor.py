"""Cursor: a place in the stream of answers. Pure.

`position` counts the topic `updates` in its life `epoch`: everything up to it was told, by any
server. `seq` counts the messages of one server, in its life: it is exact within a position, and
means nothing to another server or a later life.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from orderflow.errors import InvalidParameterError

FORM = re.compile(r"([0-9a-f]{8})\.([0-9]{1,18})\.([0-9a-f]{8})\.([0-9]{1,18})")
LONGEST = 60


class Cursor(NamedTuple):
    """Its text is what a reader keeps and sends back."""

    epoch: str
    position: int
    life: str
    seq: int

    @property
    def text(self) -> str:
        """Opaque to readers."""
        return f"{self.epoch}.{self.position}.{self.life}.{self.seq}"


def parse_cursor(text: str) -> Cursor:
    """What a reader kept; InvalidParameterError for anything we never gave."""
    found = FORM.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise InvalidParameterError(
            "the cursor must be one this stream gave; leave it out to begin anew"
        )
    return Cursor(found[1], int(found[2]), found[3], int(found[4]))


def epoch_name(epoch: str) -> str:
    """A life of the updates as it stands in cursors."""
    return hashlib.sha256(epoch.encode()).hexdigest()[:8]
