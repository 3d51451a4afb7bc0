"""What a shadow adds to the tail of the champion's latency, at 70 % of what the server can do.

    python -m benchmarks.shadow [--json] [--quick]

Server on one core, load on the other, open loop. Rounds with a shadow and without take turns, each pair with the same
requests at the same times, so that a slow minute of the machine hits both; the figure is the median of the pairs.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.http_decide import REPOSITORY, measure, served
from benchmarks.open_load import Seen, run_open_load
from benchmarks.report import Figure, report
from benchmarks.workload import DECISION, events, model_text, register

USUAL = 0.7
"""The share of the server's capacity that is asked for."""


def tell(port: int, path: str, body: object) -> None:
    """Change a rollout."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(
        "POST", f"/v1/rollouts/{DECISION.name}{path}", json.dumps(body), {"content-type": "application/json"}
    )
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path or 'start'} was answered {answer.status}: {said[:300]!r}")


def asked(port: int) -> int:
    """Return how often shadows were asked so far."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/v1/rollouts/{DECISION.name}")
    said = json.loads(connection.getresponse().read())
    connection.close()
    return sum(shadow["asked"] for shadow in said["shadows"])


def main() -> None:
    """Measure and report."""
    quick = "--quick" in sys.argv
    rounds, seconds = (2, 2.0) if quick else (7, 8.0)
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        # Beside the repository's own files: a temporary folder may lie in memory, where nothing is durable.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".bench-")))
        text = model_text()
        for version in (text.replace("[seed: 7]", "[seed: 8]"), text):  # the same trees under another digest
            register(folder / "models", version)
        server = stack.enter_context(served("steward", folder, events(1_000), cores[0]))
        os.sched_setaffinity(0, {cores[-1]})
        capacity = max(measure(server, 64, 2.0).rps for _ in range(2))
        pairs: list[tuple[Seen, Seen]] = []
        times = 0
        for turn in range(rounds):
            seen: dict[bool, Seen] = {}
            for with_shadow in (True, False) if turn % 2 else (False, True):
                if with_shadow:
                    tell(server.port, "", {"models": {"fraud": "1"}, "shadow": True, "reason": "measured"})
                seen[with_shadow] = run_open_load(
                    server.port, server.requests, rate_rps=USUAL * capacity, seconds=seconds, seed=turn
                )
                if with_shadow:
                    times += asked(server.port)
                    tell(server.port, "/stop", {"reason": "measured"})
            pairs.append((seen[False], seen[True]))
    without, beside = ([pair[at].quantile_ms(0.99) for pair in pairs] for at in (0, 1))
    added = median(100 * (b / a - 1) for a, b in zip(without, beside, strict=True))
    report(
        "shadow",
        [
            Figure("p99_added_pct", added, "%", goal=5, below=True),
            Figure("p99_without_ms", median(without), "ms"),
            Figure("p99_with_ms", median(beside), "ms"),
            Figure("p50_without_ms", median(pair[0].quantile_ms(0.5) for pair in pairs), "ms"),
            Figure("p50_with_ms", median(pair[1].quantile_ms(0.5) for pair in pairs), "ms"),
            Figure("offered_rps", USUAL * capacity, "1/s"),
            Figure("shadow_asked", float(times), "", goal=1),
        ],
        {"pairs_ms": [[round(a, 2), round(b, 2)] for a, b in zip(without, beside, strict=True)]},
    )


if __name__ == "__main__":
    main()
