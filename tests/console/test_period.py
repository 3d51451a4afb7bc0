"""The days that a page shows."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from steward.console.period import Period
from steward.errors import ContractError

NOW = datetime(2026, 7, 9, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "since", "until", "words"),
    [
        ({}, None, None, "so far"),
        ({"range": "today"}, date(2026, 7, 9), date(2026, 7, 9), "today"),
        ({"range": "7d"}, date(2026, 7, 3), date(2026, 7, 9), "in the last 7 days"),
        ({"range": "30d"}, date(2026, 6, 10), date(2026, 7, 9), "in the last 30 days"),
        ({"since": "2026-07-01"}, date(2026, 7, 1), None, "since 1 July 2026"),
        ({"until": "2026-07-01", "range": "7d"}, None, date(2026, 7, 1), "until 1 July 2026"),
        ({"since": "2026-07-01", "until": "2026-07-01"}, date(2026, 7, 1), date(2026, 7, 1), "on 1 July 2026"),
        (
            {"since": "2026-07-01", "until": " 2026-07-03 "},
            date(2026, 7, 1),
            date(2026, 7, 3),
            "from 1 July 2026 to 3 July 2026",
        ),
    ],
)
def test_of_a_url(parameters: dict[str, str], since: date | None, until: date | None, words: str) -> None:
    period = Period.of(parameters, NOW)
    assert (period.since, period.until, period.words) == (since, until, words)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"range": "1y"}, "range"),
        ({"since": "July"}, "since"),
        ({"since": "2026-07-02", "until": "2026-07-01"}, "since"),
    ],
)
def test_days_that_make_no_sense_are_refused(parameters: dict[str, str], field: str) -> None:
    with pytest.raises(ContractError) as refused:
        Period.of(parameters, NOW)
    assert refused.value.field == field
