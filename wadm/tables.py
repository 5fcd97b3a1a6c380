"""Tables of an offline computation: exact rows, and how they are written."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from orderflow.errors import ConfigError
from wadm.columns import Row

if TYPE_CHECKING:
    import pandas as pd

MOMENTS = frozenset({"period_start", "period_end", "at"})
START = ("period_start", "at")
"""Columns that hold ISO-8601 text in rows, CSV and JSON, and timestamps in frames and Parquet."""
FORMATS = (".parquet", ".csv", ".jsonl")
MOST_DIGITS = 38
ENCODER = msgspec.json.Encoder(decimal_format="string")


@dataclass(frozen=True, slots=True)
class Computed:
    """Rows of one table in time order; numbers are exact decimals and whole numbers.

    `facts`: what a study says about the whole stretch; `reason`: why it says less than it could.
    """

    table: str
    instrument: str
    timeframe: str
    rows: list[Row] = field(default_factory=list)
    facts: Row = field(default_factory=dict)
    reason: str | None = None

    @property
    def columns(self) -> list[str]:
        """Names in order."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def frame(self, *, exact: bool = False) -> pd.DataFrame:
        """A pandas frame, moments as UTC timestamps; decimals become floats unless `exact`."""
        import pandas as pd

        frame = pd.DataFrame(self.rows, columns=self.columns)
        for name in MOMENTS.intersection(self.columns):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        if not exact:
            for name in self.columns:
                if any(isinstance(row.get(name), Decimal) for row in self.rows):
                    frame[name] = frame[name].astype(float)
        return frame

    def summary(self) -> dict[str, Any]:
        """What was computed, in numbers."""
        states: dict[str, int] = {}
        for row in self.rows:
            if (state := row.get("state")) is not None:
                states[state] = states.get(state, 0) + 1
        return {
            "table": self.table,
            "instrument": self.instrument,
            "timeframe": self.timeframe,
            "rows": len(self.rows),
            "columns": self.columns,
            "first": self._moment(0),
            "last": self._moment(-1),
            "states": states,
            "facts": msgspec.json.decode(ENCODER.encode(self.facts)),
            "reason": self.reason,
        }

    def _moment(self, place: int) -> str | None:
        """Start of a row, where rows have one."""
        if not self.rows:
            return None
        row = self.rows[place]
        return next((row[name] for name in START if row.get(name)), None)

    def write(self, path: Path) -> None:
        """By the ending of the name: .parquet, .csv or .jsonl; whole or not at all."""
        check_format(path)
        writers = {".parquet": self._parquet, ".csv": self._csv, ".jsonl": self._jsonl}
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            writers[path.suffix](part)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ConfigError(f"{path.name} can't be written: {error.strerror}") from error

    def lines(self) -> Iterator[str]:
        """One JSON object a row, decimals as strings."""
        return (ENCODER.encode(row).decode() for row in self.rows)

    def _jsonl(self, path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in self.lines())

    def _csv(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            for row in self.rows:
                writer.writerow({name: _cell(value) for name, value in row.items()})

    def _parquet(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = []
        for name in self.columns:
            values = [row.get(name) for row in self.rows]
            decimals = [value for value in values if isinstance(value, Decimal)]
            if name in MOMENTS:
                moments = [None if v is None else datetime.fromisoformat(str(v)) for v in values]
                arrays.append(pa.array(moments, pa.timestamp("ms", "UTC")))
            elif decimals:
                scale = max(max(0, -int(value.as_tuple().exponent)) for value in decimals)
                arrays.append(pa.array(values, pa.decimal128(MOST_DIGITS, scale)))
            elif any(isinstance(value, dict | list) for value in values):
                arrays.append(pa.array([None if v is None else _cell(v) for v in values]))
            else:
                arrays.append(pa.array(values))
        pq.write_table(pa.table(arrays, names=self.columns), path)


def check_format(path: Path) -> None:
    """ConfigError names the allowed endings."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"--out must end in one of: {', '.join(FORMATS)}")


def chosen(text: str, allowed: Sequence[str], option: str) -> tuple[str, ...]:
    """Names by comma; ConfigError lists the allowed ones."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not names or any(name not in allowed for name in names):
        raise ConfigError(f"{option} must be of: {', '.join(allowed)}")
    return names


def _cell(value: Any) -> Any:
    """One text per value: plain decimals, objects as JSON."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict | list):
        return ENCODER.encode(value).decode()
    return value
