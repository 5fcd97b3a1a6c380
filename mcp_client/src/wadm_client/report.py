"""The base of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import pandas as pd


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable; fields a newer server adds are ignored. Numbers are exact decimals."""

    def to_frame(self) -> pd.DataFrame:
        """The rows of the answer (levels, bars, items, events) as a DataFrame; extra `pandas`."""
        from wadm_client.frames import frame

        return frame(self)
