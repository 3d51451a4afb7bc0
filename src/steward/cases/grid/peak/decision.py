"""The declared decision ``grid.peak-shaving``, in loop order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import numpy as np
from msgspec import Struct

from steward.cases.grid import streams
from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.peak.nearest_days import PAST, nearest_days
from steward.cases.grid.peak.rest_of_day import LOAD, TEMPERATURE, RestOfDay
from steward.cases.grid.peak.shaving import TUNED, Shaving, ShavingPlan, Standing
from steward.cases.grid.peak.site import HALF_HOUR, MeteredSite
from steward.cases.grid.peak.streams import MeteredDemand, ShavingDue
from steward.cases.grid.streams import HOLD, Setpoint
from steward.decision.action import Action, Call
from steward.decision.choice import Choice
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.fallback import Fallback
from steward.decision.feature import Feature, Features, hours, minutes
from steward.decision.gate import Gate, impact_above
from steward.decision.model import Pipeline
from steward.decision.risk import Risk
from steward.decision.schedule import Every, Missed
from steward.decision.stream import WindowFeature
from steward.records import Prediction, Receipt

NAME: Final = "grid.peak-shaving"
LOAD_SERIES: Final = "load_mw_past"
TEMPERATURE_SERIES: Final = "temperature_c_past"
EUR_PER_KW_YEAR: Final = 70.0
"""What a kilowatt of peak costs a year: about what Great Britain's capacity auction for 2028/29 paid (60 GBP)."""
_MONTHS = 12


class DayOutlook(Struct, frozen=True):
    """Quantiles of the load of each interval until the local day is over.

    Example:
        >>> DayOutlook((0.1, 0.9), ((488.0, 492.0), (494.0, 500.0))).load_mw[0]
        (488.0, 492.0)
    """

    levels: tuple[float, ...]
    load_mw: tuple[tuple[float, ...], ...]

    @property
    def quantiles(self) -> Quantiles:
        """The same, to reckon with."""
        return Quantiles(self.levels, np.array(self.load_mw))


# Features and skills: forecast the rest of the day, plan the battery


def interval_start(event: ShavingDue) -> str:
    """The interval decided for."""
    return event.at.isoformat()


def forecast_rest_of_day(features: Features) -> DayOutlook:
    """Forecast the load until midnight from what was metered until now."""
    local, at = LocalDays(features.text("zone")), _at(features)
    past = np.array(features.series(LOAD_SERIES), dtype=np.float64)
    return _outlook(nearest_days(past, at, local, step=features.number("hours") * HOUR))


def _going_on(model: RestOfDay) -> Callable[[Features], DayOutlook]:
    def forecast_rest_of_day_by_model(features: Features) -> DayOutlook:
        at, step = _at(features), features.number("hours") * HOUR
        columns = {LOAD: np.array(features.series(LOAD_SERIES), dtype=np.float64)}
        if model.has_temperature:
            columns[TEMPERATURE] = np.array(features.series(TEMPERATURE_SERIES), dtype=np.float64)
        return _outlook(model.outlook(History(model.local, at - PAST, step, columns), at))

    return forecast_rest_of_day_by_model


def _planning(rules: Shaving) -> Callable[[Features, DayOutlook], ShavingPlan]:
    def plan_shaving(features: Features, ahead: DayOutlook) -> ShavingPlan:
        return rules.plan(ahead.quantiles, _standing(features))

    return plan_shaving


# Policy, gate, economics


def follow_plan(features: Features, plan: Prediction[ShavingPlan]) -> Choice[Setpoint]:
    """Follow the plan of the interval, and say why."""
    power, next_mw, threshold = plan.value.power_mw, plan.value.next_mw, plan.value.threshold_mw
    if power > 0:
        reason = f"the load may reach {next_mw:.1f} MW, and {threshold:.1f} MW are to be held with {power:.2f} MW"
        short = next_mw - power - threshold > 0.001
        return Choice(Setpoint(power_mw=power), reasons=(reason,), rule="discharge-all" if short else "discharge")
    if power < 0:
        ceiling = plan.value.ceiling_mw
        reason = f"{-power:.2f} MW fit under {ceiling:.1f} MW, which is paid for or sure to come"
        return Choice(Setpoint(power_mw=power), reasons=(reason,), rule="charge")
    reason = f"the load may reach {next_mw:.1f} MW, where {threshold:.1f} MW are to be held; nothing to give or to take"
    return Choice(HOLD, reasons=(reason,), rule="hold")


def _at_stake(eur_per_mw_month: float) -> Callable[[Features, Prediction[ShavingPlan], Setpoint], float]:
    def new_peak_eur(features: Features, plan: Prediction[ShavingPlan], choice: Setpoint) -> float:
        """What the month's bill may grow by in this interval, beyond what is paid for or sure to come."""
        above = plan.value.next_mw - choice.power_mw - max(plan.value.ceiling_mw, features.number("paid_mw"))
        return round(max(above, 0.0) * eur_per_mw_month, 2)

    return new_peak_eur


