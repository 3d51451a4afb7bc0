"""Spain, the whole of 2018, through the real loop: how much of the best possible is captured, and how fast.

The peers run in the same call: the same linear program on training means by the clock, and on last week's prices.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, report

from steward.cases.grid.data.history import Source
from steward.cases.grid.dispatch.backtest import BacktestOptions, backtest
from steward.errors import NotFound

DATA = Path(__file__).parents[2] / "shared" / "data" / "es_load_price_2015_2018_hourly.csv.gz"
FIRST, UNTIL = date(2018, 1, 1), date(2019, 1, 1)


def main() -> None:
    """Run it; ``--quick`` tests two weeks only, with goals of the whole year left out."""
    if not DATA.is_file():
        raise NotFound(f"the real data is not here: {DATA}", fix="put the shared data folder beside the repository")
    quick = "--quick" in sys.argv
    source = Source(
        path=DATA,
        time_column="time_utc",
        zone="Europe/Madrid",
        price_column="price_day_ahead_eur_mwh",
        load_column="load_mw",
        known_day_ahead=("load_forecast_tso_mw", "wind_forecast_mw", "solar_forecast_mw"),
    )
    until = FIRST + timedelta(days=14) if quick else UNTIL
    result: dict[str, Any] = asyncio.run(
        backtest(BacktestOptions(source=source, train_until=FIRST, test_until=until, progress=_dots))
    )
    clock = result["clock_capture_pct"]
    figures = [
        Figure("wall_s", result["wall_s"], "s", 600.0, below=True),
        Figure("capture_pct", result["capture_pct"], "%", None if quick else max(81.0, clock)),
        Figure("clock_capture_pct", clock, "%"),
        Figure("naive_capture_pct", result["naive_capture_pct"], "%"),
        Figure("load_mape_pct", result["load_mape_pct"], "%", None if quick else 2.2, below=True),
        Figure("naive_load_mape_pct", result["naive_load_mape_pct"], "%"),
        Figure("price_mae_eur_mwh", result["price_mae_eur_mwh"], "EUR/MWh"),
        Figure("ledger_verified", float(result["ledger"]["verified"]), "1 = yes", 1.0),
    ]
    report("grid_backtest", figures, {"result": result})


def _dots(what: str, done: int, of: int) -> None:
    if done * 20 % of < 20:
        print(f"\r{what}: {100 * done // of} %  ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
