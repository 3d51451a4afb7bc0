"""Arms: sticky, in proportion, and a share that grows moves nobody else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import ContractError
from steward.releases.arms import Arm, Arms

KEYS = [f"customer-{number}" for number in range(20_000)]
SHARES = st.floats(0, 1).flatmap(lambda share: st.tuples(st.just(share), st.floats(0, 1 - share)))


@given(SHARES, st.text(), st.text())
def test_a_key_has_one_arm(shares: tuple[float, float], salt: str, key: str) -> None:
    arms = Arms(salt=salt, share=shares[0], holdout=shares[1])
    assert arms.of(key) is Arms(salt=salt, share=shares[0], holdout=shares[1]).of(key)


@pytest.mark.parametrize(("share", "holdout"), [(0.05, 0.0), (0.5, 0.1), (0.0, 0.02), (0.9, 0.1)])
def test_shares_are_what_they_say(share: float, holdout: float) -> None:
    found = [Arms(salt="s", share=share, holdout=holdout).of(key) for key in KEYS]
    for arm, wanted in ((Arm.CANARY, share), (Arm.HOLDOUT, holdout), (Arm.CHAMPION, 1 - share - holdout)):
        spread = 4 * math.sqrt(wanted * (1 - wanted) / len(KEYS)) if 0 < wanted < 1 else 0
        assert found.count(arm) / len(KEYS) == pytest.approx(wanted, abs=spread + 1e-9)


@given(st.text(), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_share_that_grows_only_takes_in(key: str, share: float, more: float, holdout: float) -> None:
    before, after = Arms(salt="s", share=share, holdout=holdout), Arms(salt="s", share=more, holdout=holdout)
    small, large = (before, after) if share <= more else (after, before)
    if small.of(key) is Arm.CANARY:
        assert large.of(key) is Arm.CANARY
    assert (small.of(key) is Arm.HOLDOUT) == (large.of(key) is Arm.HOLDOUT)


def test_two_rollouts_are_independent() -> None:
    one, other = (Arms(salt=salt, share=0.5) for salt in ("a", "b"))
    both = sum(one.of(key) is other.of(key) is Arm.CANARY for key in KEYS)
    assert both / len(KEYS) == pytest.approx(0.25, abs=0.015)


@pytest.mark.parametrize(
    "shares", [{"share": -0.1}, {"share": 1.1}, {"holdout": math.nan}, {"share": 0.6, "holdout": 0.5}]
)
def test_shares_that_do_not_fit_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ContractError):
        Arms(salt="s", **shares)


def test_everything_and_nothing() -> None:
    assert {Arms(salt="s", share=1.0).of(key) for key in KEYS[:500]} == {Arm.CANARY}
    assert {Arms(salt="s", holdout=1.0).of(key) for key in KEYS[:500]} == {Arm.HOLDOUT}
    assert {Arms(salt="s").of(key) for key in KEYS[:500]} == {Arm.CHAMPION}
