"""`python -m evaluation`: builds the frozen store, asks an agent everything, writes the report."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backbone.telemetry import configure_logs
from evaluation import frozen
from evaluation.oracle import Day
from evaluation.questions import QUESTIONS
from evaluation.runner import Line, plugged, run, totals

FOLDER = Path("build/evaluation")
REPORT = Path("build/evaluation.json")
ANSWERS = Path(__file__).with_name("answers.json")
SCRIPTED = "evaluation.script:answer"
DAY = "data/binance_vision_20240101/BTCUSDT-aggTrades-2024-01-01.zip"
console = Console(width=140)


def tape() -> Path:
    """The real day, where the shared data are."""
    return Path(os.environ.get("WADM_SHARED", "../shared")) / DAY


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--agent", default=SCRIPTED, help="module:function, or a command line")
    parser.add_argument("--only", default="", help="ids of questions, by comma")
    parser.add_argument("--at-least", type=float, default=0, help="exit 1 below this accuracy, %%")
    parser.add_argument("--rebuild", action="store_true", help="make the frozen store anew")
    parser.add_argument("--list", action="store_true", help="print the questions and end")
    parser.add_argument(
        "--write-answers", action="store_true", help="compute answers.json from the tape and end"
    )
    return parser.parse_args()


def expected(day: Day) -> dict[str, str]:
    """Every answer, from the tape."""
    return {question.id: question.expected(day) for question in QUESTIONS}


async def evaluated(asked: argparse.Namespace) -> list[Line]:
    """The store if it is not there, then all questions."""
    file = FOLDER / frozen.FILE
    if asked.rebuild or not file.exists():
        console.print(f"playing {tape().name} into {file}")
        await frozen.build(tape(), FOLDER)
    wanted = [name for name in asked.only.split(",") if name]
    chosen = [one for one in QUESTIONS if not wanted or one.id in wanted]
    answers = json.loads(ANSWERS.read_text())
    async with frozen.served(file) as (url, app):
        return await run(plugged(asked.agent), chosen, answers, url, app)


def shown(agent: str, lines: list[Line]) -> dict[str, Any]:
    """Print and write the report."""
    table = Table("question", "", "answer", "calls", "errors", "tokens", "s", title=agent)
    for line in lines:
        told = line.answer if line.right else f"{line.answer} (expected {line.expected})"
        cells = (line.calls, line.errors, line.tokens, f"{line.seconds:.2f}")
        table.add_row(line.id, "ok" if line.right else "WRONG", told, *map(str, cells))
    console.print(table)
    report = {"agent": agent, **totals(lines)}
    console.print(json.dumps(report))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({**report, "lines": [asdict(line) for line in lines]}, indent=1))
    return report


def main() -> int:
    """0 good, 1 below --at-least, 3 no tape."""
    asked = arguments()
    configure_logs("error")
    if asked.list:
        for one in QUESTIONS:
            console.print(f"[bold]{one.id}[/] ({one.form}): {one.text}")
        return 0
    if not tape().is_file():
        console.print("the real day is not here: set WADM_SHARED to the folder that holds data/")
        return 3
    if asked.write_answers:
        ANSWERS.write_text(json.dumps(expected(Day(tape())), indent=1) + "\n")
        return 0
    report = shown(asked.agent, asyncio.run(evaluated(asked)))
    return int(report["accuracy_pct"] < asked.at_least)


if __name__ == "__main__":
    sys.exit(main())
