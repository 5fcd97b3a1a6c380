"""The venues' public archives: the days of the tapes as files under the venues' own paths.

A day is served as soon as a tape holds a part of it, whatever the play has shown of it.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from simulator.candles import DAY_MS
from simulator.columns import BUYER, EVENT, FIRST, KEY, KIND, LAST, PRICE, QTY, RPI, Columns, Row
from simulator.decimals import text_of
from simulator.limits import Limits
from simulator.stats import Stats
from simulator.tape import Track
from simulator.venues.binance_frames import BinanceText
from simulator.venues.bybit_frames import BybitText
from simulator.wire.http import HttpRequest, HttpResponse
from simulator.wire.listener import Listener

MICROSECONDS_SINCE_MS = 1_735_689_600_000
"""Spot files of days from 2025-01-01 UTC on count microseconds."""
_BINANCE = re.compile(
    r"/data/(spot|futures/um)/daily/(aggTrades|trades)/([^/]+)/\3-\2-(\d{4}-\d\d-\d\d)\.zip"
    r"(\.CHECKSUM)?"
)
_BYBIT = re.compile(r"/(trading|spot)/([^/]+)/\2(_?)(\d{4}-\d\d-\d\d)\.csv\.gz")
_HEADS = {
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker",
    "trades": "id,price,qty,quote_qty,time,is_buyer_maker",
}


class ArchiveHost(Listener):
    """`data.binance.vision` and `public.bybit.com` on one port."""

    name = "archive"

    def __init__(self, tracks: Sequence[Track], limits: Limits, stats: Stats) -> None:
        super().__init__(limits, stats)
        self.tracks = {track.instrument.name: track for track in tracks}
        self.damaged: set[str] = set()
        self._files: dict[str, bytes] = {}

    def rest(self, request: HttpRequest, peer: str) -> HttpResponse:
        if (match := _BINANCE.fullmatch(request.path)) is not None:
            market = "spot" if match[1] == "spot" else "perp"
            path = request.path.removesuffix(".CHECKSUM")
            data = self._file(path, f"binance:{market}:{match[3]}", match[4], match[2])
            if data is not None and match[5]:
                name = path.rpartition("/")[2]
                line = f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()
                return HttpResponse(line, content_type="text/plain")
        elif (match := _BYBIT.fullmatch(request.path)) is not None:
            path, market = request.path, "spot" if match[1] == "spot" else "perp"
            fits = bool(match[3]) == (market == "spot")
            data = self._file(path, f"bybit:{market}:{match[2]}", match[4], "") if fits else None
        else:
            path, data = request.path, None
        if data is None:
            return HttpResponse(
                b"<Error><Code>NoSuchKey</Code></Error>", 404, {}, "application/xml"
            )
        if path in self.damaged:
            data = (
                data[: len(data) // 2]
                + bytes([data[len(data) // 2] ^ 1])
                + data[len(data) // 2 + 1 :]
            )
        return HttpResponse(data, content_type="application/octet-stream")

    def _file(self, path: str, name: str, day_text: str, kind: str) -> bytes | None:
        if path in self._files:
            return self._files[path]
        track = self.tracks.get(name)
        start_ms = _day_start_ms(day_text)
        if track is None or start_ms is None:
            return None
        columns = track.aggregates if kind == "aggTrades" else track.trades
        rows = columns.rows(columns.find(EVENT, start_ms), columns.find(EVENT, start_ms + DAY_MS))
        if not rows:
            return None
        if kind:
            data = _zipped(path.rpartition("/")[2], _binance_csv(track, rows, kind))
        else:
            data = gzip.compress(_bybit_csv(track, columns, rows).encode(), 1, mtime=0)
        self._files[path] = data
        return data


def _day_start_ms(text: str) -> int | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _zipped(name: str, text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo(name.removesuffix(".zip") + ".csv")
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, text, compresslevel=1)
    return packed.getvalue()


def _binance_csv(track: Track, rows: list[Row], kind: str) -> str:
    text = BinanceText(track.instrument)
    is_spot = track.instrument.market == "spot"
    lines = [] if is_spot else [_HEADS[kind]]
    lines.extend(_binance_lines(rows, text, kind, is_spot=is_spot))
    return "\n".join(lines) + "\n"


def _binance_lines(
    rows: list[Row], text: BinanceText, kind: str, *, is_spot: bool
) -> Iterator[str]:
    makers = ("True", "False") if is_spot else ("true", "false")
    for row in rows:
        event = row[EVENT]
        unit = "000" if is_spot and event >= MICROSECONDS_SINCE_MS else ""
        if kind == "aggTrades":
            middle = f"{row[FIRST]},{row[LAST]}"
        else:
            middle = text.quote(row[PRICE] * row[QTY])
        yield (
            f"{row[KEY]},{text.price[row[PRICE]]},{text.qty[row[QTY]]},{middle},{event}{unit},"
            f"{makers[row[BUYER]]}" + (",True" if is_spot else "")
        )


def _bybit_csv(track: Track, columns: Columns, rows: list[Row]) -> str:
    text = BybitText(track)
    item = track.instrument
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if item.market == "spot":
        writer.writerow(("id", "timestamp", "price", "volume", "side"))
        for place, row in enumerate(rows, 1):
            side = "buy" if row[BUYER] else "sell"
            cells = (text.price[row[PRICE]], text.qty[row[QTY]])
            writer.writerow((place, row[EVENT], *cells, side))
        return out.getvalue()
    head = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    out.write(f"{head}foreignNotional,RPI\n")
    for row in rows:
        notional = text.quote(row[PRICE] * row[QTY])
        writer.writerow(
            (
                text_of(row[EVENT], 3, 4),
                item.symbol,
                "Buy" if row[BUYER] else "Sell",
                text.qty[row[QTY]],
                text.price[row[PRICE]],
                "ZeroPlusTick",
                track.uuid_of(row[KEY]),
                f"{notional}e+08",
                text.qty[row[QTY]],
                notional,
                int(row[KIND] == RPI),
            )
        )
    return out.getvalue()
