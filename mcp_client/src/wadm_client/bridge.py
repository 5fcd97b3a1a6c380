"""A stdio MCP server in front of the remote one: the same tools, and the last answers offline.

Only JSON-RPC goes to standard output. An answer from the cache is marked stale inside its own
quality, where a model sees it; an answer that has no place for the mark is not given offline.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from mcp import Client as McpClient
from mcp import MCPError, types
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourceUpdated,
    ServerEvent,
)
from pydantic import BaseModel

from wadm_client.cache import file_name
from wadm_client.clock import Clock
from wadm_client.config import Config
from wadm_client.entry import Held, to_entry, to_held
from wadm_client.errors import ApiError, CacheError, ClientError, NotReadyError, RateLimitedError
from wadm_client.question import LONGEST_WAIT_S
from wadm_client.remote import RefusedError, remote
from wadm_client.shelf import Shelf
from wadm_client.updates import Updates

M = TypeVar("M", bound=BaseModel)
KIND = "mcp"
OFFLINE = -32_002
DEFAULT_WAIT_S = 20


class Bridge:
    """Asks the server; keeps what it says; says it again, marked, when it cannot be asked."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.shelf = Shelf(config, self.clock)
        self.memory: dict[str, Held] = {}
        self.bus = InMemorySubscriptionBus()
        self.listening = ListenHandler(self.bus)
        self.updates = Updates(config, self._tell)
        self.sessions: dict[str, ServerSession] = {}
        """By resource: the one host, when it speaks the earlier era."""

    def server(self) -> Server[Any]:
        """The local server, with every list and call of the remote one."""
        return Server(
            "wadm",
            title="WADM order flow (local bridge)",
            instructions=(
                "Order-flow indicators from a remote WADM server. quality.stale true means that "
                "the server could not be asked: such numbers are old, by age_ms."
            ),
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=self._listen,
            lifespan=self._living,
        )

    async def run(self) -> None:
        """Until standard input ends."""
        server = self.server()
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    async def _list_tools(self, ctx: Any, params: Any) -> types.ListToolsResult:
        return await self._listed("tools", types.ListToolsResult, lambda c: c.list_tools())

    async def _list_resources(self, ctx: Any, params: Any) -> types.ListResourcesResult:
        kind = types.ListResourcesResult
        return await self._listed("resources", kind, lambda c: c.list_resources())

    async def _list_templates(self, ctx: Any, params: Any) -> types.ListResourceTemplatesResult:
        kind = types.ListResourceTemplatesResult
        return await self._listed("templates", kind, lambda c: c.list_resource_templates())

    async def _list_prompts(self, ctx: Any, params: Any) -> types.ListPromptsResult:
        return await self._listed("prompts", types.ListPromptsResult, lambda c: c.list_prompts())

    async def _read_resource(self, ctx: Any, params: Any) -> types.ReadResourceResult:
        """Resources carry no mark, so there is no offline copy."""
        return await self._passed(lambda c: c.read_resource(params.uri))

    async def _get_prompt(self, ctx: Any, params: Any) -> types.GetPromptResult:
        return await self._passed(lambda c: c.get_prompt(params.name, params.arguments))

    async def _complete(self, ctx: Any, params: Any) -> types.CompleteResult:
        argument = {"name": params.argument.name, "value": params.argument.value}
        known = params.context.arguments if params.context is not None else None
        return await self._passed(lambda c: c.complete(params.ref, argument, known))

    @contextlib.asynccontextmanager
    async def _living(self, server: Any) -> AsyncIterator[dict[str, Any]]:
        """The stream of updates ends with the host."""
        try:
            yield {}
        finally:
            await self.updates.close()

    async def _listen(self, ctx: Any, params: Any) -> types.SubscriptionsListenResult:
        """The modern era: a stream for as long as the host keeps it open."""
        uris = params.notifications.resource_subscriptions or []
        await self._want(uris)
        try:
            return await self.listening(ctx, params)
        finally:
            await self.updates.drop(uris)

    async def _subscribe(self, ctx: Any, params: Any) -> types.EmptyResult:
        """The earlier era: a resource at a time."""
        if params.uri not in self.sessions:
            await self._want([params.uri])
            self.sessions[params.uri] = ctx.session
        return types.EmptyResult()

    async def _unsubscribe(self, ctx: Any, params: Any) -> types.EmptyResult:
        if self.sessions.pop(params.uri, None) is not None:
            await self.updates.drop([params.uri])
        return types.EmptyResult()

    async def _want(self, uris: Sequence[str]) -> None:
        try:
            await self.updates.add(uris)
        except ClientError as error:
            raise _refusal(error) from None

    async def _tell(self, event: ServerEvent) -> None:
        """To whoever listens, in the way of its era."""
        await self.bus.publish(event)
        if isinstance(event, ResourceUpdated):
            session = self.sessions.get(event.uri)
            if session is not None:
                await session.send_resource_updated(event.uri)

    async def _call_tool(self, ctx: Any, params: Any) -> types.CallToolResult:
        arguments = params.arguments or {}
        key = f"{KIND}:{params.name}:{json.dumps(arguments, sort_keys=True)}"
        try:
            limit_s = self.config.timeout_s + _wait_s(params.name, arguments)
            report = ctx.session.report_progress
            result = await remote(
                self.config,
                lambda c: c.call_tool(params.name, arguments, progress_callback=report),
                limit_s,
            )
        except ClientError as error:
            held = self._load(key)
            final = isinstance(error, ApiError) and not _passing(error)
            if final or held is None:
                return _problem(str(error) if final else f"NOT_READY: {error}; try again later")
            return self._marked(held)
        if not result.is_error:
            self._save(key, result)
        return result

    async def _listed(
        self, name: str, kind: type[M], work: Callable[[McpClient], Awaitable[M]]
    ) -> M:
        """Lists do not age: offline the last one is given as it was."""
        key = f"{KIND}:{name}"
        try:
            found = await remote(self.config, work)
        except ClientError as error:
            held = self._load(key)
            if held is None:
                raise _refusal(error) from None
            return kind.model_validate_json(held.body)
        self._save(key, found)
        return found

    async def _passed(self, work: Callable[[McpClient], Awaitable[M]]) -> M:
        try:
            return await remote(self.config, work)
        except ClientError as error:
            raise _refusal(error) from None

    def _marked(self, held: Held) -> types.CallToolResult:
        """The kept answer with its age, or why it cannot be given."""
        passed = self.clock.since_ms(held.at)
        kept: dict[str, Any] = msgspec.json.decode(held.body)
        data = kept.get("structuredContent")
        if data is None or not mark(data, passed or 0):
            return _problem("NOT_READY: the server cannot be asked, and this answer cannot be old")
        age = "of unknown age" if passed is None else f"{passed // 1_000} s old"
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        note = f"STALE: the server cannot be asked; this is the last answer, {age}."
        return types.CallToolResult(
            content=[types.TextContent(text=text), types.TextContent(text=note)],
            structured_content=data,
            _meta={"wadm/stale": True, "wadm/age_ms": passed},
        )

    def _save(self, key: str, result: BaseModel) -> None:
        body = result.model_dump_json(by_alias=True, exclude_none=True).encode()
        held = Held(key, body, None, self.clock.stamp(), 0, 0, 0)
        self.memory[key] = held
        if self.shelf.cache is not None:
            try:
                entry = to_entry(held, self.config.url, stale=False)
                self.shelf.cache.write(file_name(KIND, "", key[:20], key), entry)
            except CacheError as error:
                self.shelf.problem = str(error)

    def _load(self, key: str) -> Held | None:
        if key in self.memory or self.shelf.cache is None:
            return self.memory.get(key)
        try:
            entry = self.shelf.cache.read(file_name(KIND, "", key[:20], key), key)
        except CacheError:
            return None
        return to_held(entry) if entry is not None and entry.source == self.config.url else None


