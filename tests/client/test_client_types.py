"""The generated types follow the server, and the client stands alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from wadm_client.config import read_config
from wadm_client.errors import ConfigError

from mcp_server.openapi import document


def test_types_follow_the_server(root: Path) -> None:
    """types.py is what write_types.py makes of /openapi.json (write it anew: make client-types)."""
    written = subprocess.run(
        [sys.executable, str(root / "mcp_client/write_types.py")],
        input=json.dumps(json.loads(document())),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (root / "mcp_client/src/wadm_client/types.py").read_text() == written


def test_schemas_follow_the_server(root: Path, tmp_path: Path) -> None:
    """Every kind of cache file has a schema, as write_schemas.py makes it of /openapi.json."""
    words = [sys.executable, str(root / "mcp_client/write_schemas.py"), str(tmp_path)]
    subprocess.run(words, input=document(), check=True)
    kept = root / "mcp_client/src/wadm_client/schemas"
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.name: path.read_text() for path in kept.iterdir()} == made
    source = (root / "mcp_client/src/wadm_client/question.py").read_text()
    kinds = set(re.findall(r'Question\(\s*"(\w+)"', source)) - {"wait"}
    assert {f"{kind}.schema.json" for kind in kinds | {"mcp", "key_levels_file"}} == set(made)


def test_it_stands_alone(root: Path) -> None:
    """No import of the server, of numpy, and none of mcp or pandas before they are used."""
    env = os.environ | {"PYTHONPATH": str(root / "mcp_client/src")}
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--config", "mcp_client/pyproject.toml"],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    code = (
        "import sys, time; t = time.process_time(); import wadm_client; "
        "took = time.process_time() - t; import wadm_client.client; "
        "heavy = {'mcp', 'pandas', 'pyarrow', 'numpy', 'pydantic'} & set(sys.modules); "
        "print(took, heavy)"
    )
    times = []
    for _ in range(3):
        out = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout
        took, _, heavy = out.strip().partition(" ")
        times.append(float(took))
        assert heavy == "set()"
    assert min(times) < 0.15, "seconds of CPU, so that a busy machine is no reason"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://127.0.0.1",
        "https://key@example.com",
        "example.com",
        "",
        "https://example.com/?api_key=x",
        "http://169.254.1.1",
        "https://",
    ],
)
def test_addresses_that_leak(url: str) -> None:
    """Without TLS only this computer is asked, and a key in an address is refused."""
    with pytest.raises(ConfigError, match="WADM_API_URL"):
        read_config({}, url=url)


def test_where_the_key_comes_from(tmp_path: Path) -> None:
    """Environment, then file; neither shows in a printed configuration."""
    file = tmp_path / "key"
    file.write_text("from-file\n")
    found = read_config({"WADM_API_KEY_FILE": str(file), "WADM_API_URL": "https://h/wadm/"})
    assert (found.key, found.url) == ("from-file", "https://h/wadm")
    assert "from-file" not in repr(found)
    found = read_config(
        {
            "WADM_API_KEY": "a",
            "WADM_API_KEY_FILE": str(file),
            "WADM_CACHE_TTL": "7",
            "WADM_CACHE_DIR": str(tmp_path),
        }
    )
    assert (found.key, found.ttl_s, found.cache_dir) == ("a", 7, tmp_path)
    with pytest.raises(ConfigError, match="WADM_CACHE_TTL"):
        read_config({"WADM_CACHE_TTL": "soon"})
    with pytest.raises(ConfigError, match="ASCII"):
        read_config({"WADM_API_KEY": "with space"})
