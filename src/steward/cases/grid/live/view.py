"""How the demo looks: a live screen on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self
from zoneinfo import ZoneInfo

from steward.cases.grid.live.state import DemoState, Question, Standing

if TYPE_CHECKING:
    from rich.console import RenderableType


STOPPED = "stopped: hours pass slowly, and the battery rests in each; two people let it go on"
OVER = "all data was played; the console stays open while somebody looks at it, or until Ctrl-C"


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


def welcome(state: DemoState) -> str:
    """Return what is printed once the server listens: where to look, and what to do there.

    Example:
        >>> from datetime import datetime
        >>> state = DemoState(url="http://127.0.0.1:8700", folder="/tmp/demo", about="", hours_per_s=6.0,
        ...                   now=datetime(2026, 1, 1), zone="UTC")
        >>> welcome(state).splitlines()[1].strip()
        'Open  http://127.0.0.1:8700/'
    """
    return f"""
  Open  {state.url}/

  Smart grid    the battery's day, hour by hour, and what it saved
  Approvals     what waits for you: agree or refuse; time stands meanwhile, and nobody hurries you
  Stop          stop everything; two people let it go on (act under another name, top right)
  Audit         prove that nothing was changed

  The plant {f"speaks OPC UA at {state.plant}" if state.plant else "is in this process"}.
  Ctrl-C ends it.
"""


def time_left(question: Question) -> str:
    """Return in words how long somebody may still answer.

    Example:
        >>> from datetime import timedelta
        >>> time_left(Question(row=None, left=timedelta(minutes=9), left_real_s=540.0, is_live=True))
        '9:00 to answer, in real time, as somebody looks at the console'
    """
    left = int(question.left.total_seconds())
    clock = f"{left // 60}:{left % 60:02}"
    if question.left_real_s is None:
        return f"{clock} to answer, frozen while the decision is stopped"
    if question.is_live:
        return f"{clock} to answer, in real time, as somebody looks at the console"
    return f"{question.left_real_s:.0f} s to answer ({clock} on the desk's clock, which runs fast as nobody looks)"


class PlainView:
    """Writes lines to standard output.

    Example:
        >>> with PlainView() as view:
        ...     view.tell("one line")
        one line
    """

    def __init__(self) -> None:
        self._question: tuple[object, bool] | None = None
        self._days = 0
        self._was_over = False

    def tell(self, text: str) -> None:
        """Write one line."""
        print(text, flush=True)

    def refresh(self, state: DemoState) -> None:
        """Write what is new: a question with its countdown, and the standing after each day."""
        question = state.question
        if question is not None and self._question != (question.row.decision_id, question.is_live):
            is_new = self._question is None or self._question[0] != question.row.decision_id
            self._question = (question.row.decision_id, question.is_live)
            self.tell(f"  ? {time_left(question)}; if nobody does: {otherwise(question)}")
            if is_new:
                by_cli, by_http = how_to_answer(state, question)
                self.tell(f"      {state.url}/decisions/{question.row.decision_id}\n      {by_cli}\n      {by_http}")
        if state.standing is not None and state.standing.days != self._days:
            self._days = state.standing.days
            self.tell("  # " + in_words(state.standing))
        if state.is_over and not self._was_over:
            self._was_over = True
            self.tell(f"  # {OVER}")

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
        f"   {state.speed}   store ",
        (f"{state.soc_mwh:4.1f} of {state.energy_mwh:g} MWh", "cyan"),
        f"   {state.decisions} decisions\n",
        (state.about, "dim"),
        "\nOpen  ",
        (f"{state.url}/", "bold blue underline"),
        f"   ledger in {state.folder}",
        (f"\n{STOPPED}" if state.is_stopped else "", "bold red"),
        (f"\n{OVER}" if state.is_over else "", "bold"),
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

    text = Text.assemble(
        (f"{question.row.impact.amount:,} EUR at stake: {question.row.reasons[0]}\n", "bold"),
        (time_left(question), "bold yellow"),
        f"; if nobody does: {otherwise(question)}",
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
