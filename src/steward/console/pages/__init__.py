"""One file a page: what it shows, and what a person can do there."""

from __future__ import annotations

from steward.console.pages import data, overview

PAGES = (overview, data)
"""Every page; each has a ``router``, and ``SOURCES`` if it has tables or charts."""
