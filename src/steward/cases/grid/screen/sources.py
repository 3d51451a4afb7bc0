"""What a saving is made of: the spread between dear and cheap hours, less what is lost on the way, less wear."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from steward.cases.grid.screen.recorded import Hour


class Sources(Struct, frozen=True, kw_only=True):
    """The parts of what metered hours saved against no battery; together they are the whole.

    Attributes:
        bought_mwh: Drawn from the grid.
        bought_eur: What that cost.
        sold_mwh: Fed into it.
        sold_eur: What that brought.
        wear_eur: What the energy that passed the meter costs in lifetime.

    Example:
        >>> day = Sources(bought_mwh=40.0, bought_eur=1200.0, sold_mwh=36.0, sold_eur=3240.0, wear_eur=152.0)
        >>> day.spread_eur, day.lost_eur, day.total_eur
        (2160.0, 120.0, 1888.0)
    """

    bought_mwh: float = 0.0
    bought_eur: float = 0.0
    sold_mwh: float = 0.0
    sold_eur: float = 0.0
    wear_eur: float = 0.0

    @property
    def mean_bought_eur_mwh(self) -> float:
        """The mean price of what was bought; 0 if nothing was."""
        return self.bought_eur / self.bought_mwh if self.bought_mwh else 0.0

    @property
    def spread_eur(self) -> float:
        """What the energy that was sold brought more than it had cost on average."""
        return round(self.sold_eur - self.sold_mwh * self.mean_bought_eur_mwh, 2)

    @property
    def lost_eur(self) -> float:
        """What was paid for energy that was lost on the way, or is still in the store."""
        return round((self.bought_mwh - self.sold_mwh) * self.mean_bought_eur_mwh, 2)

    @property
    def total_eur(self) -> float:
        """What was saved."""
        return round(self.sold_eur - self.bought_eur - self.wear_eur, 2)


def sources_of(hours: Iterable[Hour]) -> Sources:
    """Return what metered hours are made of."""
    bought_mwh = bought_eur = sold_mwh = sold_eur = wear_eur = 0.0
    for hour in hours:
        energy, price = hour.metered_mwh or 0.0, hour.price_eur_mwh or 0.0
        if energy < 0:
            bought_mwh, bought_eur = bought_mwh - energy, bought_eur - energy * price
        else:
            sold_mwh, sold_eur = sold_mwh + energy, sold_eur + energy * price
        wear_eur += hour.battery.wear_eur_mwh * abs(energy)
    return Sources(
        bought_mwh=bought_mwh, bought_eur=bought_eur, sold_mwh=sold_mwh, sold_eur=sold_eur, wear_eur=wear_eur
    )
