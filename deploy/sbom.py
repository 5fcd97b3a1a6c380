"""CycloneDX list of what a hashed lock installs: python -m deploy.sbom LOCK OUT."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

NAME = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def sbom(lock: str) -> dict[str, Any]:
    """One component a package, with the hashes of its files."""
    components: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if found := NAME.match(line):
            name, version = found[1].lower().replace("_", "-"), found[2]
            components.append(
                {
                    "type": "library",
                    "name": name,
                    "version": version,
                    "purl": f"pkg:pypi/{name}@{version}",
                    "hashes": [],
                }
            )
        for digest in HASH.findall(line):
            components[-1]["hashes"].append({"alg": "SHA-256", "content": digest})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": components,
    }


if __name__ == "__main__":
    source, target = sys.argv[1:]
    Path(target).write_text(json.dumps(sbom(Path(source).read_text()), indent=1) + "\n")
