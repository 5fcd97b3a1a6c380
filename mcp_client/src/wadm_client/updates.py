"""What changed at the remote server, told to the one host of the bridge.

However many resources the host listens to, in whichever era, the server sees one stream. It is
opened anew when the set of resources grows (the new one before the old one is closed, so nothing
is lost between them) and whenever it ends. Nothing is replayed by the server, so after a break
every wanted resource is told once: the host reads again and has lost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from mcp import Client as McpClient
from mcp.client.subscriptions import ResourceUpdated, ServerEvent, SubscriptionLost

from wadm_client.config import Config
from wadm_client.errors import ApiError, CertificateError, ClientError, ConfigError
from wadm_client.patience import Patience, worth_retrying
from wadm_client.remote import remote

T = TypeVar("T")
Tell = Callable[[ServerEvent], Awaitable[None]]
QUIET_S = 45.0
"""A stream that brings not even the server's pings (every 15 s) for so long is dead."""


class Updates:
    """One stream of update notices for everything the host listens to."""

    def __init__(self, config: Config, tell: Tell, patience: Patience | None = None) -> None:
        self.config = config
        self.tell = tell
        self.patience = patience or Patience()
        self.wanted: Counter[str] = Counter()
        self.opened = 0
        self._changing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._heard: frozenset[str] = frozenset()

    async def add(self, uris: Iterable[str]) -> None:
        """Listen to these as well; ApiError when the server refuses them.

        A server that is away refuses nothing: the stream opens when it is back.
        """
        async with self._changing:
            new = Counter(uris)
            missing = frozenset(new) - self._heard
            if missing or self._task is None or self._task.done():
                await self._reopen(frozenset(self.wanted) | frozenset(new))
            self.wanted += new

    async def drop(self, uris: Iterable[str]) -> None:
        """No longer listen to these; the stream ends with the last of them."""
        async with self._changing:
            self.wanted -= Counter(uris)
            if not self.wanted:
                await self._end(self._task)
                self._task, self._heard = None, frozenset()

    async def close(self) -> None:
        """End the stream."""
        self.wanted.clear()
        await self.drop(())

    async def _reopen(self, uris: frozenset[str]) -> None:
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._listen(uris, answered), name="wadm-updates")
        try:
            await asyncio.wait([answered], timeout=self.config.timeout_s)
            if answered.done():
                answered.result()
            else:
                answered.set_result(None)
        except BaseException:
            await self._end(task)
            raise
        before, self._task, self._heard = self._task, task, uris
        await self._end(before)

    @staticmethod
    async def _end(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, uris: frozenset[str], answered: asyncio.Future[None]) -> None:
        """Hear until cancelled, or until the server refuses for good."""
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            began_s = loop.time()
            named_s = 0.0
            try:
                await remote(
                    self.config, lambda c: self._hear(c, uris, answered), QUIET_S, endless=True
                )
            except ClientError as error:
                if _final(error) and not answered.done():
                    answered.set_exception(error)
                    return
                named_s = getattr(error, "retry_after_s", None) or 0.0
            if not answered.done():
                answered.set_result(None)
            # A stream that ends as soon as it is open is a failure as well.
            lasted = loop.time() - began_s > self.patience.cap_s
            failures = 0 if lasted else failures + 1
            await asyncio.sleep(named_s + self.patience.backoff_s(failures))

    async def _hear(
        self, client: McpClient, uris: frozenset[str], answered: asyncio.Future[None]
    ) -> None:
        async with client.listen(
            tools_list_changed=True,
            prompts_list_changed=True,
            resources_list_changed=True,
            resource_subscriptions=sorted(uris),
        ) as stream:
            self.opened += 1
            if answered.done():
                for uri in uris & frozenset(self.wanted):
                    await self.tell(ResourceUpdated(uri))
            else:
                answered.set_result(None)
            with contextlib.suppress(SubscriptionLost):
                async for event in stream:
                    if not isinstance(event, ResourceUpdated) or event.uri in self.wanted:
                        await self.tell(event)


def _final(error: ClientError) -> bool:
    """Whether asking again cannot help."""
    if isinstance(error, ApiError | ConfigError | CertificateError):
        return not worth_retrying(error)
    return False
