"""One socket at a time: the client library leaves the one before open when it tries again."""

from __future__ import annotations

from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport


class OneSocket(TcpTransport):
    """A transport that lets go of its socket before it makes another one.

    A broker that accepts and says nothing, or dies in the handshake, would cost a descriptor for
    every attempt: the library replaces the streams of an attempt that failed without closing them.
    """

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """A new connection, after the end of the old one."""
        self.let_go()
        await super().connect(uri, buffer_size, connect_timeout)

    def let_go(self) -> None:
        """Close whatever is open, at once."""
        for writer in (self._io_writer, self._bare_io_writer):
            if writer is not None:
                writer.transport.abort()

    def __bool__(self) -> bool:
        """True from the start: the library makes a transport of its own in place of a false one."""
        return True
