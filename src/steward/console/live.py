"""One stream of what has just happened, for all tabs of a browser."""

from __future__ import annotations

from steward.console.view import Renders


class Live:
    """Sends what changes to whoever looks, at most once a second; makes each message once for all who may see it.

    Args:
        console: Renders the fragments.
    """

    def __init__(self, console: Renders) -> None:
        self._console = console