def _wait_s(tool: str, arguments: dict[str, Any]) -> float:
    """How long the server may sleep before it answers; a wrong argument is for it to refuse."""
    asked = arguments.get("timeout_s", DEFAULT_WAIT_S) if tool == "wait_for" else 0
    known = isinstance(asked, int | float) and not isinstance(asked, bool)
    return float(min(max(asked, 0), LONGEST_WAIT_S)) if known else 0.0


def mark(value: Any, passed_ms: int) -> bool:
    """Mark every quality block stale and older; False when there is none."""
    if isinstance(value, list):
        marked = [mark(item, passed_ms) for item in value]
        return any(marked)
    if not isinstance(value, dict):
        return False
    block = value.get("quality")
    if isinstance(block, dict) and "stale" in block:
        block["stale"] = True
        block["age_ms"] = int(block.get("age_ms") or 0) + passed_ms
        return True
    return mark(list(value.values()), passed_ms)


def _refusal(error: ClientError) -> MCPError:
    """What the server refused as it said it; else that it cannot be asked."""
    if isinstance(error, RefusedError):
        return MCPError(error.number, str(error))
    return MCPError(OFFLINE, f"the WADM server cannot be asked: {error}")


def _passing(error: ApiError) -> bool:
    return isinstance(error, NotReadyError | RateLimitedError)


def _problem(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
