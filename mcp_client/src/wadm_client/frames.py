"""Rows of an answer for tables and files. pandas is imported only when a frame is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from wadm_client.errors import ConfigError
from wadm_client.report import Report

if TYPE_CHECKING:
    import pandas as pd

ROWS = ("levels", "bars", "items", "events", "instruments", "symbols", "streams")
Row = dict[str, Any]


def rows(report: Report) -> Iterator[Row]:
    """One flat dictionary per level, bar, item or event; else one of the answer itself."""
    for name in ROWS:
        found = getattr(report, name, None)
        if isinstance(found, list) and found and isinstance(found[0], Report):
            for item in found:
                yield flat(item)
            return
        if isinstance(found, list) and name in {"items", "events", "bars"}:
            return
    yield flat(report)


def flat(report: Report) -> Row:
    """Fields of one object; nested objects as outer_inner, lists left out."""
    row: Row = {}
    for name in report.__struct_fields__:
        value = getattr(report, name)
        if isinstance(value, Report):
            row |= {f"{name}_{inner}": found for inner, found in flat(value).items()}
        elif not isinstance(value, list | dict):
            row[name] = value
    return row


def frame(report: Report) -> pd.DataFrame:
    """A DataFrame; decimals become float64, as arithmetic in pandas wants them."""
    try:
        import pandas as pd
    except ImportError:
        raise ConfigError("to_frame() needs: pip install 'wadm-client[pandas]'") from None
    return pd.DataFrame(
        [{name: plain(value) for name, value in row.items()} for row in rows(report)]
    )


def plain(value: Any) -> Any:
    """A number that pandas calculates with."""
    return float(value) if isinstance(value, Decimal) else value


def row_json(row: Row) -> bytes:
    """One line of JSON, digits as served."""
    return msgspec.json.Encoder(decimal_format="number").encode(row)
