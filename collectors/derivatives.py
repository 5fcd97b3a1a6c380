"""The sans-I/O contract of a venue's derivative streams: what to ask and how to read it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from collectors.venue import RestCall
from orderflow.derivatives import DerivativeEvent
from orderflow.instrument import Instrument


class DerivativeMarket(Protocol):
    """Funding, open interest and liquidations of one perpetual market.

    `sampled`: the venue does not send every liquidation.
    """

    @property
    def sampled(self) -> bool: ...
    @property
    def ws_setting(self) -> str: ...
    @property
    def rest_setting(self) -> str: ...

    def socket_path(self, instruments: Sequence[Instrument]) -> str:
        """Path and query of the socket for these instruments."""
        ...

    def messages(self, instruments: Sequence[Instrument]) -> list[str]:
        """Subscription messages within the venue's limits; empty where the path subscribes."""
        ...

    def ping(self) -> tuple[str, float] | None:
        """The venue's own ping message and its interval in seconds; None without one."""
        ...

    def read(self, frame: bytes, instruments: dict[str, Instrument]) -> list[DerivativeEvent]:
        """Events of a frame (`instruments` by symbol); MalformedFrameError when unreadable."""
        ...

    def open_interest_call(self, instrument: Instrument) -> RestCall | None:
        """Ask for the open interest; None where the socket tells it."""
        ...

    def parse_open_interest(self, body: bytes, instrument: Instrument) -> DerivativeEvent:
        """The answer to that; MalformedFrameError when unreadable."""
        ...
