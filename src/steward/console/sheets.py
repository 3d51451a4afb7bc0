"""Sheets: the rows behind every table and chart, and their way out as JSON, CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from steward.errors import ContractError, EngineError, NotFound
from steward.records import Money

R = TypeVar("R")
Plain = str | int | float | bool | None
PARQUET: Final = find_spec("polars") is not None
"""Whether the extra ``parquet`` is installed."""
MEDIA_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
ENDINGS: Final = tuple(ending for ending in MEDIA_TYPES if PARQUET or ending != "parquet")
"""The formats that a sheet can leave in."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Kind(StrEnum):
    """How a column's values are written, and on which side they stand.

    Example:
        >>> Kind.MONEY.is_number, Kind.TEXT.is_number
        (True, False)
    """

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"
    SHARE = "share"
    MONEY = "money"
    EXACT = "exact"
    TIME = "time"
    DATE = "date"
    STATUS = "status"
    YES = "yes"
    TAG = "tag"

    @property
    def is_number(self) -> bool:
        """Whether it stands on the right."""
        return self in (Kind.NUMBER, Kind.SHARE, *_MONEYS)


_MONEYS: Final = (Kind.MONEY, Kind.EXACT)


class Tag(NamedTuple):
    """A value that is shown with a colour: ``pos``, ``warn``, ``neg`` or ``info``; in files it is its text.

    Example:
        >>> Tag("high", "neg").text
        'high'
    """

    text: str
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Column(Generic[R]):
    """One column.

    Args:
        key: Its name in URLs and files.
        label: Its name for people.
        value: What stands in it.
        kind: How that is written.
        link: Where the cell leads, if anywhere.
        can_sort: Whether people may sort by it.
        about: What it means, shown in place.

    Example:
        >>> Column(key="name", label="Name", value=str).kind
        <Kind.TEXT: 'text'>
    """

    key: str
    label: str
    value: Callable[[R], Any]
    kind: Kind = Kind.TEXT
    link: Callable[[R], str] | None = None
    can_sort: bool = True
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet(Generic[R]):
    r"""Rows with columns, sorted and searched as a URL says.

    Args:
        name: Its name in URLs: ``/data/<name>.csv``.
        title: Its name for people; tables are read out by it.
        columns: From left to right.
        rows: From top to bottom.
        empty: What will be here, and how to get it, while nothing is.
        key: What tells a row from the others, for live updates; the first column by default.
        sort: By which column it is sorted, ``-`` before it for downwards; empty for as it came.
        query: What is searched for.

    Example:
        >>> sheet = Sheet(name="teams", title="Teams", rows=["grid", "desk"],
        ...               columns=[Column(key="team", label="Team", value=str)])
        >>> sheet.arranged({"sort": "team"}).rows, sheet.arranged({"q": "GRI"}).rows
        (['desk', 'grid'], ['grid'])
        >>> sheet.as_csv()
        'team\r\ngrid\r\ndesk\r\n'
    """

    name: str
    title: str
    columns: Sequence[Column[R]]
    rows: Sequence[R]
    empty: str = "Nothing is here yet."
    key: Callable[[R], str] | None = None
    sort: str = ""
    query: str = ""
    labels: Mapping[str, Column[R]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the columns."""
        object.__setattr__(self, "labels", {column.key: column for column in self.columns})

    def arranged(self, parameters: Mapping[str, str]) -> Sheet[R]:
        """Return it searched by the parameter ``q`` and sorted by ``sort``.

        Raises:
            ContractError: ``sort`` names no column to sort by.
        """
        sort, query = parameters.get("sort", ""), parameters.get("q", "").strip()
        rows = [row for row in self.rows if _fits(self.columns, row, query)] if query else list(self.rows)
        column = self.labels.get(sort.removeprefix("-"))
        if sort and (column is None or not column.can_sort):
            known = ", ".join(each.key for each in self.columns if each.can_sort)
            raise ContractError(f"one cannot sort by {sort!r}", fix=f"sort by one of {known}", field="sort")
        if column is not None:
            # Rows without a value go last, whichever way it is sorted.
            there = [row for row in rows if _plain(column.value(row)) is not None]
            there.sort(key=lambda row: _order(column.value(row)), reverse=sort.startswith("-"))
            rows = there + [row for row in rows if _plain(column.value(row)) is None]
        return replace(self, rows=rows, sort=sort, query=query)

    def plain_rows(self) -> list[dict[str, Plain]]:
        """Return the rows as plain values by column; money takes two columns, the second is its unit."""
        return [dict(self._cells(row)) for row in self.rows]

    def _cells(self, row: R) -> Iterable[tuple[str, Plain]]:
        for column in self.columns:
            value = column.value(row)
            yield column.key, _plain(value)
            if column.kind in _MONEYS:
                yield f"{column.key}_unit", value.unit if isinstance(value, Money) else None

    def written(self, ending: str) -> bytes:
        """Return it as a file.

        Raises:
            NotFound: It cannot leave in this format.
            EngineError: The format needs an extra.
        """
        if ending == "json":
            return msgspec.json.encode(self.plain_rows())
        if ending == "csv":
            return self.as_csv().encode()
        if ending != "parquet":
            raise NotFound(f"no table leaves as {ending!r}", fix=f"ask for one of {', '.join(ENDINGS)}")
        return self._as_parquet()

    def as_csv(self) -> str:
        """Return it as CSV (RFC 4180); a text that a spreadsheet would run as a formula gets an apostrophe."""
        names = list(dict.fromkeys(name for column in self.columns for name in _names(column)))
        into = io.StringIO()
        writer = csv.DictWriter(into, names)
        writer.writeheader()
        for row in self.plain_rows():
            writer.writerow({name: _harmless(value) for name, value in row.items()})
        return into.getvalue()

    def _as_parquet(self) -> bytes:
        if not PARQUET:
            raise EngineError(
                "Parquet needs the extra parquet", fix="pip install 'steward-aios[parquet]'", code="extra-missing"
            )
        import polars as pl  # noqa: PLC0415 - heavy, and seldom used

        into = io.BytesIO()
        names = [name for column in self.columns for name in _names(column)]
        rows = [[row[name] for name in names] for row in self.plain_rows()]
        pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None, strict=False).write_parquet(into)
        return into.getvalue()


def _names(column: Column[Any]) -> tuple[str, ...]:
    return (column.key, f"{column.key}_unit") if column.kind in _MONEYS else (column.key,)


def _plain(value: Any) -> Plain:
    if value is None or value is UNSET:
        return None
    if isinstance(value, Tag):
        return value.text
    if isinstance(value, Money | Decimal):
        return float(value.amount if isinstance(value, Money) else value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | int | float | str):
        return value
    return msgspec.json.encode(value, order="sorted").decode()


def _order(value: Any) -> Any:
    plain = _plain(value)
    return plain.casefold() if isinstance(plain, str) else plain


def _fits(columns: Sequence[Column[R]], row: R, query: str) -> bool:
    wanted = query.casefold()
    return any(wanted in str(_plain(column.value(row))).casefold() for column in columns)


def _harmless(value: Plain) -> Plain:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
