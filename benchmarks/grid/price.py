"""Day-ahead prices of four markets: error, what a battery makes of them, the band; each beside limit and peers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
from benchmarks.report import Figure

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import Floats, History, Source, read_history
from steward.cases.grid.data.published_prices import MARKETS, PEERS
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.forecasting.price import PriceForecasts, forecast_prices
from steward.cases.grid.forecasting.training import Columns

DATA = Path(__file__).parents[3] / "shared" / "data"
MUST_CAPTURE_PCT = {"de": 84.0, "fr": 89.0, "be": 81.2}
"""What a plan by the clock captures."""
SPAIN = Columns("price_day_ahead_eur_mwh", ahead=("load_forecast_tso_mw", "wind_forecast_mw", "solar_forecast_mw"))


def figures(data: Path = DATA) -> list[Figure]:
    """Forecast the test years of Spain, Germany, France and Belgium; about three minutes."""
    return [*spain(data), *(figure for name in MARKETS for figure in published(name, data))]


def spain(data: Path = DATA) -> list[Figure]:
    """Forecast 2018; the naive forecast and the limits stand beside it."""
    source = Source(
        path=data / "es_load_price_2015_2018_hourly.csv.gz",
        time_column="time_utc",
        zone="Europe/Madrid",
        price_column=SPAIN.price,
        known_day_ahead=SPAIN.ahead,
    )
    history = read_history(source)
    made = forecast_prices(history, SPAIN, date(2018, 1, 1), date(2019, 1, 1))
    market = Market.of(history, SPAIN.price)
    naive = np.concatenate([np.abs(market.naive(day) - market.day(day)) for day in made.days])
    return [
        Figure("price_es_mae_eur_mwh", made.mae_eur_mwh, "EUR/MWh", 3.3, below=True),
        Figure("price_es_naive_mae_eur_mwh", float(naive.mean()), "EUR/MWh"),
        Figure("price_es_capture_pct", _capture_pct(history, made, market, made.point), "%", 81.0),
        *_band("es", made),
    ]


def published(name: str, data: Path = DATA) -> list[Figure]:
    """Forecast the published test years of a market; the published forecasts are planned with in the same way."""
    place = MARKETS[name]
    history = place.read(data)
    made = forecast_prices(history, Columns("price", ahead=place.ahead), place.first, place.until)
    market = Market.of(history, "price")
    rows = slice(
        history.index(history.local.start(made.days[0])), history.index(history.local.start(made.days[0])) + 24 * 728
    )
    peers = {peer: history.columns[peer][rows].reshape(-1, 24) for peer in PEERS}
    captured = {peer: _capture_pct(history, made, market, point) for peer, point in peers.items()}
    return [
        Figure(f"price_{name}_capture_pct", _capture_pct(history, made, market, made.point), "%", captured[PEERS[0]]),
        Figure(f"price_{name}_must_capture_pct", MUST_CAPTURE_PCT[name], "%"),
        *(Figure(f"price_{name}_{peer}_capture_pct", value, "%") for peer, value in captured.items()),
        Figure(f"price_{name}_mae_eur_mwh", made.mae_eur_mwh, "EUR/MWh"),
        *(
            Figure(f"price_{name}_{peer}_mae_eur_mwh", float(np.nanmean(np.abs(point - made.actual))), "EUR/MWh")
            for peer, point in peers.items()
        ),
        *_band(name, made),
    ]


def _capture_pct(history: History, made: PriceForecasts, market: Market, point: Floats) -> float:
    battery, days = Battery(), list(made.days)
    by_day = dict(zip(days, point, strict=True))
    earned = market.planned_eur(days, battery, lambda day: by_day[day][list(history.local.wall_hours(day))])
    return 100 * earned / market.limit_eur(days, battery)


def _band(name: str, made: PriceForecasts) -> list[Figure]:
    hours = 100 * made.covered(0.9)
    pinball = [
        band.pinball(actual) for band, actual in zip(made.bands, made.actual, strict=True) if np.isfinite(actual).all()
    ]
    return [
        Figure(f"price_{name}_band_off_90_points", abs(float(hours.mean()) - 90), "points", 2.0, below=True),
        Figure(f"price_{name}_band_worst_hour_off_90", float(np.abs(hours - 90).max()), "points", 2.0, below=True),
        Figure(f"price_{name}_pinball_eur_mwh", float(np.mean(pinball)), "EUR/MWh"),
    ]
