"""Models that are a function from an array of rows to an array of answers.

Engines whose library answers batches give that function; this file makes a model of it that keeps the port's
promises: the width is checked, and a batch is bit for bit its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from steward.errors import EngineError
from steward.models.engines.classes import Classifier
from steward.models.manifest import Manifest

Answer = Callable[[Any], Any]
"""Takes ``(n, k)`` float64 rows in C order, n > 0, and returns ``(n,)`` or ``(n, c)`` float64 answers."""

PROBE_SIZES = (1, 2, 3, 4, 5, 7, 16, 33)
BLOCK = 32
"""A multiple of what the kernels of matrix libraries take at once, so that a row's place does not matter."""

_MOVES = (1, 5, 13, 31)


class TabularModel:
    """A model made of a function of arrays.

    Attributes:
        arithmetic: ``float32`` where the engine takes or gives such numbers, which an engine says after it was made.

    Args:
        answer: The function.
        name: The model's name.
        inputs: Names of its input columns, in order.
        task: ``regression``, or ``binary`` if it answers with a probability.
        version: Its version.
        digest: Its digest.
        rowwise: Whether the function is known to go row by row; see :func:`steady`.

    Example:
        >>> model = TabularModel(lambda rows: rows.sum(axis=1), name="sum", inputs=("a", "b"), task="regression")
        >>> model.predict_one([1.0, 2.0]), model.predict([[1.0, 2.0], [3.0, 4.0]]).tolist()
        (3.0, [3.0, 7.0])
    """

    def __init__(
        self,
        answer: Answer,
        *,
        name: str,
        inputs: Sequence[str],
        task: str,
        version: str = "1",
        digest: str = "",
        rowwise: bool = False,
    ) -> None:
        self.name, self.version, self.digest, self.task = name, version, digest, task
        self.inputs = tuple(inputs)
        self._width = len(self.inputs)
        self._answer = steady(answer, self._width, rowwise=rowwise)
        self.arithmetic = "float64"

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the answer for one row of inputs; NaN means missing.

        Raises:
            EngineError: The row has another width, or the engine failed.
        """
        return float(self._ask([row])[0, -1])

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` answers for ``(n, k)`` rows; NaN means missing.

        Raises:
            EngineError: The rows have another width, or the engine failed.
        """
        return np.ascontiguousarray(self._ask(rows)[:, -1])  # of two columns the second is the probability of yes

    def _ask(self, rows: Any) -> Any:
        """Return ``(n, c)`` answers for rows of any sort."""
        array = self._array(rows)
        if not len(array):
            return np.empty((0, self._columns[-1]))
        try:
            answers = self._answer(array)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"model {self.name!r} failed", why=f"{type(error).__name__}: {error}") from error
        table = answers.reshape(len(array), -1) if answers.shape[:1] == (len(array),) else answers
        if table.ndim != 2 or len(table) != len(array) or table.shape[1] not in self._columns:
            raise EngineError(
                f"model {self.name!r} answered {len(array)} rows with an array of shape {answers.shape}",
                fix=f"let it answer with {' or '.join(map(str, self._columns))} columns, a row for each",
            )
        return table

    def _array(self, rows: Any) -> Any:
        try:
            array = np.ascontiguousarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise self._wrong_rows("rows", str(error)) from error
        if array.ndim != 2 or array.shape[1] != self._width:
            raise self._wrong_rows(f"an array of shape {array.shape}", "")
        return array

    @property
    def _columns(self) -> tuple[int, ...]:
        return (1, 2) if self.task == "binary" else (1,)

    def _wrong_rows(self, got: str, why: str) -> EngineError:
        return EngineError(
            f"model {self.name!r} takes rows of {self._width} inputs, got {got}",
            why=why,
            fix=f"give {', '.join(self.inputs)}, in this order, NaN where one is missing",
        )


