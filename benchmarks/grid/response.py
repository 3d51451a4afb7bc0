"""Demand response: how many of a year's highest days were called at noon of the day before, and could be."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from benchmarks.report import Figure, report

from steward.cases.grid.data.history import Source, read_history
from steward.cases.grid.response.calls import day_peaks, forecast_of, perfect, play
from steward.cases.grid.response.learning import learn
from steward.cases.grid.response.top_days import Season

DATA = Path(__file__).parents[3] / "shared" / "data" / "vic_load_temp_2012_2014_30min.csv.gz"
LEARNT, FIRST, UNTIL = date(2012, 1, 1), date(2014, 1, 1), date(2015, 1, 1)


def figures(*, quick: bool = False) -> list[Figure]:
    """Return the hits of 15 calls in Victoria, 2014; trained on 2012 and 2013."""
    if not DATA.is_file():
        print(f"response: the real data is not here: {DATA}", file=sys.stderr)
        return []
    source = Source(
        path=DATA,
        time_column="time_utc",
        zone="Australia/Melbourne",
        load_column="load_mw",
        temperature_column="temperature_c",
    )
    history = read_history(source)
    peaks_mw, season = day_peaks(history, FIRST, UNTIL), Season(FIRST, UNTIL)
    blind, warned = (learn(history, LEARNT, FIRST, with_weather=known) for known in (False, True))
    rows = [
        ("hits_no_weather_of_the_day", play(blind.climate, season, peaks_mw, forecast_of(history, blind)), 5.0),
        (
            "hits_measured_temperature_as_forecast",
            play(warned.climate, season, peaks_mw, forecast_of(history, warned)),
            8.0,
        ),
        ("hits_perfect_forecast_same_rule", play(warned.climate, season, peaks_mw, perfect(peaks_mw)), None),
    ]
    return [
        *(Figure(name, called.hits, "of 10", goal=goal) for name, called, goal in rows),
        Figure("calls_made", max(len(called.days) for _, called, _ in rows), "", goal=15, below=True),
    ]


if __name__ == "__main__":
    report("grid.response", figures(quick="--quick" in sys.argv))
