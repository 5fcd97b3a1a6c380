"""Records and checkpoints move between stores and come out as they went in."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import pytest
from store_support import mongo as mongo
from store_support import store_settings
from typer.testing import CliRunner

from backbone.settings import Settings
from backbone.store import STORES
from backbone.store.base import COLLECTIONS, Record, Store
from orderflow.errors import StoreError
from wadm import __main__ as command
from wadm.migrate import copy, verify

LATER_MS = 4_000_000_000_000
NOW_MS = 1_735_689_600_000
"""Real times are longs, which a database gives back in a kind of its own."""


def records(count: int = 1_300) -> list[Record]:
    draw = random.Random(5)
    return [
        Record(
            draw.choice(COLLECTIONS),
            draw.choice(("v:spot:A", "v:perp:A")),
            draw.choice(("1m", "5m")),
            NOW_MS + draw.randrange(0, 200),
            draw.randrange(0, 3),
            NOW_MS + draw.randrange(0, 9),
            draw.randrange(0, 9),
            LATER_MS + draw.randrange(0, 9),
            {"rows": [[1, 2], [draw.randrange(2**62)]], "text": "é", "none": None},
        )
        for _ in range(count)
    ]


async def filled(settings: Settings) -> Store:
    store = STORES[settings.store](settings, "live")
    await store.open("live")
    await store.put(records())
    for generation in (b"1", b"2"):
        await store.save_checkpoints({"v:spot:A": generation * 3_000, "v:perp:A": b"x"})
    return store


async def filled_and_closed(settings: Settings) -> None:
    store = await filled(settings)
    await store.close()


@pytest.mark.parametrize(("one", "other"), [("sqlite", "mongo"), ("mongo", "sqlite")])
async def test_there_and_back(
    request: pytest.FixtureRequest, tmp_path: Path, one: str, other: str
) -> None:
    """A copy equals its source; repeating it changes nothing; progress is told."""
    with (
        store_settings(one, tmp_path / "one", request) as first,
        store_settings(other, tmp_path / "other", request) as second,
    ):
        source = await filled(first)
        target = STORES[other](second, "live")
        await target.open("live")
        told: list[tuple[str, int]] = []
        copied = await copy(source, target, lambda name, count: told.append((name, count)))
        assert copied["checkpoints"] == 2
        assert sum(copied.values()) > 800
        assert await copy(source, target, lambda *_: None) == copied
        assert {name for name, _ in told} == {
            *COLLECTIONS,
            *(f"{name} checked" for name in COLLECTIONS),
        }
        await target.put([msg_newer(records(1)[0])])
        with pytest.raises(StoreError, match="differs"):
            await verify(source, target, lambda *_: None)
        for store in (source, target):
            await store.close()


def msg_newer(record: Record) -> Record:
    values: dict[str, Any] = {name: getattr(record, name) for name in Record.__struct_fields__}
    return Record(**(values | {"revision": 99}))


async def test_checkpoints_are_compared(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A checkpoint that changed meanwhile is noticed."""
    with store_settings("sqlite", tmp_path, request) as settings:
        source = await filled(settings)
        with store_settings("memory", tmp_path, request) as empty:
            target = STORES["memory"](empty, "live")
            await copy(source, target, lambda *_: None)
            await target.save_checkpoints({"v:spot:A": b"other"})
            with pytest.raises(StoreError, match="checkpoints differ"):
                await verify(source, target, lambda *_: None)
        await source.close()


def test_command(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`wadm migrate sqlite mongo` and back say what they moved; wrong names and a store with
    nothing in it are refused."""
    runner = CliRunner()
    uri = request.getfixturevalue("mongo")
    with store_settings("mongo", tmp_path, request) as settings:
        monkeypatch.setenv("WADM_DATA_DIR", str(tmp_path / "var"))
        monkeypatch.setenv("WADM_MONGO_URI", uri)
        monkeypatch.setenv("WADM_MONGO_DATABASE", settings.mongo_database)
        empty = runner.invoke(command.app, ["migrate", "sqlite", "mongo"])
        assert isinstance(empty.exception, StoreError)
        assert "holds nothing" in str(empty.exception)
        with store_settings("sqlite", tmp_path / "var", request) as embedded:
            asyncio.run(filled_and_closed(embedded))
        for words in (["sqlite", "mongo"], ["mongo", "sqlite"]):
            result = runner.invoke(command.app, ["migrate", *words])
            assert result.exit_code == 0, result.output
            assert re.search("checkpoints +│ 2 ", result.output), result.output
        for words in (["sqlite", "sqlite"], ["memory", "mongo"], ["sqlite", "redis"]):
            result = runner.invoke(command.app, ["migrate", *words])
            assert result.exit_code != 0
