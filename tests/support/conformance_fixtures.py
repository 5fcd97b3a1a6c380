"""The fixed names the conformance suite calls, behind our own host stack; for tests only."""

from __future__ import annotations

import base64
import json
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import (
    AudioContent,
    CallToolResult,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from mcp_server.subscriptions import Subscriptions

MISSING_CAPABILITY = -32_021
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
SOUND = base64.b64encode(b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00").decode()


def text(words: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=words)])


def resource(uri: str, mime: str, words: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime, text=words))


def ask(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field: {"type": kind}},
        "required": [field],
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(words: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=words))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[message], max_tokens=100)
    )


def answered(ctx: Context[Any], key: str) -> dict[str, Any] | None:
    """A response of the client, as plain data, when it holds what was asked for."""
    found = (ctx.input_responses or {}).get(key)
    return None if found is None else found.model_dump(by_alias=True, mode="json")


class Word(BaseModel):
    response: str = Field(default="", description="Any word")


class Defaults(BaseModel):
    name: str = Field(default="John Doe")
    age: int = Field(default=30)
    score: float = Field(default=95.5)
    status: str = Field(
        default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]}
    )
    verified: bool = Field(default=True)


def titled(*names: str) -> list[dict[str, str]]:
    return [{"const": name, "title": name.title()} for name in names]


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["one", "two", "three"]})  # noqa: N815
    titledSingle: str = Field(json_schema_extra={"oneOf": titled("low", "high")})  # noqa: N815
    untitledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": {"type": "string", "enum": ["read", "write"]}}
    )
    titledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": {"anyOf": titled("bug", "docs")}}
    )
    legacyEnum: str = Field(  # noqa: N815
        json_schema_extra={"enum": ["s", "l"], "enumNames": ["Small", "Large"]}
    )


def add_content(mcp: MCPServer) -> None:
    """Tools that answer with one kind of content each."""

    @mcp.tool()
    def test_simple_text() -> CallToolResult:
        """Text."""
        return text("This is a simple text response for testing.")

    @mcp.tool()
    def test_image_content() -> CallToolResult:
        """An image."""
        return CallToolResult(content=[ImageContent(data=PIXEL, mime_type="image/png")])

    @mcp.tool()
    def test_audio_content() -> CallToolResult:
        """A sound."""
        return CallToolResult(content=[AudioContent(data=SOUND, mime_type="audio/wav")])

    @mcp.tool()
    def test_embedded_resource() -> CallToolResult:
        """A resource."""
        words = "This is an embedded resource content."
        return CallToolResult(content=[resource("test://embedded-resource", "text/plain", words)])

    @mcp.tool()
    def test_multiple_content_types() -> CallToolResult:
        """Three kinds."""
        body = json.dumps({"test": "data", "value": 123})
        return CallToolResult(
            content=[
                TextContent(text="Multiple content types test:"),
                ImageContent(data=PIXEL, mime_type="image/png"),
                resource("test://mixed-content-resource", "application/json", body),
            ]
        )

    @mcp.tool()
    def test_error_handling() -> CallToolResult:
        """An error."""
        raise ToolError("This tool intentionally returns an error for testing")

    @mcp.tool()
    async def test_tool_with_progress(ctx: Context) -> CallToolResult:
        """Progress."""
        for step in (0, 50, 100):
            await ctx.report_progress(step, 100, f"Completed step {step} of 100")
        return text("done")


def add_server_requests(mcp: MCPServer) -> None:
    """Tools that ask the client in the earlier era."""

    @mcp.tool()
    async def test_tool_with_logging(ctx: Context) -> CallToolResult:
        """Log messages."""
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.session.send_log_message("info", words, related_request_id=ctx.request_id)
        return text("logged")

    @mcp.tool()
    async def test_sampling(prompt: str, ctx: Context) -> CallToolResult:
        """Sampling."""
        message = SamplingMessage(role="user", content=TextContent(text=prompt))
        found = await ctx.session.create_message(
            messages=[message], max_tokens=100, related_request_id=ctx.request_id
        )
        return text(f"LLM response: {getattr(found.content, 'text', '')}")

    @mcp.tool()
    async def test_elicitation(message: str, ctx: Context) -> CallToolResult:
        """Elicitation."""
        found = await ctx.elicit(message=message, schema=Word)
        return text(f"User response: action={found.action}")

    @mcp.tool()
    async def test_elicitation_sep1034_defaults(ctx: Context) -> CallToolResult:
        """Elicitation with defaults."""
        found = await ctx.elicit(message="Who are you?", schema=Defaults)
        return text(f"Elicitation completed: action={found.action}")

    @mcp.tool()
    async def test_elicitation_sep1330_enums(ctx: Context) -> CallToolResult:
        """Elicitation with enumerations."""
        found = await ctx.elicit(message="Choose", schema=Enums)
        return text(f"Elicitation completed: action={found.action}")


