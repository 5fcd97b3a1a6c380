"""KeyBook: keys in the store, with an audit entry for every change.

A key is one record of collection `api_keys`; a change is a new revision of it. The record of
series VERSION changes with every change, so a server asks one small question to learn whether it
must read the keys again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence

import msgspec
from passlib.hash import bcrypt

from backbone.audit import append_audit
from backbone.clock import wall_ms
from backbone.keys.key import ApiKey
from backbone.keys.text import ID, KeyText, new_key
from backbone.store.base import API_KEYS, FAR_FUTURE_MS, KEY_USAGE, Key, Query, Record, Store
from orderflow.errors import ConfigError

SERIES = "key"
VERSION = ("-", "version")
PAGE = 500
LEAST_COST, MOST_COST = 4, 15


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What a new key may do; see ApiKey."""

    expires_ms: int | None = None
    symbols: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    per_minute: int | None = None


class KeyBook:
    """The keys of one store. `actor` is named in the audit entries."""

    def __init__(self, store: Store, actor: str = "server") -> None:
        self.store = store
        self.actor = actor

    async def version(self) -> int:
        """Changes whenever any key does; 0 when there never was one."""
        instrument, timeframe = VERSION
        asked = Query(API_KEYS, instrument, timeframe, 0, 1, wall_ms())
        found = await self.store.query(asked)
        return found[0].revision if found else 0

    async def keys(self) -> list[ApiKey]:
        """Every key, revoked ones too, by creation."""
        found = [
            msgspec.convert(record.body, ApiKey)
            async for record in _scanned(self.store, API_KEYS, None)
            if record.timeframe == SERIES
        ]
        return sorted(found, key=lambda key: (key.created_ms, key.id))

    async def any_active(self) -> bool:
        """At least one key would be let in now."""
        now = wall_ms()
        return any(key.active(now) for key in await self.keys())

    async def key(self, key_id: str) -> ApiKey:
        """One key; ConfigError when there is none of this id."""
        if ID.fullmatch(key_id):
            for record in await self._records(key_id):
                return msgspec.convert(record.body, ApiKey)
        raise ConfigError("no key has this id; see `wadm keys list`")

    async def create(self, name: str, cost: int, terms: Terms) -> tuple[KeyText, ApiKey]:
        """A new key; its text exists nowhere else."""
        text = new_key()
        key = ApiKey(
            id=text.id,
            name=name,
            hash=hashed(text.secret, cost),
            created_ms=wall_ms(),
            **dataclasses.asdict(terms),
        )
        await self._save(key, "key.create", 0)
        return text, key

    async def revoke(self, key_id: str) -> ApiKey:
        """From now on the key is refused, for ever."""
        return await self._changed(key_id, "key.revoke", revoked_ms=wall_ms())

    async def rotate(self, key_id: str, cost: int, overlap_ms: int) -> tuple[KeyText, ApiKey]:
        """A new key on the same terms; the old one ends after the overlap."""
        old = await self.key(key_id)
        now = wall_ms()
        if not old.active(now):
            raise ConfigError("this key is revoked or expired; create another one")
        terms = Terms(**{f.name: getattr(old, f.name) for f in dataclasses.fields(Terms)})
        text, key = await self.create(old.name, cost, terms)
        if overlap_ms > 0:
            ends = min(now + overlap_ms, old.expires_ms or FAR_FUTURE_MS)
            await self._changed(old.id, "key.expire", expires_ms=ends)
        else:
            await self.revoke(old.id)
        return text, key

    async def usage(self, key_id: str, since_ms: int) -> dict[str, int]:
        """Requests and refusals of a key that the servers counted."""
        total = {"requests": 0, "refused": 0}
        async for record in _scanned(self.store, KEY_USAGE, (key_id, "", -1, -1)):
            if record.instrument != key_id:
                break
            if record.start_ms >= since_ms:
                for name in total:
                    total[name] += int(record.body[name])
        return total

    async def _records(self, key_id: str) -> Sequence[Record]:
        return await self.store.query(Query(API_KEYS, key_id, SERIES, 0, 1, wall_ms()))

    async def _changed(self, key_id: str, action: str, **changes: int) -> ApiKey:
        key = msgspec.structs.replace(await self.key(key_id), **changes)
        (record,) = await self._records(key_id)
        await self._save(key, action, record.revision + 1)
        return key

    async def _save(self, key: ApiKey, action: str, revision: int) -> None:
        """The key, its audit entry, then the version: who sees the version sees the key."""
        await self.store.put([_record((key.id, SERIES), revision, msgspec.to_builtins(key))])
        await append_audit(self.store, self.actor, action, {"key": key.id, "name": key.name})
        version = max(await self.version() + 1, wall_ms())
        await self.store.put([_record(VERSION, version, {})])


def hashed(secret: str, cost: int) -> str:
    """bcrypt of the secret part alone: 43 bytes, bcrypt takes 72."""
    if not LEAST_COST <= cost <= MOST_COST:
        raise ConfigError(f"WADM_KEY_COST must be {LEAST_COST} to {MOST_COST}")
    text: str = bcrypt.using(rounds=cost).hash(secret)
    return text


def matches(secret: str, key_hash: str) -> bool:
    """Takes tens of milliseconds of a core on purpose; call it in a thread."""
    return bool(bcrypt.verify(secret, key_hash))


def _record(series: tuple[str, str], revision: int, body: dict[str, object]) -> Record:
    return Record(
        collection=API_KEYS,
        instrument=series[0],
        timeframe=series[1],
        start_ms=0,
        revision=revision,
        applied_through_ms=wall_ms(),
        published_at_ms=wall_ms(),
        expires_at_ms=FAR_FUTURE_MS,
        body=body,
    )


async def _scanned(store: Store, collection: str, after: Key | None) -> AsyncIterator[Record]:
    while page := await store.scan(collection, after, PAGE):
        for record in page:
            yield record
        last = page[-1]
        after = (last.instrument, last.timeframe, last.start_ms, 0)
