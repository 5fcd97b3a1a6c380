"""Rules over a running server: found, told once, silenced, and not doubled by a kill."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alert_support import SECRET, WAIT_S, Receiver, receiver, rules_text, until
from journeys_support import Journey, journey
from market_support import ROWS, market_tape
from typer.testing import CliRunner

from alerts.journal import Journal
from alerts.rule import Silence
from orderflow.errors import ConfigError
from wadm import __main__ as command
from wadm.alerting import Alerting, inside

MINUTES = 6
ANY = 'field = "delta"\ndiffers_from = 0\ncooldown_s = 0\nonly = "final"'


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[Journey]:
    """A system that has played some minutes to their end."""
    async with journey(tmp_path / "store", [market_tape(MINUTES)], row_sizes=ROWS) as trip:
        await trip.until_played()
        yield trip


def file_in(folder: Path, text: str) -> Path:
    path = folder / "alerts.toml"
    path.write_text(text)
    return path


async def test_found_told_and_silenced(
    played: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the process: a silence keeps it quiet, what still holds afterwards is told once, with
    the numbers of the REST answer; a second start repeats nothing."""
    monkeypatch.setenv("DESK_SECRET", SECRET)
    settings = with_private(played)
    async with receiver() as there, inside(played.system.queries) as ask:
        path = file_in(tmp_path, rules_text(there.url, ANY))
        alerting = Alerting(settings, path, ask)
        with pytest.raises(ConfigError, match="another process"):
            Alerting(settings, path, ask)
        alerting.journal.silence(Silence("moved", "", 10**15))
        async with running(alerting):
            await until(lambda: alerting.service.rounds > 2, "rounds")
            assert alerting.service.words["moved", "BTCUSDT"].startswith("silenced: fires")
            alerting.journal.silence(Silence("moved", "", 0))
            await until(lambda: there.hits, "an alert")
            await until(lambda: alerting.journal.waiting("desk") == 0, "it is marked")
        again = Alerting(settings, path, ask)
        async with running(again):
            await until(lambda: again.service.rounds > 2, "more rounds")
        assert len(there.hits) == 1
        told = json.loads(there.hits[0].body)["alert"]
    span = {"period": "1m", "market": "spot", "limit": "4", "numbers": "string"}
    items = (await played.get("/order_flow/BTCUSDT", **span))["items"]
    newest = [one for one in items if one["quality"]["final"]][-1]
    assert (told["value"], told["as_of"]) == (newest["delta"], newest["period_end"])
    assert (told["final"], told["source"]) == (True, "simulated")
    assert told["state"] == newest["quality"]["completeness"]["state"]


def with_private(trip: Journey) -> Any:
    return dataclasses.replace(trip.system.settings, alerts_private="on")


