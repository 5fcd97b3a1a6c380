"""What an operator sees and does: ingestion status, a pause that is declared, an audit."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from journeys_support import Journey, journey
from recorded import recording

from backbone.store.base import FOOTPRINTS, INGESTION, Query, Record
from collectors.pausing import PauseList
from wadm.audit import NOT_STORED, OVERSTATED, audit
from wadm.operate import audit_table, plain

NAME = "binance:spot:BTCUSDT"
START = 1_723_161_240_000
"""2024-08-08T23:54Z: six whole minutes follow."""
METRICS = (
    "ingestion_latency_seconds",
    "ingestion_errors_total",
    "ingestion_candles_processed_total",
    "ingestion_queue_size",
    "ingestion_status",
    "wadm_breaker_state",
)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_paused_resumed_and_audited(shared: Path, tmp_path: Path) -> None:
    """While paused the stream says so and its hole is declared; resumed, the hole is repaired and
    every minute is verified; the audit agrees, and finds what was changed behind its back."""
    tape = recording(shared, "spot_btcusdt_20240808")
    pauses = PauseList(tmp_path)
    async with journey(tmp_path, [tape], speed=25.0) as trip:
        view = trip.system.processor.view
        await trip.until(lambda: bool(view.instruments()), "announced")
        await trip.until(lambda: view.stream(NAME).applied > 500, "trades")
        assert pauses.change(NAME, paused=True)
        await trip.until(lambda: view.stream(NAME).status == "paused", "paused", 10)
        applied = view.stream(NAME).applied
        (line,) = (await trip.get("/status"))["streams"]
        assert (line["state"], line["gaps_open"]) == ("paused", 1)
        assert view.stream(NAME).applied == applied
        assert pauses.change(NAME, paused=False)
        assert not pauses.change(NAME, paused=False)
        await trip.until_played()
        status = await trip.get("/status")
        (line,) = status["streams"]
        assert (line["status"], line["ingestion_mode"], line["error_message"]) == (
            "active",
            "websocket",
            None,
        )
        assert line["last_ingested_timestamp"] <= line["last_ingested_at"]
        assert line["gaps_lost"] == 0
        assert line["candles_processed"] > 5
        assert {b["name"].split()[0] for b in status["breakers"]} == {"rest", "store"}
        assert status["rest"]["binance"]["used_weight"] > 0
        page = (await trip.client.get(trip.base_url + "/metrics")).text
        assert [name for name in METRICS if f"\n{name}{{" not in page] == []
        store, settings = trip.system.store, trip.system.settings
        (record,) = await store.query(Query(INGESTION, NAME, "now", 0, 1, 0))
        assert record.body["ingestion_mode"] == "websocket"
        found = await audit(settings, store, NAME, START, START + 6 * 60_000)
        assert found.good, found
        assert found.counts == {"verified": 6}
        assert found.windows >= 1
        assert plain(found)["good"] is True
        early = await audit(settings, store, NAME, START - 600_000, START - 540_000)
        assert [minute.problem for minute in early.minutes] == [NOT_STORED]
        await _exit_codes(trip)
        await _tamper(store, START)
        again = await audit(settings, store, NAME, START, START + 6 * 60_000)
        assert again.minutes[0].problem == OVERSTATED
        assert audit_table(again).row_count >= 1


async def _exit_codes(trip: Journey) -> None:
    """The commands beside the running system: 0 good, 1 a problem, 2 wrong use, 3 no answer."""
    span = ("2024-08-08T23:54", "2024-08-08T23:59")
    audited = ("audit", "--source", "simulated", "--json")
    assert await _command(trip, *audited, NAME, *span) == 0
    assert await _command(trip, *audited, NAME, "2024-08-08T23:44", "2024-08-08T23:45") == 1
    assert await _command(trip, *audited, "binance:BTCUSDT", *span) == 2
    assert await _command(trip, *audited, NAME, *reversed(span)) == 2
    nowhere = {"WADM_BINANCE_SPOT_REST_URL": "http://127.0.0.1:1"}
    assert await _command(trip, *audited, NAME, *span, **nowhere) == 3
    view = trip.system.processor.view
    assert await _command(trip, "pause", NAME) == 0
    await trip.until(lambda: view.stream(NAME).status == "paused", "paused by command", 60)
    assert await _command(trip, "resume", NAME) == 0
    await trip.until(lambda: view.stream(NAME).status == "active", "resumed by command", 60)
    assert await _command(trip, "pause", "btcusdt") == 2


async def _command(trip: Journey, *words: str, **environ: str) -> int:
    """The exit code of `wadm ...` with the settings of the running system."""
    settings = {"WADM_DATA_DIR": trip.system.settings.data_dir, "WADM_SYMBOLS": "BTCUSDT"}
    settings |= {f"WADM_{name.upper()}": url for name, url in trip.simulator.urls.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wadm", *words, env={**os.environ, **settings, **environ},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await asyncio.wait_for(process.wait(), 120)


async def _tamper(store: object, start_ms: int) -> None:
    """The open of a stored minute is changed in place."""
    query = Query(FOOTPRINTS, NAME, "1m", start_ms, start_ms + 1, 0)
    (record,) = await store.query(query)  # type: ignore[attr-defined]
    from msgspec.structs import replace

    from orderflow.encoding import FLOW_FIELDS

    flow = list(record.body["flow"])
    flow[FLOW_FIELDS.index("open_ticks")] += 1
    changed: Record = replace(record, revision=99, body={**record.body, "flow": flow})
    await store.put([changed])  # type: ignore[attr-defined]
