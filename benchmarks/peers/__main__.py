"""Install peers ahead: ``python -m benchmarks.peers [NAME ...]``."""

from __future__ import annotations

import sys

from benchmarks.peers import NAMES, environment

for name in sys.argv[1:] or NAMES:
    environment(name)
