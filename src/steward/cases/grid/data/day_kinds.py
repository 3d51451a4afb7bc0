"""What kind of day a date is: weekday, season, public holiday."""

from __future__ import annotations

from collections.abc import Container
from datetime import date, timedelta
from functools import cache

from steward.errors import EngineError


@cache
def holidays_of(country: str | None) -> Container[date]:
    """Return the national public holidays of a country (ISO 3166 code); none for an unknown one.

    Raises:
        EngineError: The package ``holidays`` is not installed.

    Example:
        >>> date(2018, 12, 6) in holidays_of("ES"), date(2018, 12, 5) in holidays_of("ES")
        (True, False)
    """
    try:
        import holidays  # noqa: PLC0415 - an extra, loaded when days are told apart
    except ImportError as error:
        raise EngineError(
            "public holidays are not known",
            why=str(error),
            fix="pip install 'steward-aios[grid]'",
            code="not-installed",
        ) from error
    if country is None or country not in holidays.list_supported_countries():
        return frozenset()
    known: Container[date] = holidays.country_holidays(country)
    return known


def is_free(country: str | None, day: date) -> bool:
    """Tell whether most people do not work: weekends (Saturday, Sunday) and public holidays.

    Example:
        >>> is_free("ES", date(2018, 12, 6)), is_free("ES", date(2018, 12, 7)), is_free(None, date(2018, 12, 8))
        (True, False, True)
    """
    return day.weekday() >= 5 or day in holidays_of(country)


def kind(country: str | None, day: date) -> int:
    """Return the weekday, 0 (Monday) to 6, or 7 for a public holiday that is not a Sunday."""
    return 7 if day.weekday() != 6 and day in holidays_of(country) else day.weekday()


def days_alike(country: str | None, day: date, candidates: list[date]) -> list[date]:
    """Return the candidates most like ``day``, in their order: of its kind, else as free as it, else all."""
    same = [other for other in candidates if kind(country, other) == kind(country, day)]
    if same:
        return same
    free = is_free(country, day)
    return [other for other in candidates if is_free(country, other) == free] or candidates


def days_before(day: date, first: int, last: int) -> list[date]:
    """Return the days ``first`` to ``last`` days before, latest first.

    Example:
        >>> days_before(date(2018, 1, 3), 1, 2)
        [datetime.date(2018, 1, 2), datetime.date(2018, 1, 1)]
    """
    return [day - timedelta(days=n) for n in range(first, last + 1)]
