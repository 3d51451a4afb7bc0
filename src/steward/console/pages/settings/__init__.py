"""The settings: who may do what, who is asked and told, and how this installation runs. One file a page."""

from __future__ import annotations

from steward.console.pages.settings import gates, keys, notifications, people, rights, start, system

PAGES = (start, people, keys, gates, notifications, rights, system)
"""Every page of the settings."""
