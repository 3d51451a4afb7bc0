"""Counters and histograms, told in the Prometheus text format (version 0.0.4).

Labels come from declared things only (decisions, statuses, routes, error codes), and each metric keeps a bounded
number of series: a caller cannot make the server remember what it invents.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from steward.decision.lane import Lane
from steward.downstream.lines import LineFacts
from steward.insight.answers import AnswerCount
from steward.runtime.admission import AdmissionFacts, Reason

MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES = 1_000
LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BATCH_BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

Labels = tuple[str, ...]
T = TypeVar("T")


class Counter:
    r"""Counts events by label; only grows.

    Args:
        name: The metric's name, ending in ``_total``.
        about: One sentence for people.
        labels: The names of its labels.

    Example:
        >>> decided = Counter("decided_total", "Decisions.", ("decision",))
        >>> decided.add(("fraud",))
        >>> print(*decided.lines(), sep="\n")
        # HELP decided_total Decisions.
        # TYPE decided_total counter
        decided_total{decision="fraud"} 1
    """

    __slots__ = ("_about", "_labels", "_name", "_series")

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self._name, self._about, self._labels = name, about, tuple(labels)
        self._series: dict[Labels, int] = {}

    def add(self, labels: Labels, by: int = 1) -> None:
        """Count ``by`` more events with these labels."""
        series = self._series
        if labels not in series and len(series) >= MAX_SERIES:
            labels = ("other",) * len(self._labels)
        series[labels] = series.get(labels, 0) + by

    def lines(self, decisions: Collection[str] | None = None) -> Iterator[str]:
        """Tell it in the text format; of the series that name a decision, those of ``decisions`` only."""
        yield from _head(self._name, self._about, "counter")
        for labels, value in _shown(self._labels, self._series, decisions):
            yield f"{self._name}{_braces(self._labels, labels)} {value}"


class Histogram:
    r"""Counts values into buckets, by label.

    Args:
        name: The metric's name, ending in its unit.
        about: One sentence for people.
        labels: The names of its labels.
        bounds: The buckets' upper bounds, ascending.

    Example:
        >>> took = Histogram("took_seconds", "Time.", ("route",), (0.1, 1.0))
        >>> took.observe(("decide",), 0.25)
        >>> print(*list(took.lines())[2:], sep="\n")
        took_seconds_bucket{route="decide",le="0.1"} 0
        took_seconds_bucket{route="decide",le="1"} 1
        took_seconds_bucket{route="decide",le="+Inf"} 1
        took_seconds_sum{route="decide"} 0.25
        took_seconds_count{route="decide"} 1
        >>> took.quantile(("decide",), 0.95)
        (1.0, 1)
    """

    __slots__ = ("_about", "_bounds", "_labels", "_name", "_series")

    def __init__(self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._about, self._labels = name, about, tuple(labels)
        self._bounds = tuple(bounds)
        self._series: dict[Labels, list[float]] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Count one value."""
        counts = self._series.get(labels)
        if counts is None:
            if len(self._series) >= MAX_SERIES:
                labels = ("other",) * len(self._labels)
            # The last element is the sum of the values, the one before it counts those above every bound.
            counts = self._series.setdefault(labels, [0.0] * (len(self._bounds) + 2))
        counts[bisect_left(self._bounds, value)] += 1
        counts[-1] += value

    def quantile(self, labels: Labels, share: float) -> tuple[float | None, int]:
        """Return the lowest bound that ``share`` (0..1) of a series' values do not exceed, and how many there are.

        Where more lie above every bound, or there is no value, the bound is ``None``.
        """
        counts = self._series.get(labels, (0.0,))[:-1]
        total, below = sum(counts), 0.0
        for bound, count in zip(self._bounds, counts, strict=False):
            below += count
            if total and below >= share * total:
                return bound, int(total)
        return None, int(total)

    def lines(self, decisions: Collection[str] | None = None) -> Iterator[str]:
        """Tell it in the text format; of the series that name a decision, those of ``decisions`` only."""
        yield from _head(self._name, self._about, "histogram")
        for labels, counts in _shown(self._labels, self._series, decisions):
            total = 0
            for bound, count in zip((*self._bounds, None), counts, strict=False):
                total += int(count)
                le = "+Inf" if bound is None else f"{bound:g}"
                yield f"{self._name}_bucket{_braces((*self._labels, 'le'), (*labels, le))} {total}"
            yield f"{self._name}_sum{_braces(self._labels, labels)} {counts[-1]:.9g}"
            yield f"{self._name}_count{_braces(self._labels, labels)} {total}"


