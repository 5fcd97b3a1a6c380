"""What the conformance suite starts as a client: lists and calls tools as the bridge does."""

from __future__ import annotations

import asyncio
import os
import sys

from mcp import Client as McpClient
from wadm_client.config import Config
from wadm_client.remote import remote


async def work(client: McpClient) -> None:
    """One question of each kind that the bridge asks."""
    tools = (await client.list_tools()).tools
    if os.environ.get("MCP_CONFORMANCE_SCENARIO") == "json-schema-ref-no-deref":
        return  # its server only lists
    for tool in tools:
        needed = tool.input_schema.get("required", [])
        kinds = tool.input_schema.get("properties", {})
        samples = {"number": 1, "integer": 1, "string": "x", "boolean": True}
        given = {name: samples.get(kinds[name].get("type"), "x") for name in needed}
        await client.call_tool(tool.name, given)


if __name__ == "__main__":
    url = sys.argv[-1].removesuffix("/").removesuffix("/mcp")
    asyncio.run(remote(Config(url=url, timeout_s=30), work))
