"""Sends frames to whoever connects, as fast as they are taken: `python -m wadm.capacity.sender N`.

Prints its port; ends when killed.
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, serve

from simulator.wire.session import framed

SLICE_BYTES = 1 << 18


async def main(count: int) -> None:
    """Serve until killed."""
    from wadm.capacity.measuring import frames

    body = "".join(framed(frame.decode()) for frame in frames(count)).encode("latin-1")

    async def send(connection: ServerConnection) -> None:
        for start in range(0, len(body), SLICE_BYTES):
            connection.transport.write(body[start : start + SLICE_BYTES])
            while connection.transport.get_write_buffer_size() > SLICE_BYTES:  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
        await connection.wait_closed()

    async with serve(send, "127.0.0.1", 0, compression=None) as server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
