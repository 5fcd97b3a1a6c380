"""`wadm plot`: pictures of the running server's answers, without a browser."""

from __future__ import annotations

import importlib
import os
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backbone.settings import Settings, read_settings
from backbone.telemetry import configure_logs
from mcp_server.parameters import moment
from orderflow.errors import ConfigError
from orderflow.timeframe import PERIODS, TIMEFRAMES, parse_timeframe
from wadm.asking import ask

if TYPE_CHECKING:
    from wadm.pictures.style import Heading

FORMATS = (".png", ".svg")
MOST_BARS = {"flow": 200, "footprint": 24}
app = typer.Typer(help="Pictures (png or svg) of the running server's answers.")
Symbol = Annotated[str, typer.Argument(help="For example BTCUSDT.")]
Out = Annotated[Path, typer.Option("--out", help="A file that ends in .png or .svg.")]
Timeframe = Annotated[str, typer.Option(help=", ".join(TIMEFRAMES))]
Period = Annotated[str, typer.Option(help=", ".join(PERIODS))]
Limit = Annotated[int, typer.Option(help="How many bars, the newest.")]
Text = str | None
Asked = dict[str, str | int | None]
Exchange = Annotated[Text, typer.Option(help="A venue; none: all of the market.")]
Market = Annotated[Text, typer.Option(help="perp, spot or all.")]
Start = Annotated[Text, typer.Option(help="Windows that begin from here on, ISO-8601.")]
End = Annotated[Text, typer.Option(help="Windows that begin before this.")]


@app.command()
def profile(
    symbol: Symbol,
    out: Out,
    timeframe: Timeframe = "1h",
    exchange: Exchange = None,
    market: Market = None,
    start: Start = None,
) -> None:
    """Volume at price of one window: now, or the one that begins at --start."""
    name = parse_timeframe(timeframe)
    settings = _begun(out)
    about: Asked = {"exchange": exchange, "market": market, "numbers": "string"}
    question = {**about, "timeframe": name, "detail": "full"}
    if start is None:
        answer = ask(settings, f"/volume_profile/{symbol}", question)
    else:
        begin = moment(start, "start") or 0
        end = begin + TIMEFRAMES[name]
        question |= {"start": begin, "end": end, "context": "none"}
        items = ask(settings, f"/volume_profile/{symbol}", question)["items"]
        answer = _some(items, "no window of that timeframe begins there")[0]
    from wadm.pictures.style import percent

    quality = answer["quality"]
    shown = _heading(answer, f"volume profile {name}, {answer['window']}", answer["period_start"])
    heading = shown(
        as_of=quality["applied_through"],
        state=quality["completeness"]["state"],
        coverage=percent(quality["completeness"]["coverage"]),
        final=quality["final"],
        stale=quality["stale"],
    )
    _some(answer["levels"], "no trades in this window")
    _draw("profile", answer, heading, out)


@app.command()
def flow(  # noqa: PLR0913 (each is an option)
    symbol: Symbol,
    out: Out,
    period: Period = "1m",
    limit: Limit = 60,
    exchange: Exchange = None,
    market: Market = None,
    start: Start = None,
    end: End = None,
) -> None:
    """Price, delta and cumulative delta over the newest periods."""
    name = parse_timeframe(period, allowed=PERIODS, what="period")
    settings = _begun(out)
    about: Asked = {
        "exchange": exchange,
        "market": market,
        "numbers": "string",
        "detail": "summary",
    }
    span: Asked = {"start": start, "end": end, "limit": _limited("flow", limit)}
    answer = ask(settings, f"/order_flow/{symbol}", about | span | {"period": name})
    items = _some(answer["items"], "nothing is stored for this range")
    now = ask(settings, f"/order_flow/{symbol}", about)
    qualities = [item["quality"] for item in items]
    _draw("flow", answer, _of_bars(items[-1], f"order flow {name}", qualities, now), out)


@app.command()
def footprint(  # noqa: PLR0913 (each is an option)
    symbol: Symbol,
    out: Out,
    timeframe: Timeframe = "5m",
    limit: Limit = 8,
    exchange: Exchange = None,
    market: Market = None,
    start: Start = None,
    end: End = None,
) -> None:
    """Sold and bought volume at every price of the newest bars."""
    name = parse_timeframe(timeframe)
    settings = _begun(out)
    about: Asked = {"exchange": exchange, "market": market, "numbers": "string"}
    span: Asked = {"start": start, "end": end, "limit": _limited("footprint", limit)}
    question = about | span | {"timeframe": name, "detail": "rows"}
    answer = ask(settings, f"/footprint/{symbol}", question)
    bars = _some(answer["bars"], "nothing is stored for this range")
    _some([bar for bar in bars if bar["rows"]], "no trades in this range")
    now = ask(settings, f"/order_flow/{symbol}", about | {"detail": "summary"})
    _draw("footprint", answer, _of_bars(answer, f"footprint {name}", bars, now), out)


def _begun(out: Path) -> Settings:
    """Settings, when the file can be written and matplotlib is there."""
    if out.suffix not in FORMATS:
        raise ConfigError(f"--out must end in {' or '.join(FORMATS)}")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"--out: there is no folder {out.parent}; make it first")
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise ConfigError("pictures need matplotlib: pip install 'wadm[plot]'") from None
    settings = read_settings(os.environ)
    configure_logs(settings.log_level)
    return settings


def _limited(kind: str, limit: int) -> int:
    if not 1 <= limit <= MOST_BARS[kind]:
        raise ConfigError(f"--limit of {kind} must be 1 to {MOST_BARS[kind]}")
    return limit


def _some(found: list[Any] | None, message: str) -> list[Any]:
    if not found:
        raise ConfigError(f"{message}; see `wadm status` for what is collected, or choose another")
    return found


def _heading(answer: dict[str, Any], what: str, start: str = "") -> Any:
    """A Heading that lacks how far it is proven."""
    from functools import partial

    from wadm.pictures.style import Heading

    begun = f" from {start[:16]}Z" if start else ""
    about = f"{answer['symbol']} {answer['market']} · {answer['exchange']} · {what}{begun}"
    return partial(Heading, about=about, source=answer["source"])


def _of_bars(
    answer: dict[str, Any], what: str, qualities: list[dict[str, Any]], now: dict[str, Any]
) -> Heading:
    """The worst of all bars; final only when every bar is."""
    from wadm.pictures.style import percent, worst_state

    least = min((one["coverage"] for one in qualities), key=Decimal)
    states = [one["state"] for one in qualities]
    final = all(one["final"] for one in qualities)
    heading: Heading = _heading(answer, what)(
        as_of=now["timestamp"],
        state=worst_state(states),
        coverage=f"every bar at least {percent(least)}",
        final=final,
        stale=now["quality"]["stale"] and not final,
    )
    return heading


def _draw(kind: str, answer: dict[str, Any], heading: Heading, out: Path) -> None:
    from wadm.pictures.style import save

    save(importlib.import_module(f"wadm.pictures.{kind}").draw(answer, heading), out)
    typer.echo(out)
