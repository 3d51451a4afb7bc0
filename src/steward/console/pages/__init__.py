"""One file a page: what it shows, and what a person can do there."""

from __future__ import annotations

from steward.console.pages import (
    approvals,
    audit,
    compare,
    components,
    data,
    decision,
    decisions,
    events,
    glossary,
    inventory,
    models,
    overview,
    preferences,
    reports,
    settings,
    signing_in,
    stopping,
    value,
)

PAGES = (
    overview,
    approvals,
    decisions,
    decision,
    signing_in,
    preferences,
    stopping,
    glossary,
    events,
    models,
    compare,
    inventory,
    value,
    audit,
    reports,
    *settings.PAGES,
    data,
    components,
)
"""Every page; each has a ``router``, and ``SOURCES`` if it has tables or charts."""
