from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from skops.io import dumps
from tests.models.estimators import answers, described, fitted, rows, skops_file

from steward.errors import EngineError, IntegrityError
from steward.models.engines import skops, skops_worker
from steward.models.engines.skops import Worker, load
from steward.models.engines.skops_worker import framed, receive


@pytest.mark.deep
def test_a_model_lives_in_a_process_of_its_own() -> None:
    """One process and one test, because scikit-learn takes seconds to be imported there."""
    files = {"model.skops": skops_file("scaled", "binary")}
    model, peer = load(described("skops", "binary", files), "sha256:x", files), fitted("scaled", "binary")
    expected = peer.predict_proba(rows())[:, 1]
    assert model.predict(rows()).tobytes() == expected.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert {answer.tobytes() for answer in pool.map(model.predict, [rows()] * 8)} == {expected.tobytes()}

    worker = next(each for each in gc.get_objects() if isinstance(each, Worker))
    process = worker._process
    process.kill()
    process.wait()
    assert model.predict(rows()).tobytes() == expected.tobytes(), "it is started again"
    with pytest.raises(EngineError, match="ValueError"):
        worker(np.full((2, 5), np.inf))
    assert model.predict(rows()).tobytes() == expected.tobytes(), "a failed answer leaves it as it was"

    second = worker._process
    del model, worker
    gc.collect()
    assert second.poll() is not None, "it ends with the model"
    with pytest.raises(ProcessLookupError):
        os.kill(second.pid, 0)


class Foreign(LogisticRegression):  # type: ignore[misc]  # it has no types
    """A type that skops does not trust."""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK no zip", "BadZipFile"),
        (dumps(Foreign().fit(rows(), answers("binary"))), "Untrusted types found"),
        (dumps(os.getcwd), "Untrusted types found"),
        (dumps({"no": "estimator"}), "AttributeError"),
    ],
)
def test_what_is_not_trusted_is_not_made(content: bytes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # In this process, where scikit-learn is imported already: what is made here is nothing foreign.
    said: list[bytes] = []
    monkeypatch.setattr(skops_worker, "_send", said.append)
    skops_worker.serve(BytesIO(framed(content)), "binary", "5")
    (told,) = said
    assert told[:1] == skops_worker.REFUSED
    assert says in told.decode(errors="replace")


def test_rows_that_lack_a_value_are_answered_nan_where_the_model_knows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []
    monkeypatch.setattr(skops_worker, "_send", said.append)
    asked = rows()[:3].copy()
    asked[1, 2] = np.nan
    messages = framed(skops_file("linear", "regression")) + framed(asked.tobytes())
    skops_worker.serve(BytesIO(messages), "regression", "5")
    answered = np.frombuffer(said[1][1:])
    assert np.isnan(answered).tolist() == [False, True, False]
    assert answered[[0, 2]].tobytes() == fitted("linear", "regression").predict(asked[[0, 2]]).tobytes()


def test_a_message_that_is_cut_off_is_none() -> None:
    assert receive(BytesIO(framed(b"abc")[:-1])) is None
    assert receive(BytesIO(b"\1\0")) is None


def test_other_files_are_refused() -> None:
    files = {"model.pkl": b""}
    with pytest.raises(IntegrityError, match="its only file"):
        load(described("skops", "binary", files), "sha256:x", files)


def test_what_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skops, "find_spec", lambda _name: None)
    with pytest.raises(EngineError, match=r"steward-aios\[skops\]"):
        Worker(b"", "binary", 5)
