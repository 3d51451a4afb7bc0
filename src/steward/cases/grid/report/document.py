"""The report as one HTML file: pictures, tables and words, with nothing loaded from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from datetime import date, datetime
from functools import partial
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from steward.cases.grid.dispatch.comparison import KNOWN_DAY, LIMIT
from steward.cases.grid.peak.decision import EUR_PER_KW_YEAR
from steward.cases.grid.report import pictures
from steward.cases.grid.report.study import OURS, PEAK_MW, Study
from steward.console.charts.drawing import chart
from steward.console.zones import Zone

_CONSOLE: Final = files("steward.console")
_STYLES: Final = (
    ("static", "css", "10-theme.css"),
    ("static", "css", "40-charts.css"),
    ("templates", "reports", "print.css"),
)


def document(study: Study, *, made_at: datetime) -> str:
    """Return the report.

    Args:
        study: What it tells.
        made_at: When it is made.
    """
    style = "\n".join(_CONSOLE.joinpath(*path).read_text("utf-8") for path in _STYLES)
    style = style[: style.index("@font-face")] + style[style.index(":root") :]  # nothing is loaded, no font either
    own = b64encode(sha256(style.encode()).digest()).decode()
    pages = Environment(
        loader=PackageLoader("steward.cases.grid", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    zone = Zone("site", study.history.local.zone)
    return pages.get_template("reports/grid.html").render(
        study=study,
        days=(study.until - study.first).days,
        made_at=made_at,
        style=Markup(style),  # noqa: S704 - files of ours
        policy=f"default-src 'none'; style-src 'sha256-{own}'; base-uri 'none'; form-action 'none'",
        draw=partial(chart, zone=zone),
        pictures=pictures,
        deferred_eur=None if study.peaks is None else deferred_eur_per_year(study),
        eur_per_kw_year=EUR_PER_KW_YEAR,
        peak_mw=PEAK_MW,
        OURS=OURS,
        LIMIT=LIMIT,
        KNOWN_DAY=KNOWN_DAY,
        date=date,
    )


def deferred_eur_per_year(study: Study) -> float:
    """Return what the cut of the annual peak is worth in a year: capacity that need not be built."""
    return 0.0 if study.peaks is None else study.peaks[0].cut_mw * 1000 * EUR_PER_KW_YEAR


def figures(study: Study) -> dict[str, Any]:
    """Return the report's numbers as plain data, each with the limit beside it."""
    found: dict[str, Any] = {
        "data": study.about,
        "alerts": list(study.alerts),
        "first": study.first.isoformat(),
        "until": study.until.isoformat(),
    }
    if study.loads is not None:
        found["load_mape_pct"] = round(study.loads.mape_pct(study.first, study.until), 3)
    if study.storage is not None:
        found["price_mae_eur_mwh"] = round(study.storage.forecasts.mae_eur_mwh, 3)
        found["ways"] = [
            {
                "name": each.name,
                "eur": round(each.eur, 2),
                "eur_per_mw_year": [round(getattr(each.eur_per_mw_year, end), 2) for end in ("value", "low", "high")],
                "capture_pct": None if each.capture_pct is None else round(each.capture_pct.value, 2),
                "cycles": round(each.cycles, 1),
            }
            for each in study.storage.comparison.standings
        ]
    if study.peaks is not None:
        run, limit = study.peaks
        found["peak_cut_mw"] = [round(run.cut_mw, 3), round(limit.cut_mw, 3)]
        found["mean_monthly_cut_mw"] = [round(run.mean_monthly_cut_mw, 3), round(limit.mean_monthly_cut_mw, 3)]
        found["deferred_eur_per_year"] = round(deferred_eur_per_year(study), 2)
    if study.calls is not None:
        found["calls"] = {"called": len(study.calls.days), "hit": study.calls.hits, "highest": len(study.calls.highest)}
    return found
