"""The worked cases that ship with Steward: the demo, and what a case brings along."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from steward.cli import grid
from steward.cli.grid import Keep, Known, Load, Price, Temperature, Time, Zone, duration, source_of
from steward.cli.session import examples
from steward.runtime.settings import Settings

if TYPE_CHECKING:
    from steward.console.console import Case
    from steward.runtime.project import AnyDecision

_GRID = "grid.battery-dispatch"
_TIMES_AN_HOUR_A_SECOND = 3600
_SLOWEST_PER_S = 1 / _TIMES_AN_HOUR_A_SECOND


class Played(StrEnum):
    """The worked cases that can be watched.

    Example:
        >>> Played.GRID.value
        'grid'
    """

    GRID = "grid"


class Where(StrEnum):
    """Where a simulated plant is: behind a protocol, or in the same process.

    Example:
        >>> Where.OPCUA.value
        'opcua'
    """

    OPCUA = "opcua"
    HERE = "here"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog=examples("steward demo", "steward demo --for 20s", "steward demo --case grid --speed 60x"))(demo)
    cases = typer.Typer(help="Run a worked case.", no_args_is_help=True, rich_markup_mode=None)
    grid.add_to(cases)
    app.add_typer(cases, name="case")


def cases_of(decisions: Iterable[AnyDecision]) -> list[Case]:
    """Return the pages of the worked cases whose decisions are among those that a project declares."""
    if all(decision.name != _GRID for decision in decisions):
        return []
    from steward.cases.grid.screen import page  # noqa: PLC0415 - needs the grid extra

    return [page.case()]


def demo(
    *,
    case: Annotated[Played, typer.Option(help="Which worked case.")] = Played.GRID,
    run_for: Annotated[str | None, typer.Option("--for", metavar="20s", help="End by itself after this time.")] = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="6", help="Hours of the region's time that pass in a second; 60x is 60 times as fast as clocks."
        ),
    ] = "6",
    plant: Annotated[
        Where | None, typer.Option(help="Where the plant is; at the far end of OPC UA if that is installed.")
    ] = None,
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
    # There is one case so far; whoever names it gets it, too.
    from steward.cases.grid.live import demo as live  # noqa: PLC0415 - needs the grid extra
    from steward.cli.running import announced  # noqa: PLC0415

    columns = (time_column, zone, price_column, load_column, temperature_column, known_day_ahead)
    place = folder or Path(mkdtemp(prefix="steward-demo-"))
    # The commands that the demo prints find its server by this.
    with announced(Settings(root=place.resolve(), host=host)) as announce:
        live.run(
            live.DemoOptions(
                run_for=None if run_for is None else duration(run_for),
                source=None if data is None else source_of(data, *columns),
                hours_per_s=hours_per_s(speed),
                by_wire=None if plant is None else plant is Where.OPCUA,
                folder=place,
                host=host,
                port=port,
                ready=announce,
            )
        )


def hours_per_s(text: str) -> float:
    """Return how many hours pass in a second, from that number or from ``60x``, sixty times as fast as clocks.

    Raises:
        BadParameter: It is no speed, or time would not pass.

    Example:
        >>> hours_per_s("6"), hours_per_s("3600x")
        (6.0, 1.0)
    """
    times = text.strip().removesuffix("x")
    try:
        speed = float(times) / (_TIMES_AN_HOUR_A_SECOND if times != text.strip() else 1)
    except ValueError:
        speed = math.nan
    if not _SLOWEST_PER_S <= speed < math.inf:
        raise typer.BadParameter(f"{text!r} is not a speed such as 6 (hours a second) or 60x, nor as fast as clocks")
    return speed
