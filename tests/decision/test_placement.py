"""Placement: what may reach which engine."""

from __future__ import annotations

import pytest

from steward.decision.placement import NOWHERE_ELSE, Placement, check_placement
from steward.decision.risk import Risk
from steward.errors import DeclarationError


def denies(
    placement: Placement,
    *sent: str,
    risk: Risk = Risk.LOW,
    region: str = "eu",
    managed: bool = True,
    trusted: Risk = Risk.LOW,
) -> str | None:
    return placement.denies(sent, risk, region=region, managed=managed, trusted=trusted)


def test_nothing_declared_reaches_no_managed_engine() -> None:
    assert denies(NOWHERE_ELSE) == "it is managed, and the decision is private"
    assert denies(NOWHERE_ELSE, managed=False) is None


def test_data_stays_in_its_regions_also_on_engines_of_ours() -> None:
    placement = Placement(residency=("eu", "ch"), private=False)
    assert denies(placement, region="ch") is None
    assert "must stay in eu or ch" in str(denies(placement, region="us", managed=False))
    assert "nobody says" in str(denies(placement, region="", managed=False))


def test_a_field_counts_where_it_is_sent() -> None:
    placement = Placement(private=False, fields={"iban": Placement(), "ssn": Placement(residency=("us",))})
    assert denies(placement, "amount") is None
    assert "iban is private" in str(denies(placement, "amount", "iban"))
    assert "must stay in us" in str(denies(placement, "ssn", managed=False))


@pytest.mark.parametrize(
    ("risk", "marked", "trusted", "denied"),
    [
        (Risk.LOW, None, Risk.LOW, False),
        (Risk.MEDIUM, None, Risk.LOW, True),
        (Risk.MEDIUM, None, Risk.MEDIUM, False),
        (Risk.LOW, Risk.HIGH, Risk.MEDIUM, True),
        (Risk.HIGH, Risk.LOW, Risk.MEDIUM, True),
        (Risk.HIGH, None, Risk.HIGH, False),
    ],
)
def test_a_managed_engine_is_trusted_up_to_a_risk(risk: Risk, marked: Risk | None, trusted: Risk, denied: bool) -> None:
    placement = Placement(private=False, risk=marked)
    assert (denies(placement, risk=risk, trusted=trusted) is not None) is denied
    assert denies(placement, risk=risk, managed=False) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DeclarationError):
        Placement(residency=("",))
    with pytest.raises(DeclarationError):
        Placement(fields={"a": Placement(fields={"b": Placement()})})
    with pytest.raises(DeclarationError, match="no feature"):
        check_placement(Placement(fields={"iban": Placement()}), ["amount"])
    check_placement(None, [])