class Metrics:
    """What the HTTP face counts.

    Example:
        >>> metrics = Metrics()
        >>> metrics.errors.add(("contract",))
        >>> 'steward_errors_total{code="contract"} 1' in metrics.text([])
        True
    """

    def __init__(self) -> None:
        self.requests = Counter("steward_http_requests_total", "Answered requests.", ("route", "status"))
        self.latency = Histogram(
            "steward_http_request_seconds", "From the request's arrival to its reply.", ("route",), LATENCY_BOUNDS_S
        )
        self.decisions = Counter("steward_decisions_total", "Decisions answered.", ("decision", "status"))
        self.replayed = Counter("steward_decisions_replayed_total", "Answers given again.", ("decision",))
        self.batch_size = Histogram("steward_http_batch_events", "Events in one request.", ("route",), BATCH_BOUNDS)
        self.errors = Counter("steward_errors_total", "Problems told to callers.", ("code",))

    def text(self, gauges: Iterable[tuple[str, str, float]], decisions: Collection[str] | None = None) -> str:
        """Tell all of them, and ``gauges`` of (name, one sentence, value) read just now.

        Args:
            gauges: What is not counted here.
            decisions: The only decisions that are told of; by default all.
        """
        lines = [line for metric in vars(self).values() for line in metric.lines(decisions)]
        for name, about, value in gauges:
            lines += [*_head(name, about, "gauge"), f"{name} {value:.15g}"]
        return "\n".join([*lines, ""])


def answer_lines(counted: Iterable[AnswerCount]) -> Iterator[str]:
    """Tell how people have answered since the ledger began, as the views count it.

    Example:
        >>> counted = [AnswerCount(decision="pay.release", verdict="approved", answers=3, waited_s=75.0)]
        >>> [line for line in answer_lines(counted) if not line.startswith("#")][0]
        'steward_answers_total{decision="pay.release",verdict="approved"} 3'
    """
    counts = list(counted)
    labels = ("decision", "verdict")
    yield from _head("steward_answers_total", "What people answered; expired is what nobody answered.", "counter")
    for each in counts:
        yield f"steward_answers_total{_braces(labels, (each.decision, each.verdict))} {each.answers}"
    yield from _head("steward_answer_seconds", "From the question to its answer.", "summary")
    for each in counts:
        if each.verdict != "expired":
            braces = _braces(labels, (each.decision, each.verdict))
            yield f"steward_answer_seconds_sum{braces} {each.waited_s:.9g}"
            yield f"steward_answer_seconds_count{braces} {each.answers}"


def line_lines(facts: Iterable[LineFacts]) -> Iterator[str]:
    """Tell of the lines to other systems: their breakers, and what is under way and was held back.

    Example:
        >>> from steward.downstream.breaker import State
        >>> [line for line in line_lines([LineFacts(destination="plant", state=State.OPEN)]) if "state{" in line]
        ['steward_breaker_state{destination="plant"} 2']
    """
    lines = list(facts)
    for name, about, kind, value in _LINE_METRICS:
        yield from _head(name, about, kind)
        for each in lines:
            yield f"{name}{_braces(('destination',), (each.destination,))} {value(each)}"


_LINE_METRICS: tuple[tuple[str, str, str, Callable[[LineFacts], int]], ...] = (
    ("steward_breaker_state", "0 closed, 1 half-open, 2 open.", "gauge", lambda line: int(line.state)),
    ("steward_downstream_calls_under_way", "Calls that have a place.", "gauge", lambda line: line.under_way),
    ("steward_downstream_calls_waiting", "Calls that wait for a place.", "gauge", lambda line: line.waiting),
    ("steward_downstream_calls_total", "Calls, without repeats.", "counter", lambda line: line.calls),
    ("steward_downstream_failures_total", "Tries that found it ill.", "counter", lambda line: line.failed),
    ("steward_downstream_held_total", "Calls held back.", "counter", lambda line: line.held),
    ("steward_downstream_repeats_total", "Tries beyond the first of a call.", "counter", lambda line: line.repeated),
)


def admission_lines(facts: AdmissionFacts) -> Iterator[str]:
    """Tell how many requests are let in at once, how many are, and who was sent away.

    Example:
        >>> told = list(admission_lines(AdmissionFacts(100, 3, {(Lane.BATCH, Reason.FULL): 7})))
        >>> [line for line in told if not line.startswith("#")][:2]
        ['steward_admission_limit 100', 'steward_admission_in_flight 3']
        >>> 'steward_admission_refused_total{lane="batch",reason="full"} 7' in told
        True
    """
    yield from _head("steward_admission_limit", "Requests that may be under way, as learnt.", "gauge")
    yield f"steward_admission_limit {facts.limit}"
    yield from _head("steward_admission_in_flight", "Requests under way.", "gauge")
    yield f"steward_admission_in_flight {facts.in_flight}"
    yield from _head("steward_admission_refused_total", "Requests that were sent away.", "counter")
    for lane in Lane:
        for reason in Reason:
            braces = _braces(("lane", "reason"), (lane.name.lower(), reason.value))
            yield f"steward_admission_refused_total{braces} {facts.refused.get((lane, reason), 0)}"


def _shown(names: Labels, series: Mapping[Labels, T], decisions: Collection[str] | None) -> Iterator[tuple[Labels, T]]:
    place = names.index("decision") if "decision" in names else None
    for labels, value in sorted(series.items()):
        if decisions is None or place is None or labels[place] in decisions:
            yield labels, value


def _head(name: str, about: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
