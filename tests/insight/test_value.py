"""Summaries of worth: exact sums, and an interval that holds."""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.insight.histories import asked, entries_of, record, valued

from steward.insight.rows import Worth
from steward.insight.value import as_text, mean_saving, summary
from steward.insight.views import Views
from steward.records import Money


def worth_of(savings: list[int], unit: str = "EUR") -> Worth:
    return Worth(
        unit=unit,
        valued=len(savings),
        value_minor=sum(savings),
        baseline_minor=0,
        saving_minor=sum(savings),
        squares_minor=sum(saving * saving for saving in savings),
    )


def test_a_summary_shows_the_saving_next_to_its_sample_size() -> None:
    runs = [record(n) for n in range(5)]
    other = record(9, decision="grid.dispatch")
    views = Views(":memory:")
    views.apply(entries_of([*runs, other, asked(runs[4]), valued(runs[0], 500), valued(runs[1], -200)]))
    grid, pay = summary(views)
    assert (grid.decision, grid.runs, grid.valued, grid.saving) == ("grid.dispatch", 1, 0, None)
    assert (pay.runs, pay.valued, pay.asked) == (5, 2, 1)
    assert pay.saving == Money.of_minor(300, "EUR")
    assert pay.value is not None
    assert pay.baseline is not None
    assert pay.value.minor - pay.baseline.minor == 300
    assert pay.each is not None
    assert (pay.each.mean, pay.each.low) == (Money.of_minor(150, "EUR"), None)
    assert [row.decision for row in summary(views, decision="pay.release")] == ["pay.release"]
    later = (datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=1)).date()
    assert summary(views, since=later) == []
    views.close()


@given(st.lists(st.integers(-(10**9), 10**9), min_size=30, max_size=60))
def test_the_interval_is_that_of_the_textbook(savings: list[int]) -> None:
    each = mean_saving(worth_of(savings))
    mean = statistics.fmean(savings)
    half = 1.959964 * statistics.stdev(savings) / len(savings) ** 0.5
    assert each.low is not None
    assert each.high is not None
    assert abs(each.mean.minor - mean) <= 0.5
    assert -1.001 <= each.low.minor - (mean - half) <= 0.001
    assert -0.001 <= each.high.minor - (mean + half) <= 1.001


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    chance = random.Random(7)
    covered = 0
    for _ in range(1000):
        each = mean_saving(worth_of([round(chance.gauss(1000, 300)) for _ in range(50)]))
        covered += each.low is not None and each.high is not None and each.low.minor <= 1000 <= each.high.minor
    assert 920 <= covered <= 980


def test_huge_sums_are_divided_exactly() -> None:
    assert mean_saving(worth_of([10**20, 10**20 + 3])).mean.minor == 10**20 + 2  # half to even


def test_amounts_are_written_for_people() -> None:
    assert as_text(Money.of_minor(-5, "EUR")) == "-0.05 EUR"
    assert as_text(Money.of_minor(1_234_567, "JPY")) == "1,234,567 JPY"
