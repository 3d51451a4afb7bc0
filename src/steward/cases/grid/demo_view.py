"""How the demo looks: a live screen on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self
from zoneinfo import ZoneInfo

from steward.cases.grid.demo_state import DemoState, Question, Standing

if TYPE_CHECKING:
    from rich.console import RenderableType


class View(Protocol):
    """What the demo tells, and to whom."""

    def tell(self, text: str) -> None:
        """Say one thing that happened."""
        ...

    def refresh(self, state: DemoState) -> None:
        """Show the state as it is now."""
        ...

    def __enter__(self) -> Self:
        """Take the screen."""
        ...

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        ...


def how_to_answer(state: DemoState, question: Question) -> tuple[str, str]:
    """Return the commands that answer a question: by the command line and by HTTP."""
    run_id = question.row.decision_id
    by_cli = f"steward -C {state.folder} approve {run_id} --reason 'I looked'"
    body = """'{"by": "you", "reason": "I looked"}'"""
    by_http = f"curl {state.url}/v1/approvals/{run_id}/approve -H 'Content-Type: application/json' -d {body}"
    return by_cli, by_http


def otherwise(question: Question) -> str:
    """Return in words what is done if nobody answers."""
    declared = question.row.otherwise
    power_mw = float(declared["power_mw"]) if isinstance(declared, dict) else 0.0
    return "hold" if power_mw == 0 else f"{power_mw:+.2f} MW"


class PlainView:
    """Writes lines to standard output.

    Example:
        >>> with PlainView() as view:
        ...     view.tell("one line")
        one line
    """

    def __init__(self) -> None:
        self._question: object = None
        self._days = 0

    def tell(self, text: str) -> None:
        """Write one line."""
        print(text, flush=True)

    def refresh(self, state: DemoState) -> None:
        """Write what is new: a question with its countdown, and the standing after each day."""
        question = state.question
        if question is not None and question.row.decision_id != self._question:
            self._question = question.row.decision_id
            by_cli, by_http = how_to_answer(state, question)
            self.tell(f"  ? {question.left_real_s:.0f} s to answer; if nobody does: {otherwise(question)}")
            self.tell(f"      {by_cli}\n      {by_http}")
        if state.standing is not None and state.standing.days != self._days:
            self._days = state.standing.days
            self.tell("  # " + in_words(state.standing))

    def __enter__(self) -> Self:
        """Nothing is to be taken."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is to be given back."""


def in_words(standing: Standing) -> str:
    """Return a standing as one sentence.

    Example:
        >>> in_words(Standing(days=2, saved_eur=900.0, clock_eur=800.0, limit_eur=1000.0))
        'after 2 days: saved 900 EUR against no battery; by the clock 800, best possible 1,000: 90 % captured'
    """
    days = "1 day" if standing.days == 1 else f"{standing.days} days"
    share = f"{100 * standing.saved_eur / standing.limit_eur:.0f} % captured" if standing.limit_eur > 0 else "no spread"
    return (
        f"after {days}: saved {standing.saved_eur:,.0f} EUR against no battery; "
        f"by the clock {standing.clock_eur:,.0f}, best possible {standing.limit_eur:,.0f}: {share}"
    )


class LiveView:
    """Draws on a terminal with Rich.

    Example:
        >>> LiveView().tell("nothing: it is on the screen")
    """

    def __init__(self) -> None:
        from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

        self._live = Live(refresh_per_second=8, screen=False, transient=True)

    def tell(self, text: str) -> None:
        """Nothing: what happened is on the screen."""

    def refresh(self, state: DemoState) -> None:
        """Draw the state."""
        self._live.update(_screen(state))

    def __enter__(self) -> Self:
        """Take the screen."""
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        self._live.stop()


def view() -> View:
    """Return the view that fits standard output."""
    return LiveView() if sys.stdout.isatty() else PlainView()


def _screen(state: DemoState) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 - only a terminal needs it
    from rich.panel import Panel  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    local = state.now.astimezone(ZoneInfo(state.zone))
    head = Text.assemble(
        (f"{local:%a %d %b %Y %H:%M} {state.zone}", "bold"),
        f"   {state.hours_per_s:g} hours a second   store ",
        (f"{state.soc_mwh:4.1f} of {state.energy_mwh:g} MWh", "cyan"),
        f"   {state.decisions} decisions\n",
        (state.about, "dim"),
        f"\n{state.url}/docs   ledger in {state.folder}",
    )
    parts: list[RenderableType] = [Panel(head, title="grid.battery-dispatch", border_style="blue"), _decisions(state)]
    if state.question is not None:
        parts.append(_question(state, state.question))
    parts.append(Panel(_money(state), title="worth", border_style="green"))
    return Group(*parts)


def _decisions(state: DemoState) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - only a terminal needs it

    table = Table(expand=True, box=None, padding=(0, 1))
    for heading in ("hour", "MW", "status", "worth EUR", "why"):
        table.add_column(heading, justify="right" if heading in {"MW", "worth EUR"} else "left", no_wrap=True)
    colours = {"waiting": "yellow", "expired": "red", "rejected": "red", "approved": "green"}
    zone = ZoneInfo(state.zone)
    for line in state.lines:
        worth = "" if line.saving_eur is None else f"{line.saving_eur:+,.2f}"
        hour = f"{line.at.astimezone(zone):%d %b %H:%M}"
        table.add_row(
            hour, f"{line.power_mw:+.2f}", line.status, worth, line.reason, style=colours.get(line.status, "")
        )
    return table


def _question(state: DemoState, question: Question) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 - only a terminal needs it
    from rich.panel import Panel  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415 - as above

    left = int(question.left.total_seconds())
    text = Text.assemble(
        (f"{question.row.impact.amount:,} EUR at stake: {question.row.reasons[0]}\n", "bold"),
        (f"{question.left_real_s:4.1f} s", "bold yellow"),
        f" to answer ({left // 60}:{left % 60:02} on the desk's clock); if nobody does: {otherwise(question)}",
    )
    # The commands stand outside the frame, so that they can be copied.
    commands = Text("\n".join(how_to_answer(state, question)), style="cyan")
    return Group(Panel(text, title=f"{question.row.approvers}: do you agree?", border_style="yellow"), commands)


def _money(state: DemoState) -> str:
    rows = [f"saved {state.saved_eur:,.2f} EUR against no battery, from {state.decisions} decisions"]
    if state.standing is not None:
        rows.append(in_words(state.standing))
    answers = ", ".join(f"{count} {word}" for word, count in sorted(state.answers.items())) or "none answered yet"
    rows.append(f"{state.asked} approvals asked ({answers})")
    return "\n".join(rows)