@contextlib.asynccontextmanager
async def running(alerting: Alerting) -> AsyncIterator[None]:
    work = asyncio.create_task(alerting.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_kill_doubles_nothing(played: Journey, tmp_path: Path) -> None:
    """Killed while the target has not answered yet: the next process sends the same id and bytes
    once more, and nothing else."""
    async with receiver() as there:
        there.hang = True
        path = file_in(tmp_path, rules_text(there.url, ANY))
        async with process(played, tmp_path, path) as first:
            await until(lambda: there.hits, "the first try")
            first.kill()
            await first.wait()
        there.hang = False
        there.free.set()
        async with process(played, tmp_path, path) as second:
            assert "Traceback" not in await logged(second, "alert.sent")
        with Journal(tmp_path / "state/alerts") as journal:
            assert journal.counts() == {("desk", "sent"): 1}
        assert len(there.hits) == 2
        assert len({(hit.headers["webhook-id"], hit.body) for hit in there.hits}) == 1


@contextlib.asynccontextmanager
async def process(
    trip: Journey, folder: Path, path: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`wadm alerts run` beside the server."""
    named = {
        "WADM_PORT": str(trip.system.port),
        "WADM_DATA_DIR": str(folder / "state"),
        "WADM_ALERTS_PRIVATE": "on",
        "DESK_SECRET": SECRET,
    }
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wadm", "alerts", "run", str(path)),
        env={**os.environ, **named},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield made
    finally:
        if made.returncode is None:
            made.terminate()
        await asyncio.wait_for(made.communicate(), WAIT_S)


async def logged(made: asyncio.subprocess.Process, event: str) -> str:
    """What a process logs until it logs this."""
    assert made.stderr is not None
    read = ""
    async with asyncio.timeout(WAIT_S):
        while f'"{event}"' not in read:
            line = await made.stderr.readline()
            assert line, read
            read += line.decode()
    return read


async def invoked(*words: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, command.app, ["alerts", *words])


async def test_commands(
    played: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """`check` says what each rule would look at now, `test` what the target answered, `silence`
    until when; a wrong name or span is refused with the right ones."""
    monkeypatch.setenv("WADM_PORT", str(played.system.port))
    monkeypatch.setenv("WADM_DATA_DIR", str(tmp_path / "state"))
    async with receiver() as there:
        path = str(file_in(tmp_path, rules_text(there.url, ANY)))
        lacking = await invoked("check", path)
        assert (lacking.exit_code, "has no DESK_SECRET" in lacking.output.replace("\n", " ")) == (
            1,
            True,
        )
        monkeypatch.setenv("DESK_SECRET", SECRET)
        looked = await invoked("check", path, "--json")
        # The system under test logs beside the command, in the same process.
        told = next(text for text in looked.stdout.splitlines() if text.startswith('{"rules"'))
        (row,) = json.loads(told)["rules"]
        assert row["now"].startswith("would fire: delta differs from 0 (it is ")
        assert "/order_flow/BTCUSDT?" in row["asks"]
        refused = await invoked("test", path, "moved")
        assert (refused.exit_code, "WADM_ALERTS_PRIVATE=on" in refused.output) == (1, True)
        monkeypatch.setenv("WADM_ALERTS_PRIVATE", "on")
        tested = await invoked("test", path, "moved")
        assert tested.exit_code == 0
        assert "desk: accepted (HTTP 204)\n" in tested.output
        assert json.loads(there.hits[0].body)["alert"]["test"] is True
        await the_wrong_words(path, there)
        quiet = await invoked("silence", path, "--rule", "moved", "--for", "2h")
        assert "moved, every symbol: silent until" in quiet.output
    monkeypatch.setenv("WADM_PORT", str(unused_port))
    assert (await invoked("check", path)).exit_code == 3


async def the_wrong_words(path: str, there: Receiver) -> None:
    for words, message in (
        (("test", path, "mooved"), "the file has: moved"),
        (("silence", path, "--rule", "x"), "there is no rule"),
        (("silence", path, "--for", "soon"), "30m, 2h, 1d or 0"),
        (("silence", path, "--symbol", "B T"), "must look like BTCUSDT"),
        (("check", path + "x"), "can't be read"),
    ):
        done = await invoked(*words)
        assert isinstance(done.exception, ConfigError)
        assert message in str(done.exception)
    assert len(there.hits) == 1


async def test_part_of_a_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With WADM_ALERTS_FILE the system runs the rules itself, and needs no key for it."""
    monkeypatch.setenv("DESK_SECRET", SECRET)
    async with receiver() as there:
        path = file_in(tmp_path, rules_text(there.url, ANY))
        changed = {"alerts_file": str(path), "alerts_private": "on", "keys": "required"}
        tapes = [market_tape(MINUTES)]
        async with journey(tmp_path / "store", tapes, row_sizes=ROWS, **changed) as trip:
            await trip.until_played()
            await until(lambda: there.hits, "an alert")
        assert json.loads(there.hits[0].body)["alert"]["rule"] == "moved"
