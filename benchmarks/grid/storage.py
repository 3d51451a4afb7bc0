"""Battery dispatch: the share of perfect foresight in four markets, what wear, news of the day and a holdout change.

Every figure is of plans fixed at noon of the day before, each beside its limits: a fixed clock, the naive forecast,
plans on the published forecasts of neural networks, plans that know the day, and perfect foresight. Through the loop it
is ``python -m benchmarks.grid_backtest``.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.report import Figure

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import COLUMNS, synthetic_region
from steward.cases.grid.data.history import Floats, History, Source, read_history
from steward.cases.grid.dispatch.backtest import BATTERY
from steward.cases.grid.dispatch.comparison import CLOCK, KNOWN_DAY, LIMIT, NAIVE, Comparison, Estimate, compare
from steward.cases.grid.dispatch.holdout import DrivenDay, proven
from steward.cases.grid.dispatch.intraday import replanned
from steward.cases.grid.dispatch.ranking import MERIT, SHAPE, ranked
from steward.cases.grid.dispatch.references import Guess, Market, planner_of
from steward.cases.grid.forecasting.price import Refits, forecast_prices
from steward.cases.grid.forecasting.training import PRICE, Columns, train
from steward.clock import SystemClock
from steward.decision.model import Model
from steward.models.registry import FolderRegistry
from steward.releases.arms import Arm, Arms

DATA = Path(__file__).parents[3] / "shared" / "data"
OURS, PUBLISHED, RANKED = "ours", "published forecast", "published forecast, ranked"
_DNN = "fc_dnn_ensemble"
_DAY = timedelta(days=1)
_WEAR_EUR_MWH = 5.0
_HELD_OUT = 0.2
_INTRADAY_DAYS = 182


@dataclass(frozen=True)
class Place:
    """A market of the shared data, its test days, and what must and should be captured."""

    name: str
    file: str
    zone: str
    price: str
    ahead: tuple[str, ...]
    first: date
    until: date
    goal_pct: float
    parity_pct: float | None = None

    def history(self) -> History:
        """Read the file, with the published forecasts beside what the models may see."""
        published = () if self.parity_pct is None else (_DNN,)
        time = "time_utc" if self.parity_pct is None else "time_local"
        path = DATA / f"{self.file}.csv.gz"
        return read_history(
            Source(
                path=path,
                time_column=time,
                zone=self.zone,
                price_column=self.price,
                known_day_ahead=(*self.ahead, *published),
            )
        )


SPAIN = Place(
    "spain", "es_load_price_2015_2018_hourly", "Europe/Madrid", "price_day_ahead_eur_mwh",
    ("load_forecast_tso_mw", "wind_forecast_mw", "solar_forecast_mw"), date(2018, 1, 1), date(2019, 1, 1), 90.0,
)  # fmt: skip
PLACES = (
    SPAIN,
    Place("germany", "epf_de_hourly", "Europe/Berlin", "price", ("load_forecast_amprion_mw", "pv_wind_forecast_mw"),
          date(2016, 1, 4), date(2018, 1, 1), 92.1, 92.1),
    Place("france", "epf_fr_hourly", "Europe/Paris", "price", ("generation_forecast_mw", "load_forecast_mw"),
          date(2015, 1, 4), date(2017, 1, 1), 92.5, 92.5),
    Place("belgium", "epf_be_hourly", "Europe/Brussels", "price", ("generation_forecast_fr_mw", "load_forecast_fr_mw"),
          date(2015, 1, 4), date(2017, 1, 1), 84.0, 84.0),
)  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A market with the forecasts of its test days: of the price, and the prices to plan at."""

    market: Market
    days: list[date]
    known_until: date
    price: dict[date, Floats]
    plan: dict[date, Floats]
    ranked_published: dict[date, Floats]


def figures(*, quick: bool = False) -> list[Figure]:
    """Return the figures; where the data is not there, or quickly, those of a made-up region, which have no goals."""
    if quick or not (DATA / f"{SPAIN.file}.csv.gz").is_file():
        history, first = synthetic_region("Europe/Madrid", date(2023, 1, 1), 420), date(2024, 1, 1)
        made_up = _planned(history, COLUMNS, first, first + timedelta(days=42), quick=True)
        return [*_captured("made_up", made_up, None, None), *_beyond(made_up, goal=None)]
    found: list[Figure] = []
    for place in PLACES:
        history, columns = place.history(), Columns(place.price, ahead=place.ahead)
        planned = _planned(history, columns, place.first, place.until)
        found += _captured(place.name, planned, place.goal_pct, place.parity_pct)
        if place is SPAIN:
            found += _beyond(planned, goal=0.0)
    return found


