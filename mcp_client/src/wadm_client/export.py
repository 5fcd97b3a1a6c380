"""Rows into files: CSV, JSON Lines, and Parquet with the extra `export`."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from wadm_client.errors import ClientError, ConfigError
from wadm_client.frames import Row, flat, row_json
from wadm_client.report import Report

FORMATS = ("csv", "jsonl", "parquet")


def export(reports: Iterable[Report], path: Path, form: str = "") -> int:
    """Write one row per report; the format comes from the file's ending. Returns the rows."""
    form = form or path.suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise ConfigError(f"the format must be one of: {', '.join(FORMATS)}")
    rows = (flat(report) for report in reports)
    part = path.with_name(path.name + ".part")
    try:
        count = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[form](rows, part)
        part.replace(path)
    except OSError as error:
        raise ClientError(f"{path.name} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return count


def _csv(rows: Iterator[Row], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, list(row), restval="", extrasaction="ignore")
                writer.writeheader()
            writer.writerow({name: _cell(value) for name, value in row.items()})
            count += 1
    return count


def _cell(value: Any) -> Any:
    """Decimals without an exponent; text that a spreadsheet would run is only text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"}:
        return "'" + value
    return value


def _jsonl(rows: Iterator[Row], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(row_json(row) + b"\n")
            count += 1
    return count


def _parquet(rows: Iterator[Row], path: Path) -> int:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError("Parquet needs: pip install 'wadm-client[export]'") from None
    found = list(rows)
    names = list(dict.fromkeys(name for row in found for name in row))
    columns = {name: [_column(row.get(name)) for row in found] for name in names}
    parquet.write_table(arrow.table(columns), path)
    return len(found)


def _column(value: Any) -> Any:
    """Decimals stay decimals; ids beyond 64 bits become text, as no Parquet integer holds them."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return str(value)
    return value
