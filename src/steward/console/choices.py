"""Choices and named values in the words of people: what is chosen, with its units, and who did it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from steward.console.words import plain, title

_SYSTEM: Final = "system"
_UNITS: Final[Mapping[str, str]] = {
    "eur_mwh": "EUR/MWh",
    "mwh": "MWh",
    "kwh": "kWh",
    "mw": "MW",
    "kw": "kW",
    "eur": "EUR",
    "usd": "USD",
    "min": "min",
    "s": "s",
    "ms": "ms",
    "km": "km",
    "kg": "kg",
    "c": "°C",
}
"""How the units at the end of names are written."""


def named(name: str) -> tuple[str, str]:
    """Return what a name with a unit at its end means: the thing and the unit.

    Example:
        >>> named("power_mw"), named("price_eur_mwh"), named("region")
        (('Power', 'MW'), ('Price', 'EUR/MWh'), ('Region', ''))
    """
    for ending, unit in _UNITS.items():
        if name.endswith(f"_{ending}"):
            return title(name.removesuffix(f"_{ending}")), unit
    return title(name), ""


def measured(name: str, value: object) -> str:
    r"""Return a named value with the unit that its name ends with.

    Example:
        >>> measured("power_mw", -9.5), measured("region", "ES"), measured("power_mw", None)
        ('−9.5\xa0MW', 'ES', '–')
    """
    unit = named(name)[1] if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"{plain(value)}\N{NO-BREAK SPACE}{unit}" if unit else plain(value)


def chosen(choice: object, rule: object = UNSET) -> str:
    r"""Return a choice as people say it; of one with several parts, the policy's rule says what it is.

    Example:
        >>> chosen("discharge"), chosen(True), chosen({"power_mw": 9.5}, "discharge")
        ('Discharge', 'Yes', 'Discharge: power 9.5\xa0MW')
        >>> chosen({"pay": False, "amount_eur": 0.0})
        'Pay no, amount 0\xa0EUR'
    """
    if isinstance(choice, Mapping):
        parts = [f"{named(str(name))[0].lower()} {measured(str(name), value)}" for name, value in choice.items()]
        text = ", ".join(parts)
        if isinstance(rule, str):
            return f"{title(rule)}: {text}"
        return text[:1].upper() + text[1:]
    text = plain(choice)
    return title(text) if isinstance(choice, str) and re.fullmatch(r"[a-z_-]+", text) else text[:1].upper() + text[1:]


def by(who: str) -> str:
    """Return who did something, for people.

    Example:
        >>> by("system"), by("ana")
        ('Steward', 'ana')
    """
    return "Steward" if who == _SYSTEM else who
