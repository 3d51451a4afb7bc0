"""Where the data of a decision may be processed: what may never reach an engine that somebody else runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from steward.decision.risk import Risk
from steward.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What an engine must be to answer for a decision, or to be sent a field of it.

    A decision that declares none is private: only engines that the operator runs may answer for it.

    Args:
        residency: The regions that its data may go to, in the words of the operator's file of endpoints; empty if any.
        private: Whether it may not reach a managed engine at all.
        risk: The risk it is to be taken for, if that is higher than the decision's own.
        fields: What holds beside for single features; it counts where a model is sent them.

    Raises:
        DeclarationError: A region has no name, or a field has fields.

    Example:
        >>> placement = Placement(residency=("eu",), private=False, fields={"iban": Placement(private=True)})
        >>> placement.denies(("amount_eur",), Risk.LOW, region="eu", managed=True, trusted=Risk.LOW)
        >>> placement.denies(("amount_eur", "iban"), Risk.LOW, region="eu", managed=True, trusted=Risk.LOW)
        'it is managed, and iban is private'
        >>> placement.denies((), Risk.LOW, region="us", managed=False, trusted=Risk.LOW)
        'it stands in us, and the data must stay in eu'
    """

    residency: tuple[str, ...] = ()
    private: bool = True
    risk: Risk | None = None
    fields: Mapping[str, Placement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what stands in it."""
        object.__setattr__(self, "residency", tuple(self.residency))
        if not all(self.residency) or any(each.fields for each in self.fields.values()):
            raise DeclarationError(
                "a placement names regions, and each field has one placement of its own", field="placement"
            )

    def denies(self, sent: Collection[str], risk: Risk, *, region: str, managed: bool, trusted: Risk) -> str | None:
        """Return why an engine may not answer; ``None`` if it may.

        Args:
            sent: The features that it would be sent.
            risk: The decision's risk.
            region: Where the engine stands; ``""`` if nobody says.
            managed: Whether somebody else runs it.
            trusted: The highest risk that a managed one may be asked for.
        """
        marks = [("the decision", self), *((name, each) for name, each in self.fields.items() if name in sent)]
        for _, mark in marks:
            if mark.residency and region not in mark.residency:
                where = f"it stands in {region}" if region else "nobody says where it stands"
                return f"{where}, and the data must stay in {' or '.join(mark.residency)}"
        if not managed:
            return None
        for name, mark in marks:
            if mark.private:
                return f"it is managed, and {name} is private"
            if (least := _order(mark.risk or risk)) > _order(trusted) or _order(risk) > _order(trusted):
                shown = list(Risk)[max(least, _order(risk))].value
                return f"it is managed, trusted up to risk {trusted.value}, and {name} is of risk {shown}"
        return None


NOWHERE_ELSE = Placement()
"""What holds for a decision that declares nothing: its data stays with engines that the operator runs."""


def check_placement(placement: Placement | None, features: Sequence[str]) -> None:
    """Refuse a placement of what is no feature.

    Raises:
        DeclarationError: A field is not declared as a feature.
    """
    for name in placement.fields if placement else ():
        if name not in features:
            raise DeclarationError(
                f"{name!r} is placed, but is no feature", fix="name a declared feature", field="placement.fields"
            )


def _order(risk: Risk) -> int:
    return list(Risk).index(risk)
