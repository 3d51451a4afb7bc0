"""What a batch came to: the distribution of savings, the worst years, and a table of all paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from steward.cases.grid.scenarios.path import PathResult

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_WORST = 10
_YEAR_DAYS = 365.0


def distribution(results: Sequence[PathResult], *, power_mw: float, days: int) -> dict[str, object]:
    """Return quantiles in EUR per MW-year, of savings against nobody, the clock and naive plans, and the worst years.

    Args:
        results: Of at least one path.
        power_mw: The battery's.
        days: The days of a path.

    Example:
        >>> path = PathResult(number=0, decisions=8760, value_eur=400_000.0, limit_eur=500_000.0, clock_eur=350_000.0,
        ...                   naive_eur=360_000.0, mean_price_eur_mwh=57.0, cycles=330.0)
        >>> found = distribution([path], power_mw=10.0, days=365)
        >>> found["saved_eur_mw_year"]["p50"], found["saved_against_clock_eur_mw_year"]["p50"]
        (40000.0, 5000.0)
    """
    a_year = _YEAR_DAYS / (power_mw * days)
    in_order = sorted(results, key=lambda path: path.number)

    def spread(value: Callable[[PathResult], float]) -> dict[str, float]:
        values = np.array([value(path) for path in in_order])
        levels = {f"p{round(100 * level):02d}": round(float(np.quantile(values, level)), 2) for level in LEVELS}
        return {"mean": round(float(values.mean()), 2), **levels, "share_below_0_pct": _below_0(values)}

    worst = sorted(in_order, key=lambda path: (path.value_eur, path.number))[:_WORST]
    return {
        "paths": len(in_order),
        "decisions": sum(path.decisions for path in in_order),
        "saved_eur_mw_year": spread(lambda path: path.value_eur * a_year),
        "saved_against_clock_eur_mw_year": spread(lambda path: (path.value_eur - path.clock_eur) * a_year),
        "saved_against_naive_eur_mw_year": spread(lambda path: (path.value_eur - path.naive_eur) * a_year),
        "limit_eur_mw_year": spread(lambda path: path.limit_eur * a_year),
        "capture_pct": spread(lambda path: path.capture_pct),
        "worst_years": [_shown(path, a_year) for path in worst],
    }


def export(results: Sequence[PathResult], file: Path) -> None:
    """Write a table with a row for each path, as Parquet or, by the name's ending, CSV."""
    import polars as pl  # noqa: PLC0415 - heavy

    rows = [msgspec.to_builtins(path) for path in sorted(results, key=lambda path: path.number)]
    table = pl.DataFrame(rows)
    if file.suffix == ".csv":
        table.write_csv(file)
    else:
        table.write_parquet(file)


def _below_0(values: np.typing.NDArray[np.float64]) -> float:
    return round(100 * float((values < 0).mean()), 2)


def _shown(path: PathResult, a_year: float) -> dict[str, float]:
    return {
        "path": path.number,
        "saved_eur_mw_year": round(path.value_eur * a_year, 2),
        "limit_eur_mw_year": round(path.limit_eur * a_year, 2),
        "capture_pct": path.capture_pct,
        "mean_price_eur_mwh": path.mean_price_eur_mwh,
    }
