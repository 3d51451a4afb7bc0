"""A model's card as text: one set of sections, for Markdown and for pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from steward.models.artefact import Artefact
from steward.models.signing.card import Card

_MARKUP = re.compile(r"([\\`*_{}\[\]()#|~!^$])")
_START = re.compile(r"^(\d*)(\.(?=\s|$)|(?<!\d)[-+=])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Section(NamedTuple):
    """A part of a card: a heading, lines of plain text, and perhaps a table.

    Example:
        >>> Section("Owner", ("grid team",)).columns
        ()
    """

    heading: str
    lines: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def sections(card: Card, artefact: Artefact) -> Sequence[Section]:
    """Return a card as plain text without any markup; whoever shows it as HTML escapes it as any other text.

    Args:
        card: What is said.
        artefact: The version it is about; its manifest tells what it was trained on.
    """
    found = [
        Section("Purpose", _lines(card.purpose)),
        Section("Not for", card.out_of_scope),
        Section("Data", (*_lines(card.data), *_trained(artefact))),
        Section(
            "Metrics",
            columns=("segment", "metric", "value", "interval", "rows"),
            rows=[
                (each.segment, each.name, _number(each.value), _interval(each.low, each.high), _count(each.rows))
                for each in card.metrics
            ],
        ),
        Section("Limits", card.limits),
        Section("Owner", _lines(card.owner)),
        Section("Author", _lines(card.author)),
    ]
    if (told := card.validation) is not UNSET:
        verdict = "accepted" if told.accepted else "not accepted"
        found.append(Section("Validation", (f"{verdict} by {told.by} on {told.at:%Y-%m-%d}", told.finding)))
    return [each for each in found if each.lines or each.rows]


def markdown(card: Card, artefact: Artefact) -> str:
    r"""Return a card as Markdown, with every letter escaped that could be read as markup or HTML.

    Args:
        card: What is said.
        artefact: The version it is about.
    """
    title = f"# {_plain(artefact.name)} version {artefact.version}\n\n`{artefact.digest}`\n"
    return title + "".join(_section(each) for each in sections(card, artefact))


def _section(section: Section) -> str:
    text = f"\n## {section.heading}\n\n"
    if len(section.lines) == 1:
        text += f"{_plain(section.lines[0])}\n"
    elif section.lines:
        text += "".join(f"* {_plain(line)}\n" for line in section.lines)
    if section.rows:
        table = [section.columns, ["---"] * len(section.columns)]
        cells = [*table, *([_plain(cell) for cell in row] for row in section.rows)]
        text += "".join(f"| {' | '.join(row)} |\n" for row in cells)
    return text


def _plain(text: str) -> str:
    one_line = " ".join(text.split())
    escaped = _MARKUP.sub(r"\\\1", one_line).translate(_ENTITIES)
    return _START.sub(r"\1\\\2", escaped)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _trained(artefact: Artefact) -> tuple[str, ...]:
    trained = artefact.manifest.trained
    if trained is UNSET:
        return ()
    return (f"{trained.rows:,} rows from {trained.since:%Y-%m-%d} to {trained.until:%Y-%m-%d}, {trained.data}",)


def _number(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _interval(low: float | UnsetType, high: float | UnsetType) -> str:
    if low is UNSET and high is UNSET:
        return ""
    ends = ("" if end is UNSET else _number(end) for end in (low, high))
    return " to ".join(ends)


def _count(rows: int | UnsetType) -> str:
    return "" if rows is UNSET else f"{rows:,}"
