"""``steward case grid backtest``: the declared decision over real history, hour by hour, through the real loop."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from steward.cases.grid.battery import Battery
from steward.cases.grid.data import quality
from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.ranking import MERIT, SHAPE
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.scoring import Scores, score
from steward.cases.grid.dispatch.simulation import Answer, Simulation, open_runtime, settings_in
from steward.cases.grid.dispatch.skills import plan_battery, ranked_plan
from steward.cases.grid.forecasting.training import LOAD, PRICE, Columns, Recipe, columns_of, train
from steward.clock import SystemClock, VirtualClock
from steward.entries import Failed, decode_body
from steward.errors import ContractError, EngineError
from steward.ledger.verify import verify_store
from steward.models.registry import FolderRegistry
from steward.runtime.engines import ledger_file
from steward.runtime.runtime import Runtime

Progress = Callable[[str, int, int], object]
"""Told what is going on, how much of it is done, and of how much."""
BATTERY = Battery(hurdle_eur_mwh=1.0)
"""The reference protocol's battery, with the hurdle that served best in the years before the test years."""
_APPROVER = Answer(agrees=True, by="backtest", reason="the backtest's declared approver agrees at once")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class BacktestOptions:
    """What ``steward case grid backtest`` takes.

    Args:
        source: The file and the meaning of its columns.
        train_until: First local day that is not trained on, and first that is tested.
        test_until: First local day that is not tested any more.
        battery: Its limits; the reference protocol's by default, with a small hurdle for its own plans.
        approve_above_eur: An hour with more money at stake asks the (simulated) grid desk.
        folder: Where ledger and models are kept; a temporary folder by default.
        site: The key of all events.
        seed: Of ids.
        recipes: How the models are trained; the load model is left out where there is no load. With shape and merit
            the hours are ranked before the plan is made.
        progress: Told how far it is.
        say: Told what a person should see while it runs; standard error by default.

    Example:
        >>> source = Source(path=Path("es.csv.gz"), time_column="time_utc", zone="Europe/Madrid", price_column="eur")
        >>> BacktestOptions(source=source, train_until=date(2018, 1, 1), test_until=date(2019, 1, 1)).battery.power_mw
        10.0
    """

    source: Source
    train_until: date
    test_until: date
    battery: Battery = BATTERY
    approve_above_eur: float = 750.0
    folder: Path | None = None
    site: str = "region"
    seed: int = 0
    recipes: tuple[Recipe, ...] = (LOAD, PRICE, SHAPE, MERIT)
    progress: Progress = lambda what, done, of: None
    say: Callable[[str], object] = _to_stderr


def run(options: BacktestOptions) -> dict[str, object]:
    """Run a backtest and return its result as plain data, ready for JSON; see ``docs/cases/grid.md`` for every key.

    Raises:
        ContractError: The file, its columns or the dates cannot be used.
        EngineError: An extra is not installed.
    """
    return asyncio.run(backtest(options))


async def backtest(options: BacktestOptions) -> dict[str, object]:
    """Run a backtest inside a running event loop; as :func:`run`."""
    clock = SystemClock()
    started = clock.now()
    raw = read_history(options.source)
    found = quality.check(raw, options.source)
    for one in found:
        options.say(f"{one.level}: {one.code}: {one.message}")
    history = raw.hourly()
    columns = columns_of(options.source)
    days = _test_days(history, options)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-grid-")))
        models = _train(options, history, columns, folder)
        scores, asked = await _replay(options, history, columns, days, folder)
        size, verified = _verified(folder)
    market = Market.of(history, columns.price)
    return {
        "decisions": scores.decisions,
        **_figures(options, market, days, scores),
        "asked": asked,
        "wall_s": round((clock.now() - started).total_seconds(), 1),
        "ledger": {"size": size, "verified": verified},
        "alerts": [asdict(one) for one in found if one.level == "alert"],
        "notes": [asdict(one) for one in found if one.level == "note"],
        "details": scores.details,
        "models": models,
        "protocol": _protocol(options, days),
    }


def _test_days(history: History, options: BacktestOptions) -> Sequence[date]:
    days = history.days(options.train_until, options.test_until)
    if not days:
        raise ContractError(
            f"the file has no whole local day from {options.train_until} to before {options.test_until}",
            why=f"it reaches from {history.start.isoformat()} to {history.end.isoformat()}",
            fix="choose --train-until and --test-until inside it",
            field="test-until",
        )
    return days


