"""What a processor tells its servers: the topic `updates`.

Positions on the topic are the sequence of the updates, its epoch the life they count in: both are
what a stream of answers or a notification may point to.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["state", "minute", "window", "reset"]


class Update(msgspec.Struct, tag="update", gc=False, frozen=True):
    """One thing that changed; `body` belongs to the processor, which also reads it.

    `state`: an instrument as it stands, with its open minutes; `minute`: a minute that closed or
    was revised; `window`: an aligned window of `timeframe` from `start_ms` that closed or was
    revised; `reset`: read the store, too much was missed. `sent_ms`: the venue's clock then.
    `scope`, `epoch`: the fence of the processor that says it; of one scope a smaller epoch is that
    of a former owner and counts for nothing.
    """

    kind: Kind
    instrument: str
    start_ms: int
    sent_ms: int
    timeframe: str = ""
    revision: int = 0
    content_hash: str = ""
    body: bytes = b""
    scope: str = ""
    epoch: int = 0
