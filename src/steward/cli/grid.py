"""The grid case's commands: its backtest, and a plant that speaks."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steward.cli import output
from steward.cli.exits import Exit
from steward.cli.session import Json, examples
from steward.errors import ContractError, EngineError

if TYPE_CHECKING:
    from steward.cases.grid.data.history import Source

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
Time = Annotated[str, typer.Option("--time-column", help="The column with the start of each interval.")]
Zone = Annotated[str, typer.Option(help="The zone whose days the market trades; times without offset are in it.")]
Price = Annotated[str, typer.Option("--price-column", help="EUR/MWh, published a day ahead.")]
Load = Annotated[str | None, typer.Option("--load-column", help="MW; without it the price alone decides.")]
Temperature = Annotated[str | None, typer.Option("--temperature-column", help="Degrees Celsius.")]
Known = Annotated[list[str] | None, typer.Option("--known-day-ahead", help="A column that is known at noon before.")]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="A local day; it is the first not taken any more.")]
Keep = Annotated[Path | None, typer.Option(help="Keep ledger and models here; else they are thrown away.")]


Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="Listen there; 0 takes a free port.")]


def add_to(cases: typer.Typer) -> None:
    """Add the commands of this file to ``steward case``."""
    grid = typer.Typer(help="A regional utility with a battery.", no_args_is_help=True, rich_markup_mode=None)
    example = (
        "steward case grid backtest --data es.csv.gz --time-column time_utc --zone Europe/Madrid \\\n"
        "      --load-column load_mw --price-column price --train-until 2018-01-01 --test-until 2019-01-01 --json"
    )
    grid.command(epilog=examples(example))(backtest)
    plants = "steward case grid plant --mqtt 1883 --modbus 5020 --speed 3600"
    grid.command(epilog=examples("steward case grid plant", plants))(plant)
    told = "steward case grid report --data es.csv.gz --time-column time_utc --zone Europe/Madrid --price-column price"
    grid.command(epilog=examples("steward case grid report", f"{told} \\\n      --load-column load_mw"))(report)
    cases.add_typer(grid, name="grid")


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
                source=source_of(data, *columns),
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


def plant(
    *,
    folder: Annotated[Path, typer.Option(help="Where its certificates, keys and password are kept.")] = Path("plant"),
    opcua: Port = 4840,
    modbus: Port = None,
    mqtt: Port = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    speed: Annotated[float, typer.Option(min=0.1, help="How many seconds pass there in one of ours.")] = 60.0,
    feeders: Annotated[int, typer.Option(min=1, max=100, help="How many feeders it has.")] = 3,
    zone: Annotated[str, typer.Option(help="Whose clock its customers live by.")] = "Europe/Madrid",
    run_for: Annotated[str | None, typer.Option("--for", metavar="20s", help="End by itself after this time.")] = None,
    seed: Annotated[int, typer.Option(help="The same plant again for the same seed.")] = 7,
) -> None:
    """Let a simulated plant live: a battery, feeders, weather and a meter that speak OPC UA, Modbus and MQTT."""
    from steward.cases.grid.field import serve  # noqa: PLC0415 - needs the grid extra

    serve.run(
        serve.PlantOptions(
            folder=folder,
            zone=zone,
            feeders=feeders,
            host=host,
            opcua_port=opcua,
            modbus_port=modbus,
            mqtt_port=mqtt,
            speed=speed,
            run_for=None if run_for is None else duration(run_for),
            seed=seed,
        )
    )


def report(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the page is written.")] = Path("grid-report.html"),
    data: Annotated[Path | None, typer.Option(help="A file of a region's past; without one, a made-up region.")] = None,
    time_column: Time = "time_utc",
    zone: Zone = "UTC",
    price_column: Annotated[str, typer.Option(help="EUR/MWh; without it the battery is left out.")] = "",
    load_column: Load = None,
    temperature_column: Temperature = None,
    known_day_ahead: Known = None,
    first: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day that is run.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day after the last.")] = None,
    as_json: Json = False,
) -> None:
    """Run a region's past again and write what decisions would have brought, as one page for a manager."""
    from steward.cases.grid.report.document import document, figures  # noqa: PLC0415 - needs the grid extra
    from steward.cases.grid.report.study import StudyOptions, study  # noqa: PLC0415
    from steward.clock import SystemClock  # noqa: PLC0415

    if data is not None and not (price_column or load_column):
        raise ContractError("nothing is to be studied", fix="name --price-column, --load-column or both", field="data")
    columns = (time_column, zone, price_column, load_column, temperature_column, known_day_ahead)
    with output.stages() as advance:
        found = study(
            StudyOptions(
                source=None if data is None else source_of(data, *columns),
                first=None if first is None else first.date(),
                until=None if until is None else until.date(),
                progress=advance,
            )
        )
    page = document(found, made_at=SystemClock().now())
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise EngineError(f"{out} cannot be written", why=str(error), fix="name another file: --out FILE") from error
    for alert in found.alerts:
        output.say(f"Alert: {alert}")
    output.as_json(figures(found) | {"file": str(out)}) if as_json else output.line(str(out))


def source_of(path: Path, *columns: Any) -> Source:
    """Return what a file's columns mean, as the options say.

    Raises:
        ContractError: There is no such file.
    """
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