def add_inputs(mcp: MCPServer) -> None:
    """Tools that ask the client in the modern era: a result that needs input, then another call."""
    wanted: dict[str, dict[str, Any]] = {
        "elicitation": {"user_name": ask("What is your name?", "name")},
        "sampling": {"capital_question": sample("What is the capital of France?")},
        "list_roots": {"client_roots": ListRootsRequest()},
        "request_state": {"confirm": ask("Please confirm", "ok", "boolean")},
        "tampered_state": {"confirm": ask("Please confirm", "ok", "boolean")},
        "multiple_inputs": {
            "user_name": ask("What is your name?", "name"),
            "greeting": sample("Generate a greeting"),
            "client_roots": ListRootsRequest(),
        },
    }
    stateful = {"request_state", "tampered_state", "multiple_inputs"}
    for name, requests in wanted.items():
        state = "started" if name in stateful else None
        mcp.add_tool(_asking(requests, state), name=f"test_input_required_result_{name}")

    @mcp.tool()
    async def test_input_required_result_multi_round(
        ctx: Context,
    ) -> CallToolResult | InputRequiredResult:
        """Two rounds."""
        if ctx.request_state == "second" and answered(ctx, "step2") is not None:
            return text("done")
        if ctx.request_state == "first" and answered(ctx, "step1") is not None:
            return InputRequiredResult(
                input_requests={"step2": ask("Which colour?", "color")}, request_state="second"
            )
        return InputRequiredResult(
            input_requests={"step1": ask("Which name?", "name")}, request_state="first"
        )

    @mcp.tool()
    async def test_input_required_result_capabilities(
        ctx: Context,
    ) -> CallToolResult | InputRequiredResult:
        """Only what the client can."""
        can = ctx.client_capabilities
        requests: dict[str, Any] = {}
        if can is not None and can.sampling is not None:
            requests["words"] = sample("Say hello")
        if can is not None and can.elicitation is not None:
            requests["name"] = ask("Which name?", "name")
        return InputRequiredResult(input_requests=requests) if requests else text("nothing")


def add_stateless(mcp: MCPServer) -> None:
    """Tools of the scenario about requests that stand alone."""

    @mcp.tool()
    async def test_missing_capability(ctx: Context) -> CallToolResult:
        """Needs sampling."""
        can = ctx.client_capabilities
        if can is None or can.sampling is None:
            needed = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(MISSING_CAPABILITY, "this tool needs sampling", needed)
        return text("sampled")

    @mcp.tool()
    async def test_logging_tool() -> CallToolResult:
        """Nobody asked for logs, so there are none."""
        return text("quiet")

    @mcp.tool()
    async def test_streaming_elicitation(ctx: Context) -> CallToolResult | InputRequiredResult:
        """Progress on the stream, the question in the result."""
        await ctx.report_progress(1, 2, "asking")
        if answered(ctx, "name") is None:
            return InputRequiredResult(input_requests={"name": ask("Which name?", "name")})
        return text("done")


def _asking(requests: dict[str, Any], state: str | None) -> Any:
    async def tool(ctx: Context) -> CallToolResult | InputRequiredResult:
        """Asks once."""
        found = {key: answered(ctx, key) for key in requests}
        good = all(found.values()) and ctx.request_state == state
        if good:
            return text(f"state-ok {json.dumps(found)}")
        return InputRequiredResult(input_requests=requests, request_state=state)

    return tool


def add_resources(mcp: MCPServer) -> None:
    """Resources of every kind."""

    @mcp.resource("test://static-text", mime_type="text/plain", description="Text")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @mcp.resource("test://static-binary", mime_type="image/png", description="An image")
    def static_binary() -> bytes:
        return base64.b64decode(PIXEL)

    @mcp.resource("test://template/{id}/data", mime_type="application/json", description="By id")
    def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @mcp.resource("test://watched-resource", mime_type="text/plain", description="Watched")
    def watched() -> str:
        return "Watched resource content"


def add_prompts(mcp: MCPServer) -> None:
    """Prompts and completion."""

    @mcp.prompt(description="No arguments")
    def test_simple_prompt() -> list[UserMessage]:
        return [UserMessage("This is a simple prompt for testing.")]

    @mcp.prompt(description="Two arguments")
    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
        return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]

    @mcp.prompt(description="A resource")
    def test_prompt_with_embedded_resource(
        resourceUri: str,  # noqa: N803 (the suite's own name)
    ) -> list[UserMessage]:
        found = resource(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(found), UserMessage("Please process the embedded resource above.")]

    @mcp.prompt(description="An image")
    def test_prompt_with_image() -> list[UserMessage]:
        image = ImageContent(data=PIXEL, mime_type="image/png")
        return [UserMessage(image), UserMessage("Please analyze the image above.")]

    @mcp.prompt(description="Asks first")
    async def test_input_required_result_prompt(ctx: Context) -> Any:
        found = answered(ctx, "user_context")
        if found is None:
            asked = ask("What context should the prompt use?", "context")
            return InputRequiredResult(input_requests={"user_context": asked})
        return [UserMessage(f"Use this context: {json.dumps(found)}")]

    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        values = [word for word in ("paris", "parma") if word.startswith(argument.value)]
        return Completion(values=values, total=len(values), has_more=False)

    mcp.completion()(complete)


def fixture_server() -> tuple[MCPServer, Subscriptions]:
    """Everything the suite asks for, with the product's own notifier."""
    subscriptions = Subscriptions(lambda uri: None, lambda uri: None)
    mcp = MCPServer(
        "wadm-conformance",
        version="1",
        log_level="ERROR",
        subscriptions=subscriptions.bus,
        middleware=[subscriptions.watch],
    )
    add_content(mcp)
    add_server_requests(mcp)
    add_inputs(mcp)
    add_stateless(mcp)
    add_resources(mcp)
    add_prompts(mcp)
    subscriptions.attach(mcp)

    async def set_level(ctx: Any, params: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    mcp._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    return mcp, subscriptions