def _planned(history: History, columns: Columns, first: date, until: date, *, quick: bool = False) -> Planned:
    market, days = Market.of(history, columns.price), history.days(first, until)
    refits = Refits(trees=replace(PRICE, rounds=60)) if quick else Refits()
    made = forecast_prices(history, columns, first, until, refits=refits, band_days=30)
    with tempfile.TemporaryDirectory() as folder:
        registry, clock = FolderRegistry(Path(folder)), SystemClock()
        for recipe in (SHAPE, MERIT):
            wanted = replace(recipe, rounds=60) if quick else recipe
            train(wanted, history, columns, until=first, registry=registry, clock=clock)
        shape, merit = (registry.load(Model(recipe.name)) for recipe in (SHAPE, MERIT))
    price, plan, published = {}, {}, {}
    has_published = _DNN in history.columns
    for day in days:
        known = columns.known(history, day)
        price[day] = known.on_the_clock(made.on_day(day))
        plan[day] = ranked(known, price[day], shape, merit)
        if has_published:
            published[day] = ranked(known, _of_day(history, _DNN, day), shape, merit)
    return Planned(market, days, first, price, plan, published)


def _captured(name: str, planned: Planned, goal_pct: float | None, parity_pct: float | None) -> list[Figure]:
    guesses: dict[str, Guess] = {OURS: planned.plan.__getitem__}
    comparison = compare(planned.market, planned.days, BATTERY, guesses, known_until=planned.known_until)
    found = [
        *_with_interval(f"storage_{name}_capture_pct", comparison.standing(OURS).capture_pct, "%", goal_pct),
        *(_capture(f"storage_{name}_{short}_pct", comparison, way) for short, way in _LIMITS.items()),
        Figure(f"storage_{name}_cycles", comparison.standing(OURS).cycles, "cycles"),
        Figure(f"storage_{name}_cycles_limit", comparison.standing(LIMIT).cycles, "cycles"),
        *_with_interval(f"storage_{name}_eur_per_mw_year", comparison.standing(OURS).eur_per_mw_year, "EUR/MWy"),
        Figure(f"storage_{name}_limit_eur_per_mw_year", comparison.standing(LIMIT).eur_per_mw_year.value, "EUR/MWy"),
        *_with_interval(f"storage_{name}_over_clock_eur_per_mw_year",
                        comparison.gain_eur_per_mw_year(OURS, over=CLOCK), "EUR/MWy"),
        Figure(f"storage_{name}_leaks", float(len(comparison.leaks)), "ways", 0.0, below=True),
    ]  # fmt: skip
    return found if parity_pct is None else [*found, *_published(name, planned, parity_pct)]


_LIMITS = {"clock": CLOCK, "naive": NAIVE, "known_day": KNOWN_DAY}


def _published(name: str, planned: Planned, parity_pct: float) -> list[Figure]:
    """Return what plans on the published forecasts capture: as they are, which proves the protocol, and ranked."""
    plain: dict[str, Guess] = {PUBLISHED: partial(_of_day, planned.market.history, _DNN)}
    as_published = compare(planned.market, planned.days, Battery(), plain, known_until=planned.known_until)
    both: dict[str, Guess] = {
        **plain,
        RANKED: planned.ranked_published.__getitem__,
        OURS: planned.plan.__getitem__,
    }
    beside = compare(planned.market, planned.days, BATTERY, both, known_until=planned.known_until)
    off = abs(_pct(as_published, PUBLISHED) - parity_pct)
    return [
        Figure(f"storage_{name}_published_pct", _pct(as_published, PUBLISHED), "%"),
        Figure(f"storage_{name}_published_off_points", round(off, 3), "points", 0.1, below=True),
        Figure(f"storage_{name}_published_ranked_pct", _pct(beside, RANKED), "%", parity_pct),
        *_with_interval(f"storage_{name}_over_published_points", beside.gain_points(OURS, over=PUBLISHED), "points"),
    ]


def _beyond(planned: Planned, *, goal: float | None) -> list[Figure]:
    """Return what wear, planning anew in the day, and a holdout change."""
    return [*_worn(planned), *_anew(planned, goal), *_held_out(planned)]


