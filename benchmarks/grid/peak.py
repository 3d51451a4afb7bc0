"""Peak shaving: Victoria 2014 scaled to 500 MW, with 10 MW and 40 MWh; tuned on 2012 and 2013.

The limits stand beside: perfect foresight, a day-ahead point forecast followed blindly, and no model but similar days.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from benchmarks.report import Figure

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.peak.decision import EUR_PER_KW_YEAR, NAME, make_decision
from steward.cases.grid.peak.demand import Demand, halved
from steward.cases.grid.peak.replay import replay
from steward.cases.grid.peak.rest_of_day import RestOfDay
from steward.cases.grid.peak.season import Season, followed_blindly, possible, replanned, run
from steward.cases.grid.peak.shaving import TUNED
from steward.cases.grid.peak.site import MeteredSite
from steward.cases.grid.peak.worth import sure_of
from steward.clock import VirtualClock
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

DATA = Path(__file__).parents[3] / "shared" / "data" / "vic_load_temp_2012_2014_30min.csv.gz"
ZONE, PEAK_MW = "Australia/Melbourne", 500.0
FIRST, UNTIL = date(2014, 1, 1), date(2015, 1, 1)
_LOOP_DAYS = 7


def figures(*, quick: bool = False) -> list[Figure]:
    """Return the figures; where the data is not there, or quickly, those of a made-up region, which have no goals."""
    real = DATA.is_file() and not quick
    history = _victoria(DATA) if real else _made_up()
    site, model, known = _site(history)
    battery = Battery()
    shaved = run(site, FIRST, UNTIL, replanned(lambda at: model.outlook(known, at), TUNED), battery=battery)
    similar = run(site, FIRST, UNTIL, replanned(site.nearest_days, TUNED), battery=battery)
    blind = run(site, FIRST, UNTIL, followed_blindly(site, site.lately), battery=battery)
    limit = possible(site, FIRST, UNTIL, battery=battery)
    annual, monthly = sure_of(shaved)
    worth = annual.times(1000 * EUR_PER_KW_YEAR)
    return [
        Figure("peak_annual_cut_mw", shaved.cut_mw, "MW", 9.5 if real else None),
        Figure("peak_annual_cut_low_mw", annual.low, "MW"),
        Figure("peak_annual_cut_limit_mw", limit.cut_mw, "MW"),
        Figure("peak_annual_cut_similar_days_mw", similar.cut_mw, "MW"),
        Figure("peak_annual_cut_blind_mw", blind.cut_mw, "MW"),
        Figure("peak_monthly_cut_mw", shaved.mean_monthly_cut_mw, "MW", 7.0 if real else None),
        Figure("peak_monthly_cut_low_mw", monthly.low, "MW"),
        Figure("peak_monthly_cut_high_mw", monthly.high, "MW"),
        Figure("peak_monthly_cut_limit_mw", limit.mean_monthly_cut_mw, "MW"),
        Figure("peak_monthly_cut_similar_days_mw", similar.mean_monthly_cut_mw, "MW"),
        Figure("peak_monthly_cut_blind_mw", blind.mean_monthly_cut_mw, "MW"),
        *_by_month(shaved),
        Figure("peak_deferred_eur_year", worth.value, "EUR/year"),
        Figure("peak_deferred_low_eur_year", worth.low, "EUR/year"),
        Figure("peak_discharged_mwh", shaved.throughput_mwh, "MWh"),
        *asyncio.run(_through_the_loop(site, model, known)),
    ]


def _by_month(season: Season) -> list[Figure]:
    return [Figure(f"peak_cut_{month.month:%Y_%m}_mw", month.cut_mw, "MW") for month in season.months]


async def _through_the_loop(site: Demand, model: RestOfDay, known: History) -> list[Figure]:
    """Live through the week of the annual peak in the real loop, and hold it against the quick way."""
    year = site.during(FIRST, UNTIL)
    top = site.local.day_of(site.local.start(FIRST) + int(year.argmax()) * site.step)
    first, until = top - timedelta(days=_LOOP_DAYS - 1), top + timedelta(days=1)
    battery, clock = Battery(), VirtualClock(site.local.start(first) - timedelta(hours=1))
    metered = MeteredSite("site", site.local, battery)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(root=Path(folder), ledger="memory://", checkpoint_every_s=86_400.0)
        decision = make_decision(metered, model, ask_above_eur=float(10**9))
        async with await Runtime.open([decision], settings=settings, clock=clock) as runtime:
            said = await replay(runtime, metered, known, first, until, clock=clock)
            worth = [worth for total in runtime.views.totals() if total.decision == NAME for worth in total.worth]
    quick = run(site, first, until, replanned(lambda at: model.outlook(known, at), TUNED), battery=battery)
    apart = max(one.net_mw for one in said) - max(month.net_mw for month in quick.months)
    return [
        Figure("peak_loop_apart_mw", abs(apart), "MW", 0.0, below=True),
        Figure("peak_loop_value_eur", float(worth[0].saving.amount), "EUR"),
    ]


def _site(history: History) -> tuple[Demand, RestOfDay, History]:
    """Return the scaled site, its model of the years before, and what it is asked with."""
    site = Demand.of(history, "load_mw", peak_mw=PEAK_MW, first=FIRST, until=UNTIL)
    known = replace(history, columns={"load_mw": site.load_mw, "temperature_c": history.columns["temperature_c"]})
    return site, RestOfDay.trained(known, until=FIRST), known


def _victoria(path: Path) -> History:
    source = Source(
        path=path,
        time_column="time_utc",
        zone=ZONE,
        load_column="load_mw",
        temperature_column="temperature_c",
    )
    return read_history(source)


def _made_up() -> History:
    """Return two years whose second is the one that is tested."""
    first = date(2013, 1, 1)
    return halved(synthetic_region(ZONE, first, (UNTIL - first).days))
