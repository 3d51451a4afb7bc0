"""Install the peers that tests talk to, or those named: ``python -m benchmarks.peers [NAME ...]``."""

from __future__ import annotations

import sys

from benchmarks.peers import TESTED, environment

for name in sys.argv[1:] or TESTED:
    environment(name)
