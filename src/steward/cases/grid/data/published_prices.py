"""Published day-ahead prices of Germany, France and Belgium, with the published forecasts that are our peers.

Their clock was flattened before publication: every day has 24 rows, the hour that spring takes is filled, the one
that autumn repeats is averaged. Read in the market's own zone, one day a year would have 23 hours and one 25, and no
plan of that day could be compared with anybody's. So these days are read by a clock that never changes.

Source: Lago, Marcjasz, De Schutter, Weron, Applied Energy 293 (2021) 116983.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.data.local_days import LocalDays

PEERS: Final = ("fc_dnn_ensemble", "fc_lear_ensemble")
"""Published forecasts, in the test years only: compared with, never an input."""


@dataclass(frozen=True)
class DaysOf24(LocalDays):
    """Days of 24 hours, by a clock that never changes, with the public holidays of a country.

    Args:
        zone: A zone without summer time.
        holidays: The ISO 3166 code of the country.

    Example:
        >>> days = DaysOf24("Etc/GMT-1", "FR")
        >>> days.hours(date(2016, 3, 27)), days.hours(date(2016, 10, 30)), days.country
        (24, 24, 'FR')
    """

    holidays: str = ""

    @property
    def country(self) -> str | None:
        """Whose holidays count."""
        return self.holidays or None


@dataclass(frozen=True)
class PublishedMarket:
    """One market's file.

    Attributes:
        country: Whose holidays count; its file is ``epf_<country>_hourly.csv.gz``.
        first: The first day of the published test years.
        until: The day after their last.
        ahead: Columns that were published a day ahead.

    Example:
        >>> (MARKETS["de"].until - MARKETS["de"].first).days
        728
    """

    country: str
    first: date
    until: date
    ahead: tuple[str, ...]

    def read(self, folder: Path) -> History:
        """Read its file: prices, what was published a day ahead, and the peers' forecasts.

        Raises:
            ContractError: The file is not there or cannot be read.
        """
        source = Source(
            path=folder / f"epf_{self.country.lower()}_hourly.csv.gz",
            time_column="time_local",
            zone="Etc/GMT-1",
            price_column="price",
            known_day_ahead=(*self.ahead, *PEERS),
        )
        return replace(read_history(source), local=DaysOf24("Etc/GMT-1", self.country))


MARKETS: Final[Mapping[str, PublishedMarket]] = {
    "de": PublishedMarket(
        "DE", date(2016, 1, 4), date(2018, 1, 1), ("load_forecast_amprion_mw", "pv_wind_forecast_mw")
    ),
    "fr": PublishedMarket("FR", date(2015, 1, 4), date(2017, 1, 1), ("generation_forecast_mw", "load_forecast_mw")),
    "be": PublishedMarket(
        "BE", date(2015, 1, 4), date(2017, 1, 1), ("generation_forecast_fr_mw", "load_forecast_fr_mw")
    ),
}