def _worn(planned: Planned) -> list[Figure]:
    worn, blind = replace(BATTERY, wear_eur_mwh=_WEAR_EUR_MWH), BATTERY
    guesses: dict[str, Guess] = {OURS: planned.plan.__getitem__}
    knows = compare(planned.market, planned.days, worn, guesses, known_until=planned.known_until)
    careless = planned.market.planned(planned.days, blind, planned.plan.__getitem__)
    return [
        *_with_interval("storage_wear_5_eur_per_mw_year", knows.standing(OURS).eur_per_mw_year, "EUR/MWy"),
        Figure("storage_wear_5_not_planned_for_eur_per_mw_year", _per_mw_year(
            careless.total_eur - _WEAR_EUR_MWH * float(careless.throughput_mwh.sum()), planned), "EUR/MWy"),
        Figure("storage_wear_5_limit_eur_per_mw_year", knows.standing(LIMIT).eur_per_mw_year.value, "EUR/MWy"),
        Figure("storage_wear_5_cycles", knows.standing(OURS).cycles, "cycles"),
    ]  # fmt: skip


def _anew(planned: Planned, goal: float | None) -> list[Figure]:
    """A market whose price is known when the hour is over: never a share of what is bought and sold there."""
    days = planned.days[:_INTRADAY_DAYS]
    anew = replanned(planned.market, days, BATTERY, planned.plan.__getitem__, planned.price.__getitem__)
    once = planned.market.planned(days, BATTERY, planned.plan.__getitem__)
    beside = Comparison(planned.market.limit(days, BATTERY), {"anew": anew, "once": once})
    return [
        *_with_interval("storage_intraday_eur_per_mw_year", beside.standing("anew").eur_per_mw_year, "EUR/MWy"),
        Figure("storage_intraday_day_ahead_eur_per_mw_year", beside.standing("once").eur_per_mw_year.value, "EUR/MWy"),
        Figure("storage_intraday_limit_eur_per_mw_year", beside.standing(LIMIT).eur_per_mw_year.value, "EUR/MWy"),
        *_with_interval("storage_intraday_gain_eur_per_mw_year",
                        beside.gain_eur_per_mw_year("anew", over="once"), "EUR/MWy", goal),
    ]  # fmt: skip


def _held_out(planned: Planned) -> list[Figure]:
    plain, market = replace(BATTERY, hurdle_eur_mwh=0.0), planned.market
    arms = Arms(salt="grid.battery-dispatch/1", share=1 - _HELD_OUT, holdout=_HELD_OUT)
    clock = planner_of(market.by_the_clock(planned.known_until), plain)
    ours = planner_of(planned.plan.__getitem__, BATTERY)
    is_held_out = {day: arms.of(day.isoformat()) is Arm.HOLDOUT for day in planned.days}
    driven = market.followed(
        planned.days, BATTERY, lambda day, soc_mwh: (clock if is_held_out[day] else ours)(day, soc_mwh)
    )
    rule = dict(zip(planned.days, market.followed(planned.days, plain, clock).eur.tolist(), strict=True))
    days = [
        DrivenDay(day, not is_held_out[day], eur) for day, eur in zip(planned.days, driven.eur.tolist(), strict=True)
    ]
    proof = proven(days, rule.__getitem__)
    every_day = market.planned(planned.days, BATTERY, planned.plan.__getitem__).total_eur
    return [
        Figure("storage_holdout_days", float(proof.held_out_days), "days"),
        *_with_interval("storage_holdout_saved_eur_a_day", proof.adjusted_eur, "EUR"),
        Figure("storage_holdout_saved_plain_low_eur_a_day", proof.plain_eur.low, "EUR"),
        Figure("storage_holdout_saved_plain_high_eur_a_day", proof.plain_eur.high, "EUR"),
        Figure("storage_holdout_true_saving_eur_a_day", (every_day - sum(rule.values())) / len(planned.days), "EUR"),
        Figure("storage_holdout_costs_eur_per_mw_year", _per_mw_year(every_day - driven.total_eur, planned), "EUR/MWy"),
    ]


def _with_interval(name: str, found: Estimate | None, unit: str, goal: float | None = None) -> list[Figure]:
    if found is None:
        return []
    ends = (Figure(f"{name}_low", round(found.low, 3), unit), Figure(f"{name}_high", round(found.high, 3), unit))
    return [Figure(name, round(found.value, 3), unit, goal), *ends]


def _capture(name: str, comparison: Comparison, way: str) -> Figure:
    return Figure(name, _pct(comparison, way), "%")


def _pct(comparison: Comparison, way: str) -> float:
    found = comparison.standing(way).capture_pct
    return float("nan") if found is None else round(found.value, 3)


def _per_mw_year(eur: float, planned: Planned) -> float:
    return round(eur / BATTERY.power_mw / len(planned.days) * 365.25, 1)


def _of_day(history: History, column: str, day: date) -> Floats:
    values = history.between(column, history.local.start(day), history.local.start(day + _DAY))
    at, there = np.arange(values.size), np.isfinite(values)
    return values if there.all() else np.interp(at, at[there], values[there])
