"""An engine: everything that Apprise reaches (chat rooms, pagers, text messages); an extra."""

from __future__ import annotations

from types import ModuleType

from steward.errors import EngineError
from steward.people.notice import Notice


class AppriseChannel:
    """Hands notices to Apprise; an address is one of its URLs, such as ``ntfys://ntfy.sh/our-topic``.

    Args:
        page: The address that links point to.

    Raises:
        EngineError: The extra is not installed.

    Example:
        >>> AppriseChannel(page="https://steward.example")  # doctest: +SKIP
        <steward.people.apprise.AppriseChannel object at ...>
    """

    def __init__(self, *, page: str = "") -> None:
        self._apprise, self._page = _library(), page

    async def send(self, notice: Notice, address: str) -> None:
        """Hand a notice to the service that ``address`` names.

        Raises:
            EngineError: It was not taken. The error does not show the address, which may hold a secret.
        """
        service = self._apprise.Apprise()
        if not service.add(address):
            raise EngineError(
                "Apprise knows no such address", fix="see https://github.com/caronc/apprise/wiki", code="engine.apprise"
            )
        if not await service.async_notify(title=notice.title, body=notice.text(self._page)):
            raise EngineError(
                f"{address.partition(':')[0]} did not take the message", retryable=True, code="engine.apprise"
            )


def _library() -> ModuleType:
    try:
        import apprise  # noqa: PLC0415 - an extra, and heavy
    except ImportError as error:
        raise EngineError(
            "Apprise is not installed", fix="pip install 'steward-aios[notify]'", code="engine.extra-missing"
        ) from error
    return apprise
