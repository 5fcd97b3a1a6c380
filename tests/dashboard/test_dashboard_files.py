"""The page's files: as the sources make them, small, and served by strict rules."""

from __future__ import annotations

import gzip
import json
import re
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest
from conformance_run import run
from dashboard_build import SOURCES, newest_node, node_tool, workplace
from stream_support import served

from backbone.keys.book import KeyBook, Terms
from mcp_server.dashboard import POLICY, STATIC

MOST_BYTES = 250_000
MOST_LINES = 300
ASSET = re.compile(r'(?:src|href)="\./(assets/[^"]+)"')


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_small() -> None:
    """All files of the page together weigh less than 250 kB when packed."""
    packed = {name: len(gzip.compress(data, 6)) for name, data in files(STATIC).items()}
    print(f"the page costs {sum(packed.values())} bytes gzip: {packed}")
    assert sum(packed.values()) < MOST_BYTES


def test_nothing_from_elsewhere() -> None:
    """The page names its own files only, and the lock file no registry."""
    page = (STATIC / "index.html").read_text()
    assert {name for name in files(STATIC) if name != "index.html"} == set(ASSET.findall(page))
    assert not re.search(r"(?:src|href)=\"(?!\./|#|https://www\.tradingview\.com/)", page)
    assert "<style" not in page
    assert " style=" not in page
    lock = json.loads((SOURCES / "package-lock.json").read_text())
    found = [entry for entry in lock["packages"].values() if "resolved" in entry]
    assert found == []


def test_modules_are_small() -> None:
    """A module of the page fits in the head, and none uses `any` or parses text as markup."""
    for path in sorted((SOURCES / "src").rglob("*.ts")):
        text = path.read_text()
        assert len(text.splitlines()) <= MOST_LINES, path.name
        assert not re.search(
            r"\bany\b(?=[\s;,>\[)])(?<!\* any)", re.sub(r"//.*|/\*.*?\*/", "", text)
        ), path.name
        assert "innerHTML" not in text, path.name


@pytest.mark.slow
async def test_bundle_is_what_the_sources_make(tmp_path: Path) -> None:
    """Built again from the lock file, the committed bundle is the same byte for byte."""
    place = await workplace(tmp_path)
    code, output = await node_tool("tsc", ["--noEmit"], place)
    assert code == 0, output
    words = ["build", "--outDir", str(tmp_path / "static"), "--logLevel", "warn"]
    code, output = await node_tool("vite", words, place)
    assert code == 0, output
    made = files(tmp_path / "static")
    assert made.keys() == files(STATIC).keys(), "the bundle is old: make dashboard"
    assert [name for name, data in files(STATIC).items() if made[name] != data] == []


@pytest.mark.slow
async def test_pure_parts(tmp_path: Path) -> None:
    """What of the page computes has unit tests of its own, and they pass."""
    place = await workplace(tmp_path)
    made = tmp_path / "tests.mjs"
    words = ["tests/pure.test.ts", "--file", str(made), "--format", "esm", "--platform", "node"]
    code, output = await node_tool("rolldown", words, place)
    assert code == 0, output
    code, output = await run([str(await newest_node()), "--test", str(made)], 120, tmp_path)
    assert code == 0, output


@pytest.mark.slow
async def test_in_the_wheel(tmp_path: Path, root: Path) -> None:
    """The wheel brings the page, so nobody who runs it needs Node."""
    words = ["-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(root)]
    code, output = await run([sys.executable, *words], 600, tmp_path)
    if code != 0:
        pytest.skip(f"the wheel cannot be built without a package index: {output[-200:]}")
    (wheel,) = tmp_path.glob("wadm-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        inside = {name: packed.read(name) for name in packed.namelist() if "/static/" in name}
    assert inside == {f"mcp_server/static/{name}": data for name, data in files(STATIC).items()}


async def test_how_they_are_served() -> None:
    """Without a key: the page is asked for again each time, assets are kept for ever, both under
    the strict policy; every other path still wants the key."""
    async with served(keys="required", base_path="/house") as house:
        base = f"{house.url}/house"
        page = await house.client.get(f"{base}/")
        assert page.status_code == 200
        assert page.text == (STATIC / "index.html").read_text()
        assert page.headers["Cache-Control"] == "no-cache"
        again = await house.client.get(f"{base}/", headers={"If-None-Match": page.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in ASSET.findall(page.text):
            asset = await house.client.get(f"{base}/{name}")
            assert asset.content == (STATIC / name).read_bytes()
            assert asset.headers["Content-Encoding"] == "gzip"
            assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            _strict(asset)
        _strict(page)
        plain = await house.client.get(f"{base}/", headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert plain.content == page.content
        moved = await house.client.get(base)
        assert (moved.status_code, moved.headers["Location"]) == (308, "/house/")
        for path in ("assets/absent.js", "assets/../app.py", "assets/%2e%2e/app.py"):
            assert (await house.client.get(f"{base}/{path}")).status_code in {401, 404}
        for path in ("symbols", "status", "stream?symbols=AAAUSDT", "metrics", "static/index.html"):
            assert (await house.client.get(f"{base}/{path}")).status_code == 401
        key, _ = await KeyBook(house.app.state.store, "test").create("page", 4, Terms())
        await house.app.state.access.ring.refresh()
        known = await house.client.get(f"{base}/symbols", headers={"X-API-Key": key.text})
        assert known.status_code == 200


def _strict(answer: httpx2.Response) -> None:
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Vary"] == "Accept-Encoding"
