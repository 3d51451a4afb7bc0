"""How values are written for people: money, shares, numbers, names, and what a status means."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

from steward.access.identity import Identity
from steward.records import Money, Status

_SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£"}
_MINUS: Final = "\N{MINUS SIGN}"
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_SHORT_ID: Final = 8

TONES: Final[Mapping[Status, str]] = {
    Status.DECIDED: "pos",
    Status.ACTED: "pos",
    Status.APPROVED: "pos",
    Status.WAITING: "warn",
    Status.ACTING: "info",
    Status.IN_DOUBT: "warn",
    Status.HALTED: "warn",
    Status.EXPIRED: "neg",
    Status.REJECTED: "neg",
    Status.UNDONE: "neg",
    Status.FAILED: "neg",
}
"""The colour of each status: ``pos`` went its way, ``warn`` needs somebody, ``neg`` did not, ``info`` is under way."""


def money(amount: Money | None, *, sign: bool = False) -> str:
    r"""Return an amount with its symbol; cents only below 100, as they say nothing beside thousands.

    Example:
        >>> money(Money.of_minor(418_042, "EUR")), money(Money.of_minor(-205, "EUR")), money(None)
        ('€4,180', '−€2.05', '–')
        >>> money(Money.of_minor(5_000, "CHF"), sign=True)
        '+50.00\xa0CHF'
    """
    if amount is None:
        return "\N{EN DASH}"
    size = abs(amount.amount)
    text = f"{size:,.0f}" if size >= 100 else f"{size:,}"
    mark = _MINUS if amount.amount < 0 else "+" if sign and amount.amount > 0 else ""
    symbol = _SYMBOLS.get(amount.unit)
    return f"{mark}{symbol}{text}" if symbol else f"{mark}{text}{_NO_BREAK}{amount.unit}"


def exactly(amount: Money | None) -> str:
    r"""Return an amount to the cent, as it is settled.

    Example:
        >>> exactly(Money.of_minor(418_042, "EUR"))
        '4,180.42\xa0EUR'
    """
    return "\N{EN DASH}" if amount is None else f"{amount.amount:,}{_NO_BREAK}{amount.unit}".replace("-", _MINUS)


def share(value: float | None, digits: int = 0) -> str:
    r"""Return a share (0..1) in per cent.

    Example:
        >>> share(0.813), share(0.979, 1), share(None)
        ('81\xa0%', '97.9\xa0%', '–')
    """
    return "\N{EN DASH}" if value is None else f"{100 * value:.{digits}f}{_NO_BREAK}%"


def number(value: float | Decimal | None) -> str:
    """Return a number with at most four significant digits behind the point, and no noise.

    Example:
        >>> number(184_206), number(171.2345), number(0.00012346), number(-2.0), number(None)
        ('184,206', '171.2', '0.0001235', '−2', '–')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "\N{EN DASH}"
    size = abs(float(value))
    text = f"{size:,.0f}" if isinstance(value, int) or size >= 1_000 else f"{size:.4g}"
    return f"{_MINUS}{text}" if value < 0 else text


def plain(value: object) -> str:  # noqa: PLR0911 - one for each kind of value
    """Return any plain value in one line: a choice, a feature, a parameter.

    Example:
        >>> plain("discharge"), plain(None), plain(True), plain({"power_mw": -10.0, "why": "cheap"})
        ('discharge', '–', 'yes', 'power_mw −10, why cheap')
        >>> plain((1.0, 2.0, 3.0, 4.0, 5.0))
        '1, 2, 3, … (5 values)'
    """
    if value is None or value is msgspec.UNSET:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | Decimal):
        return number(value)
    if isinstance(value, Money):
        return exactly(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        first = ", ".join(plain(each) for each in value[:3])
        return first if len(value) <= 3 else f"{first}, … ({len(value)} values)"
    return str(value)


def title(name: str) -> str:
    """Return the name of a decision, feature or step as people say it.

    Example:
        >>> title("grid.battery-dispatch"), title("load_mw_mean_1h"), title("within_s")
        ('Battery dispatch', 'Load mw mean 1h', 'Within s')
    """
    last = re.sub(r"[_-]+", " ", name.rpartition(".")[2])
    return last[:1].upper() + last[1:]


def short(run_id: UUID | str) -> str:
    """Return the end of a run's id: its beginning is the time, which neighbours share.

    Example:
        >>> short(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
        '099a8057'
    """
    return str(run_id)[-_SHORT_ID:]


def initials(name: str) -> str:
    """Return one or two letters that stand for a person.

    Example:
        >>> initials("Mara Lindqvist"), initials("ana"), initials("j.smith@corp.example")
        ('ML', 'A', 'JS')
    """
    parts = re.findall(r"\w+", name.partition("@")[0]) or ["?"]
    return "".join(part[0] for part in (parts[:1] if len(parts) == 1 else (parts[0], parts[-1]))).upper()


def roles(identity: Identity) -> str:
    """Return somebody's jobs in a few words.

    Example:
        >>> from steward.access.identity import Assignment, Identity, Kind
        >>> from steward.access.permissions import Role
        >>> roles(Identity(id="ana", kind=Kind.PERSON, display="Ana", roles=(Assignment(Role.PRODUCT_LEADER),)))
        'Product leader'
    """
    names = sorted({title(each.role) for each in identity.roles})
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "") or "No role"
