"""The filter of the list of decisions, as its URL says: which ones, of when, found by what, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from steward.console.zones import Zone
from steward.errors import ContractError
from steward.insight.listing import SORTS, Filter
from steward.records import Status

RANGES: Final[Mapping[str, str]] = {"1h": "1 h", "today": "Today", "7d": "7 d", "30d": "30 d"}
"""The ranges that have a name, with their labels."""
NEWEST: Final = "-time"
_SPANS: Final = {"1h": timedelta(hours=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_STEPS: Final = tuple(timedelta(minutes=each) for each in (1, 2, 5, 15, 60, 180, 360, 720, 1440, 10080, 43200))
_MOST_STEPS: Final = 48
_MOST_SKIPPED: Final = 10_000
_DAY: Final = timedelta(days=1)


class Wanted(NamedTuple):
    """A filter with its order and page.

    Attributes:
        which: Which decisions.
        range: The name of the range, if it has one.
        sort: One of time, confidence and saving, with ``-`` before it for downwards.
        before: Sorted by time: the last decision of the page before.
        skip: Sorted by anything else: how many are on the pages before.

    Example:
        >>> noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
        >>> wanted = wanted_of({"status": "failed,undone", "range": "1h"}, noon, Zone("utc", "UTC"), None)
        >>> wanted.which.since.isoformat(), [status.value for status in wanted.which.statuses], wanted.sort
        ('2026-07-01T11:00:00+00:00', ['failed', 'undone'], '-time')
    """

    which: Filter
    range: str
    sort: str
    before: UUID | None
    skip: int

    @property
    def is_by_time(self) -> bool:
        """Whether it is sorted by time, and pages are as long as one likes."""
        return self.sort.removeprefix("-") == "time"

    @property
    def is_first(self) -> bool:
        """Whether it shows the newest decisions there are, so that newer ones are news."""
        return self.sort == NEWEST and self.before is None and (self.which.until is None or bool(self.range))


def wanted_of(parameters: Mapping[str, str], now: datetime, zone: Zone, readable: frozenset[str] | None) -> Wanted:
    """Return what a URL asks for.

    Args:
        parameters: ``decision``, ``status``, ``range`` or ``since`` and ``until``, ``q``, ``sort``, ``before`` and
            ``skip``.
        now: The present.
        zone: In which times are told that name none.
        readable: The decisions that may be shown; ``None`` for all.

    Raises:
        ContractError: A parameter says nothing; ``field`` is its name.
    """
    name, since, until = _stretch(parameters, now, zone)
    sort = parameters.get("sort") or NEWEST
    if sort.removeprefix("-") not in SORTS:
        raise ContractError(f"one cannot sort by {sort!r}", fix=f"sort by one of {', '.join(SORTS)}", field="sort")
    which = Filter(
        decision=parameters.get("decision") or None,
        statuses=tuple(_statuses(parameters.get("status", ""))),
        since=since,
        until=until,
        text=parameters.get("q", "").strip(),
        among=readable,
    )
    return Wanted(which, name, sort, _before(parameters), _skip(parameters))


def tidied(sent: Sequence[tuple[str, str]]) -> str:
    """Return a query without what is empty, and with all statuses in one parameter, so that links stay short.

    Example:
        >>> tidied([("q", ""), ("status", "failed"), ("status", "undone")])
        'status=failed%2Cundone'
    """
    found: dict[str, str] = {}
    for name, value in sent:
        text = value.strip()
        if text:
            found[name] = f"{found[name]},{text}" if name == "status" and name in found else text
    if "range" in found:
        found.pop("since", None)
        found.pop("until", None)
    return urlencode(found)


class Stretch(NamedTuple):
    """What a histogram is drawn over: steps of equal length.

    Example:
        >>> noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
        >>> stretch_of(Filter(since=noon - timedelta(hours=1), until=noon), noon).step
        datetime.timedelta(seconds=120)
    """

    since: datetime
    until: datetime
    step: timedelta


def stretch_of(which: Filter, now: datetime) -> Stretch:
    """Return the stretch of a filter; one without a beginning shows its last day."""
    until = which.until or now
    since = which.since or until - _DAY
    if since >= until:
        until = since + _STEPS[0]
    step = next((each for each in _STEPS if (until - since) / each <= _MOST_STEPS), _STEPS[-1])
    if (until - since) / step > _MOST_STEPS:
        since = until - _MOST_STEPS * step
    return Stretch(since, until, step)


def _stretch(parameters: Mapping[str, str], now: datetime, zone: Zone) -> tuple[str, datetime | None, datetime | None]:
    since, until = _moment(parameters, "since", zone), _moment(parameters, "until", zone)
    if since is not None or until is not None:
        if since is not None and until is not None and since >= until:
            raise ContractError("the end is before the beginning", fix="choose a later end", field="until")
        return "", since, until
    name = parameters.get("range", "")
    if not name:
        return "", None, None
    if name == "today":
        midnight = zone.local(now).replace(hour=0, minute=0, second=0, microsecond=0)
        return name, midnight.astimezone(UTC), None
    if name not in _SPANS:
        raise ContractError(f"there is no range {name!r}", fix=f"choose one of {', '.join(RANGES)}", field="range")
    return name, now - _SPANS[name], None


def _moment(parameters: Mapping[str, str], name: str, zone: Zone) -> datetime | None:
    text = parameters.get(name, "").strip()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=zone.info)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ContractError(f"{text!r} is no time", fix="write it as 2026-07-01T12:00", field=name) from None


def _statuses(text: str) -> Iterator[Status]:
    for name in dict.fromkeys(each.strip() for each in text.split(",")):
        if name:
            try:
                yield Status(name)
            except ValueError:
                known = ", ".join(status.value for status in Status)
                raise ContractError(f"there is no status {name!r}", fix=f"choose of {known}", field="status") from None


def _before(parameters: Mapping[str, str]) -> UUID | None:
    text = parameters.get("before", "")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise ContractError(f"{text!r} is no decision's id", fix="go to the first page", field="before") from None


def _skip(parameters: Mapping[str, str]) -> int:
    text = parameters.get("skip", "0") or "0"
    if not (text.isascii() and text.isdigit()) or int(text[:9]) > _MOST_SKIPPED:
        raise ContractError(f"one cannot skip {text!r}", fix=f"write a number up to {_MOST_SKIPPED:,}", field="skip")
    return int(text[:9])
