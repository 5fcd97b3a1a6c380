"""`python -m bench.rest_server ours|bare`: what is asked over REST, a process held to one core.

`ours`: the whole application behind keys and budgets, on the server the house runs it on, with an
hour of trades of a market that stands still; an answer is then kept for 0.2 s. `bare`: Starlette
with one route that gives the bytes which come, in hex, as the first line. Both on uvicorn with
uvloop and httptools where the house would have them. A line with port and key first, then processor
seconds for every line read.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from time import process_time
from typing import Any

SYMBOL = "C00USDT"
PATH = f"/volume_profile/{SYMBOL}?timeframe=1h&detail=summary"


class Server:
    """The process, and its counters."""

    def __init__(self, kind: str, body: bytes = b"") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.rest_server", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        port, self.key = self._said(body.hex()).split()
        self.port = int(port)

    def _said(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        return float(self._said(""))

    def close(self) -> None:
        """At the end."""
        self.process.kill()
        self.process.wait()


async def _ours() -> tuple[Any, str]:
    """(server, key)."""
    from backbone.settings import read_settings
    from bench import mcp
    from mcp_server.app import build_server

    _, app, key = await mcp.answering()
    return build_server(app, read_settings({}, port=0)), key


async def _bare(body: bytes) -> tuple[Any, str]:
    """(server, no key)."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route(PATH.partition("?")[0], answer)])
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False)
    return uvicorn.Server(config), "-"


async def serve(kind: str, body: bytes) -> None:
    """Until nobody reads any more."""
    from backbone.telemetry import configure_logs
    from wadm.compose import spare_the_collector

    configure_logs("error")
    server, key = await (_ours() if kind == "ours" else _bare(body))
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn has a flag)
        await asyncio.sleep(0.01)
    spare_the_collector()
    print(server.servers[0].sockets[0].getsockname()[1], key, flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(process_time(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    from wadm import loops

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    loops.run(serve(sys.argv[1], bytes.fromhex(sys.stdin.readline())))
