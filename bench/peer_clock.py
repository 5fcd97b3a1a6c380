"""Counts a peer's trades and takes its time; for scripts that run in an environment of the peers.

The clock starts with the last of the warm trades, when REST `/go` asks for the others.
"""

import json
import os
import resource
import time
import urllib.request


class Clock:
    """`count` trades, the first `warm` of which are not measured."""

    def __init__(self, rest, warm, count):
        self.rest, self.warm, self.count = rest, warm, count
        self.trades = 0
        self.wall_s = self.cpu_s = 0.0

    def trade(self):
        """One more."""
        self.trades += 1
        if self.trades == self.warm:
            urllib.request.urlopen(f"{self.rest}/go").close()
            self.wall_s, self.cpu_s = time.perf_counter(), time.process_time()

    @property
    def over(self):
        """True when all came."""
        return self.trades >= self.count

    def finish(self):
        """Print one JSON line and end the process, whatever still runs in it."""
        found = {
            "trades": self.trades - self.warm,
            "wall_s": time.perf_counter() - self.wall_s,
            "cpu_s": time.process_time() - self.cpu_s,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(found), flush=True)
        os._exit(0)
