"""Gates of the evaluation kit: answers come from the tape, the scripted agent finds them all
through real calls, and other agents can be plugged in."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from unmeasured import unmeasured

from evaluation import frozen
from evaluation.__main__ import ANSWERS, DAY, expected
from evaluation.oracle import Day
from evaluation.questions import QUESTIONS, Question
from evaluation.runner import Session, is_right, plugged, run, totals
from evaluation.script import SOLVERS

LEAST_QUESTIONS, LEAST_CHAINS = 30, 20
MOST_TOKENS = 8_000
TRADES, LEAST_RECORDS = 40_000, 300
EASY = [question for question in QUESTIONS if question.id in {"day-cvd", "last-price-place"}]
COMMAND = """
import asyncio, json, sys
from mcp import Client

async def main():
    asked = json.loads(sys.stdin.readline())
    assert "Answer with one" in asked["prompt"]
    async with Client(asked["mcp_url"]) as client:
        told = await client.call_tool("get_order_flow", {"symbol": "BTCUSDT"})
        await client.call_tool("get_order_flow", {"symbol": "NOTHING"})
    print("thinking aloud")
    print(json.dumps({"answer": told.structured_content["cumulative_delta"], "tokens": 77}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def tape(shared: Path) -> Path:
    return shared / DAY


def test_questions() -> None:
    """Enough questions, each with an answer of its form, a solver, and a name of its own."""
    answers = json.loads(ANSWERS.read_text())
    ids = [question.id for question in QUESTIONS]
    assert len(ids) == len(set(ids)) >= LEAST_QUESTIONS
    assert set(ids) == set(answers) == set(SOLVERS)
    for question in QUESTIONS:
        assert is_right(question.form, answers[question.id], answers[question.id])
        assert not is_right(question.form, f"{answers[question.id]} or so", answers[question.id])


def test_answers_are_the_tapes(tape: Path) -> None:
    """Every committed answer is what the exchange's own file says, summed without our code."""
    assert expected(Day(tape)) == json.loads(ANSWERS.read_text())


@pytest.fixture(scope="module")
def store(tape: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frozen store of the whole day."""
    with unmeasured():
        return asyncio.run(frozen.build(tape, tmp_path_factory.mktemp("frozen")))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> str:
    """An agent whose only call is refused."""

    async def answer(question: Question, session: Session) -> str:
        return str(await session.call("get_volume_profile", symbol="NOTHING"))

    module = ModuleType("failing_agent")
    module.answer = answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "failing_agent", module)
    return "failing_agent:answer"


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
async def test_agents(store: Path, failing: str) -> None:
    """The scripted agent has all questions right without an error over real MCP; most need several
    calls; no answer is longer than the cap. An agent in a process of its own is counted and judged
    as well, and one that breaks has not answered."""
    answers = json.loads(ANSWERS.read_text())
    async with frozen.served(store) as (url, app):
        lines = await run(plugged("evaluation.script:answer"), QUESTIONS, answers, url, app)
        told = totals(lines)
        assert [line for line in lines if not line.right] == []
        assert (told["accuracy_pct"], told["errors"]) == (100.0, 0)
        assert told["several_calls"] >= LEAST_CHAINS
        assert max(line.tokens / (line.calls + 1) for line in lines) <= MOST_TOKENS
        words = shlex.join([sys.executable, "-c", COMMAND])
        found = {one.id: one for one in await run(plugged(words), EASY, answers, url, app)}
        good, wrong = found["day-cvd"], found["last-price-place"]
        assert (good.right, wrong.right) == (True, False)
        assert (good.calls, good.errors, good.own_tokens) == (2, 1, 77)
        assert good.tokens > 100
        (broken,) = await run(plugged(failing), EASY[:1], answers, url, app)
        assert (broken.right, broken.errors) == (False, 1)
        assert broken.answer.startswith("failed: LookupError")


@pytest.mark.unmeasured
@pytest.mark.timeout(1_200)
def test_same_tape_same_store(tape: Path, tmp_path: Path) -> None:
    """Two plays of the same hours give the same records and the same checkpoint."""
    some = part(tape, tmp_path)
    first, second = (frozen.Builder(some).run() for _ in range(2))
    assert first == second
    assert len(first[0]) > LEAST_RECORDS


def part(tape: Path, folder: Path) -> Path:
    """The first trades of the day as a file of their own."""
    with zipfile.ZipFile(tape) as whole:
        (name,) = whole.namelist()
        with whole.open(name) as lines:
            head = b"".join(next(lines) for _ in range(TRADES))
    path = folder / f"{tape.stem}.zip"
    with zipfile.ZipFile(path, "w") as some:
        some.writestr(name, head)
    return path