def _worth(eur_per_mw_month: float) -> Economics[Setpoint, MeteredDemand]:
    """Charge each interval with what it adds to the month's peak, with the battery and without it.

    Over a month the differences add up to the cut of its peak times the price.
    """

    def bill_eur(features: Features, choice: Setpoint, outcome: MeteredDemand) -> float:
        return -max(outcome.net_mw - outcome.paid_mw, 0.0) * eur_per_mw_month

    def bill_without_battery_eur(features: Features, outcome: MeteredDemand) -> float:
        return -max(outcome.load_mw - outcome.unshaved_mw, 0.0) * eur_per_mw_month

    return Economics(
        outcome=MeteredDemand,
        key=("site", "at"),
        within=hours(2),
        value=bill_eur,
        baseline=bill_without_battery_eur,
        unit="EUR",
        per_month=1460,
    )


def make_decision(
    site: MeteredSite,
    model: RestOfDay | None = None,
    *,
    rules: Shaving = TUNED,
    eur_per_kw_year: float = EUR_PER_KW_YEAR,
    ask_above_eur: float = 25_000.0,
) -> Decision[ShavingDue, ShavingPlan, Setpoint]:
    """Declare the decision for a site.

    Args:
        site: Takes the set-points.
        model: Says how a day goes on; without one the days most like it do.
        rules: How they are found.
        eur_per_kw_year: What a kilowatt of the monthly peaks costs if it is there all year.
        ask_above_eur: A set-point that may let the month's bill grow by more needs a person.

    Example:
        >>> site = MeteredSite("vic", LocalDays("Australia/Melbourne"), Battery())
        >>> make_decision(site).predict.name
        'forecast_rest_of_day > plan_shaving'
    """
    eur_per_mw_month = eur_per_kw_year * 1000 / _MONTHS
    return Decision(
        name=NAME,
        owner="grid-operations",
        purpose="Keep the month's highest meter reading low with the battery, in the next half-hour",
        risk=Risk.HIGH,
        event=ShavingDue,
        features=(*_windows(model), *ROWS),
        predict=Pipeline(_going_on(model) if model else forecast_rest_of_day, _planning(rules)),
        policy=follow_plan,
        fallback=Fallback(otherwise=HOLD),
        gate=Gate(
            needed=impact_above(ask_above_eur),
            impact=_at_stake(eur_per_mw_month),
            approvers="grid-desk",
            within=minutes(5),
            # A peak is about to be made, and nobody looks: all the battery has is the safe side.
            otherwise=Setpoint(power_mw=site.battery.power_mw),
            escalate_to="duty-manager",
        ),
        action=_write_to(site),
        economics=_worth(eur_per_mw_month),
        # A half-hour that is over cannot be shaved any more.
        schedule=Every(site.interval, make=site.due, missed=Missed.SKIP),
    )


ROWS: tuple[Feature[ShavingDue], ...] = (
    *(Feature[ShavingDue](name) for name in ("site", "zone")),
    Feature(interval_start),
    *(
        Feature[ShavingDue](name)
        for name in ("hours", "paid_mw", "soc_mwh", "withdrawn_mwh", "power_limit_mw", "energy_limit_mwh",
                     "round_trip", "daily_withdrawal_limit_mwh")
    ),
)  # fmt: skip


def _write_to(site: MeteredSite) -> Action[Setpoint]:
    def write_setpoint(choice: Setpoint, call: Call) -> Receipt:
        return site.take(choice, at=_at(call.features), key=call.key)

    def restore_hold(choice: Setpoint, call: Call) -> Receipt:
        return site.forget(_at(call.features), key=call.undoes or call.key)

    def read_back(choice: Setpoint, call: Call) -> Receipt | None:
        return site.read_back(_at(call.features), key=call.key)

    return Action(do=write_setpoint, undo=restore_hold, verify=read_back, within=site.interval)


def _windows(model: RestOfDay | None) -> tuple[WindowFeature, ...]:
    load = streams.load.series("load_mw", over=PAST, step=HALF_HOUR, name=LOAD_SERIES)
    if model is None or not model.has_temperature:
        return (load,)
    return (load, streams.temperature.series("temperature_c", over=PAST, step=HALF_HOUR, name=TEMPERATURE_SERIES))


def _outlook(quantiles: Quantiles) -> DayOutlook:
    return DayOutlook(quantiles.levels, tuple(tuple(row) for row in quantiles.values.tolist()))


def _at(features: Features) -> datetime:
    return datetime.fromisoformat(features.text("interval_start"))


def _standing(features: Features) -> Standing:
    battery = Battery(
        power_mw=features.number("power_limit_mw"),
        energy_mwh=features.number("energy_limit_mwh"),
        round_trip=features.number("round_trip"),
        daily_withdrawal_mwh=features.number("daily_withdrawal_limit_mwh"),
    )
    state = State(soc_mwh=features.number("soc_mwh"), withdrawn_mwh=features.number("withdrawn_mwh"))
    return Standing(battery, state, features.number("paid_mw"), features.number("hours"))
