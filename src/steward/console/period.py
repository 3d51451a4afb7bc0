"""The days that a page shows, as its URL says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from steward.errors import ContractError

PERIODS: Final[Mapping[str, int]] = {"today": 1, "7d": 7, "30d": 30}
"""The periods that have a name, with how many days each has, the present one included."""
ALL: Final = "all"


class Period(NamedTuple):
    """Days by the calendar of UTC, as the views count them; both ends included, ``None`` for open ones.

    Attributes:
        name: ``today``, ``7d``, ``30d``, ``all``, or empty for days of one's own.
        since: The first day.
        until: The last day.

    Example:
        >>> Period.of({"range": "7d"}, datetime(2026, 7, 9, 12)).since
        datetime.date(2026, 7, 3)
    """

    name: str
    since: date | None
    until: date | None

    @classmethod
    def of(cls, parameters: Mapping[str, str], now: datetime, *, default: str = ALL) -> Period:
        """Return the period of a URL: ``range``, or ``since`` and ``until``.

        Raises:
            ContractError: It names no days; ``field`` is the parameter.

        Example:
            >>> Period.of({"since": "2026-07-01", "until": "2026-07-02"}, datetime(2026, 7, 9, 12)).days
            2
            >>> Period.of({}, datetime(2026, 7, 9, 12)).name
            'all'
        """
        since, until = _day(parameters, "since"), _day(parameters, "until")
        if since is not None or until is not None:
            if since is not None and until is not None and since > until:
                raise ContractError(
                    f"no day lies between {since} and {until}", fix="choose an end after the beginning", field="since"
                )
            return cls("", since, until)
        name = parameters.get("range") or default
        if name == ALL:
            return cls(ALL, None, None)
        if name not in PERIODS:
            known = ", ".join((*PERIODS, ALL))
            raise ContractError(f"there is no period {name!r}", fix=f"choose one of {known}", field="range")
        return cls(name, now.date() - timedelta(days=PERIODS[name] - 1), now.date())

    @property
    def days(self) -> int | None:
        """How many days it has; ``None`` if it is open."""
        return None if self.since is None or self.until is None else (self.until - self.since).days + 1

    @property
    def words(self) -> str:
        """The period as people say it.

        Example:
            >>> Period("", date(2026, 7, 1), None).words
            'since 1 July 2026'
        """
        known = {"today": "today", "7d": "in the last 7 days", "30d": "in the last 30 days", ALL: "so far"}
        if self.name:
            return known[self.name]
        if self.until is None:
            return f"since {_said(self.since)}"
        if self.since is None:
            return f"until {_said(self.until)}"
        return f"on {_said(self.since)}" if self.days == 1 else f"from {_said(self.since)} to {_said(self.until)}"


def _said(day: date | None) -> str:
    return "" if day is None else f"{day.day} {day:%B %Y}"


def _day(parameters: Mapping[str, str], name: str) -> date | None:
    text = parameters.get(name, "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ContractError(f"{text!r} is no day", fix="write it as 2026-07-01", field=name) from None
