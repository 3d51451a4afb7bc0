from __future__ import annotations

import pytest

from steward.errors import NotFound
from steward.models.loading import ENGINES, engine


@pytest.mark.parametrize("kind", ENGINES)
def test_each_kind_has_its_engine(kind: str) -> None:
    assert callable(engine(kind))


@pytest.mark.parametrize(("kind", "says"), [("lihgtgbm", "did you mean 'lightgbm'"), ("pickle", "choose one of")])
def test_an_unknown_kind_is_not_found(kind: str, says: str) -> None:
    with pytest.raises(NotFound, match=says):
        engine(kind)