class TabularClassifier(Classifier, TabularModel):
    """A classifier made of a function of arrays that answers with the probability of each label.

    Args:
        answer: The function.
        outputs: The labels, in the order of its columns.
        name: The model's name.
        inputs: Names of its input columns, in order.
        version: Its version.
        digest: Its digest.
        rowwise: Whether the function is known to go row by row; see :func:`steady`.

    Example:
        >>> model = TabularClassifier(lambda rows: np.hstack([rows, 1 - rows]), outputs=("up", "down"), name="way",
        ...                           inputs=("p_up",))
        >>> model.probabilities_one([0.75]), model.outputs[int(model.predict_one([0.75]))]
        ([0.75, 0.25], 'up')
    """

    def __init__(
        self,
        answer: Answer,
        *,
        outputs: Sequence[str],
        name: str,
        inputs: Sequence[str],
        version: str = "1",
        digest: str = "",
        rowwise: bool = False,
    ) -> None:
        self.outputs = tuple(outputs)
        about: dict[str, Any] = {"version": version, "digest": digest, "rowwise": rowwise}
        super().__init__(answer, name=name, inputs=inputs, task="multiclass", **about)

    @property
    def _columns(self) -> tuple[int, ...]:
        return (len(self.outputs),)

    def probabilities_one(self, row: Sequence[float]) -> Sequence[float]:
        """Return the probability of each label for one row; NaN means missing.

        Raises:
            EngineError: The row has another width, or the engine failed.
        """
        answer: list[float] = self._ask([row])[0].tolist()
        return answer

    def probabilities(self, rows: Any) -> Any:
        """Return ``(n, c)`` probabilities for ``(n, k)`` rows; NaN means missing.

        Raises:
            EngineError: The rows have another width, or the engine failed.
        """
        return self._ask(rows)


def tabular(manifest: Manifest, digest: str, answer: Answer, *, rowwise: bool = False) -> TabularModel:
    """Return the model that ``manifest`` describes and ``answer`` answers."""
    about: dict[str, Any] = {"name": manifest.name, "inputs": manifest.inputs, "rowwise": rowwise}
    about["version"] = str(manifest.version)
    if manifest.task == "multiclass":
        return TabularClassifier(answer, outputs=manifest.outputs, digest=digest, **about)
    return TabularModel(answer, task=manifest.task, digest=digest, **about)


def steady(answer: Answer, width: int, *, rowwise: bool = False) -> Answer:
    """Return ``answer`` such that each row is answered alike in every batch.

    Matrix libraries add in another order for another number of rows, and vector units round the last rows of a batch
    in another way, once in some hundred rows. So what is not known to go row by row is always asked in blocks of one
    size; and where a row's place in the block matters still, each row alone.

    Args:
        answer: The function.
        width: How many inputs a row has.
        rowwise: Whether it is known to go row by row, as trees do; a probe has to confirm it.
    """
    rows = np.random.default_rng(0).normal(size=(PROBE_SIZES[-1], width))
    try:
        if rowwise and _is_rowwise(answer, rows):
            return answer
        block = rows[:BLOCK]
        moved = [_same(answer(np.roll(block, by, axis=0)), np.roll(answer(block), by, axis=0)) for by in _MOVES]
    except Exception:  # a function may refuse made-up rows; one row after the other is always right
        return _each_alone(answer)
    return _in_blocks(answer) if all(moved) else _each_alone(answer)


def _is_rowwise(answer: Answer, rows: Any) -> bool:
    whole = answer(rows)
    parts = (_same(answer(np.ascontiguousarray(rows[:size])), whole[:size]) for size in PROBE_SIZES)
    alone = (_same(answer(rows[at : at + 1]), whole[at : at + 1]) for at in range(len(rows)))
    return all(parts) and all(alone)


def _same(one: Any, other: Any) -> bool:
    return bool(one.tobytes() == other.tobytes())


def _in_blocks(answer: Answer) -> Answer:
    def filled(rows: Any) -> Any:
        rest = -len(rows) % BLOCK
        padded = np.concatenate([rows, np.repeat(rows[-1:], rest, axis=0)]) if rest else rows
        if len(padded) == BLOCK:
            return answer(padded)[: len(rows)]
        parts = [answer(padded[at : at + BLOCK]) for at in range(0, len(padded), BLOCK)]
        return np.concatenate(parts)[: len(rows)]

    return filled


def _each_alone(answer: Answer) -> Answer:
    return lambda rows: np.concatenate([answer(rows[at : at + 1]) for at in range(len(rows))])
