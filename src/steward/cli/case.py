"""The worked cases that ship with Steward: the demo and the grid's backtest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.session import Json, examples
from steward.errors import ContractError
from steward.runtime.settings import Settings

if TYPE_CHECKING:
    from steward.cases.grid.data.history import Source
    from steward.console.console import Case
    from steward.runtime.project import AnyDecision

_GRID = "grid.battery-dispatch"
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
Time = Annotated[str, typer.Option("--time-column", help="The column with the start of each interval.")]
Zone = Annotated[str, typer.Option(help="The zone whose days the market trades; times without offset are in it.")]
Price = Annotated[str, typer.Option("--price-column", help="EUR/MWh, published a day ahead.")]
Load = Annotated[str | None, typer.Option("--load-column", help="MW; without it the price alone decides.")]
Temperature = Annotated[str | None, typer.Option("--temperature-column", help="Degrees Celsius.")]
Known = Annotated[list[str] | None, typer.Option("--known-day-ahead", help="A column that is known at noon before.")]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="A local day; it is the first not taken any more.")]
Keep = Annotated[Path | None, typer.Option(help="Keep ledger and models here; else they are thrown away.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog=examples("steward demo", "steward demo --for 20s", "steward demo --for 1m --speed 24"))(demo)
    cases = typer.Typer(help="Run a worked case.", no_args_is_help=True, rich_markup_mode=None)
    grid = typer.Typer(help="A regional utility with a battery.", no_args_is_help=True, rich_markup_mode=None)
    example = (
        "steward case grid backtest --data es.csv.gz --time-column time_utc --zone Europe/Madrid \\\n"
        "      --load-column load_mw --price-column price --train-until 2018-01-01 --test-until 2019-01-01 --json"
    )
    grid.command(epilog=examples(example))(backtest)
    cases.add_typer(grid, name="grid")
    app.add_typer(cases, name="case")


def cases_of(decisions: Iterable[AnyDecision]) -> list[Case]:
    """Return the pages of the worked cases whose decisions are among those that a project declares."""
    if all(decision.name != _GRID for decision in decisions):
        return []
    from steward.cases.grid.screen import page  # noqa: PLC0415 - needs the grid extra

    return [page.case()]


def duration(text: str) -> timedelta:
    """Return what ``20s``, ``1.5m`` or ``2h`` stands for.

    Raises:
        BadParameter: It is no duration.

    Example:
        >>> duration("1.5m")
        datetime.timedelta(seconds=90)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 20s, 1.5m or 2h")
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2] or "s"])


def demo(
    *,
    run_for: Annotated[str | None, typer.Option("--for", metavar="20s", help="End by itself after this time.")] = None,
    speed: Annotated[float, typer.Option(min=0.1, help="Hours of the region's time that pass in a second.")] = 6.0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; a free one if it is taken.")] = 8700,
    folder: Keep = None,
    data: Annotated[Path | None, typer.Option(help="Play this file instead of a synthetic region.")] = None,
    time_column: Time = "time_utc",
    zone: Zone = "UTC",
    price_column: Price = "price",
    load_column: Load = None,
    temperature_column: Temperature = None,
    known_day_ahead: Known = None,
) -> None:
    """Watch a battery being dispatched at high speed: decisions, an approval, outcomes, savings."""
    from steward.cases.grid.live import demo as grid  # noqa: PLC0415 - needs the grid extra
    from steward.cli.running import announced  # noqa: PLC0415

    columns = (time_column, zone, price_column, load_column, temperature_column, known_day_ahead)
    place = folder or Path(mkdtemp(prefix="steward-demo-"))
    # The commands that the demo prints find its server by this.
    with announced(Settings(root=place.resolve(), host=host)) as announce:
        grid.run(
            grid.DemoOptions(
                run_for=None if run_for is None else duration(run_for),
                source=None if data is None else _source(data, *columns),
                hours_per_s=speed,
                folder=place,
                host=host,
                port=port,
                ready=announce,
            )
        )


def backtest(
    *,
    data: Annotated[Path, typer.Option(help="CSV, CSV.gz or Parquet with one row an interval.")],
    time_column: Time,
    zone: Zone,
    price_column: Price,
    train_until: Day,
    test_until: Day,
    load_column: Load = None,
    temperature_column: Temperature = None,
    known_day_ahead: Known = None,
    approve_above: Annotated[float, typer.Option(min=0, help="EUR at stake above which a person is asked.")] = 750.0,
    folder: Keep = None,
    as_json: Json = False,
) -> None:
    """Run the battery's decision over real history, hour by hour, with nothing known before its time."""
    from steward.cases.grid.dispatch import backtest as grid  # noqa: PLC0415 - needs the grid extra

    columns = (time_column, zone, price_column, load_column, temperature_column, known_day_ahead)
    with output.stages() as advance:
        result = grid.run(
            grid.BacktestOptions(
                source=_source(data, *columns),
                train_until=train_until.date(),
                test_until=test_until.date(),
                approve_above_eur=approve_above,
                folder=folder,
                progress=advance,
                say=output.say,
            )
        )
    output.as_json(result) if as_json else _tell(result)
    ledger = result["ledger"]
    if isinstance(ledger, dict) and not ledger["verified"]:
        output.say("The ledger does not verify, so no figure can be trusted. Next: --folder DIR, then steward verify")
        raise typer.Exit(int(Exit.NOT_VERIFIED))


def _source(path: Path, *columns: Any) -> Source:
    from steward.cases.grid.data.history import Source  # noqa: PLC0415 - as above

    if not path.is_file():
        raise ContractError(f"there is no file {path}", fix="name a CSV, CSV.gz or Parquet file", field="data")
    time_column, zone, price, load, temperature, known = columns
    return Source(
        path=path,
        time_column=time_column,
        zone=zone,
        price_column=price,
        load_column=load,
        temperature_column=temperature,
        known_day_ahead=tuple(known or ()),
    )


def _tell(result: dict[str, object]) -> None:
    figures = [(name, f"{value:,}") for name, value in result.items() if isinstance(value, int | float)]
    output.table(("figure", "value"), figures, right=("value",))
    output.say("All of it, with its protocol: --json")