def _train(options: BacktestOptions, history: History, columns: Columns, folder: Path) -> dict[str, object]:
    settings, clock = settings_in(folder), SystemClock()
    registry = FolderRegistry(settings.path(settings.registry))
    recipes = [recipe for recipe in options.recipes if columns.truth(recipe) is not None]
    made: dict[str, object] = {}
    for number, recipe in enumerate(recipes):
        options.progress(f"train {recipe.name}", number, len(recipes))
        model = train(recipe, history, columns, until=options.train_until, registry=registry, clock=clock)
        made[recipe.name] = {"version": model.version, "digest": model.digest, "inputs": len(model.manifest.inputs)}
    return made


async def _replay(
    options: BacktestOptions, history: History, columns: Columns, days: Sequence[date], folder: Path
) -> tuple[Scores, int]:
    local = history.local
    first, end = local.start(days[0]), local.start(days[-1] + timedelta(days=1))
    clock = VirtualClock(first - HOUR, seed=options.seed)
    plant = SimulatedPlant(options.site, local, options.battery)
    plan = ranked_plan(columns.ahead) if _ranks(options) else plan_battery
    runtime = await open_runtime(folder, plant, columns, clock, approve_above_eur=options.approve_above_eur, plan=plan)
    async with runtime:
        feed, market = Feed(options.site, history, columns), Market.of(history, columns.price)
        simulation = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
        await simulation.warm_up()
        hours, asked = (end - first) // HOUR, 0
        for number in range(hours):
            options.progress("backtest", number, hours)
            at = first + number * HOUR
            await simulation.begin(at)
            asked += await simulation.answer_all(_APPROVER)
            simulation.end(at)
        await simulation.finish(end)
        scores = await score(runtime, history, columns)
        if scores.decisions < hours:
            raise await _incomplete(runtime, hours - scores.decisions, hours)
        return scores, asked


def _ranks(options: BacktestOptions) -> bool:
    return {SHAPE.name, MERIT.name} <= {recipe.name for recipe in options.recipes}


async def _incomplete(runtime: Runtime, missing: int, hours: int) -> EngineError:
    failed = await runtime.ledger.read(0, 1, kind="failed")
    body = decode_body(failed[0].body) if failed else None
    return EngineError(
        f"{missing} of {hours} hours were not decided, so that no figure would be right",
        why=body.reason if isinstance(body, Failed) else "",
        code="backtest-incomplete",
    )


def _verified(folder: Path) -> tuple[int, bool]:
    report = verify_store(ledger_file(settings_in(folder)))
    return report.entries, report.ok


def _figures(options: BacktestOptions, market: Market, days: Sequence[date], scores: Scores) -> dict[str, object]:
    plain = replace(options.battery, hurdle_eur_mwh=0.0)  # the hurdle is a part of our plans, not of the yardsticks
    limit = market.limit_eur(days, plain)
    clock = market.planned_eur(days, plain, market.by_the_clock(options.train_until))
    naive = market.planned_eur(days, plain, market.naive)

    def share(earned: float) -> float | None:
        return round(100 * earned / limit, 2) if limit > 0 else None

    return {
        "load_mape_pct": scores.load_mape_pct,
        "naive_load_mape_pct": scores.naive_load_mape_pct,
        "price_mae_eur_mwh": scores.price_mae_eur_mwh,
        "value_eur": scores.value_eur,
        "limit_eur": round(limit, 2),
        "capture_pct": share(scores.value_eur),
        "clock_eur": round(clock, 2),
        "clock_capture_pct": share(clock),
        "naive_eur": round(naive, 2),
        "naive_capture_pct": share(naive),
    }


def _protocol(options: BacktestOptions, days: Sequence[date]) -> dict[str, object]:
    source = options.source
    return {
        "file": source.path.name,
        "zone": source.zone,
        "columns": {
            "price": source.price_column,
            "load": source.load_column,
            "temperature": source.temperature_column,
            "known_day_ahead": list(source.known_day_ahead),
        },
        "trained_before": options.train_until.isoformat(),
        "tested": {"first": days[0].isoformat(), "last": days[-1].isoformat(), "days": len(days)},
        "battery": asdict(options.battery),
        "plan": "each local day, fixed at noon of the day before; no price of the day, load until that noon",
        "settlement": "true prices less wear, price taker, no fees, store carried over, starts empty, final state free",
        "approver": f"asked above {options.approve_above_eur:g} EUR an hour; agrees at once, by 'backtest'",
        "baseline": "no battery: 0 EUR",
    }
