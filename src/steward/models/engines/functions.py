"""Plain Python functions as models, registered by name and the hash of their source."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from steward.decision.fingerprint import digest, source_hash
from steward.errors import DeclarationError, EngineError, IntegrityError
from steward.models.code_reference import CodeReference
from steward.models.manifest import Manifest

FILE = "function.json"


class FunctionModel:
    """A plain function of numbers in the place of a model.

    Its digest covers its name, inputs, task and source, not what the function calls or closes over.

    Args:
        name: The model's name.
        function: Takes the inputs by position and returns the answer; it must be pure. NaN means missing.
        inputs: Names of its inputs; by default those of its parameters.
        task: ``regression``, or ``binary`` if it answers with a probability.
        version: Its version.

    Raises:
        DeclarationError: The function cannot take these inputs.

    Example:
        >>> model = FunctionModel("same-as-last-week", lambda load_mw_168h: load_mw_168h)
        >>> model.inputs, model.predict_one([31_000.0])
        (('load_mw_168h',), 31000.0)
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., float],
        inputs: Sequence[str] = (),
        *,
        task: Literal["regression", "binary"] = "regression",
        version: str = "1",
    ) -> None:
        signature = inspect.signature(function)
        self.inputs = tuple(inputs or signature.parameters)
        try:
            signature.bind(*self.inputs)
        except TypeError as error:
            raise DeclarationError(
                f"function model {name!r} cannot be called with its {len(self.inputs)} inputs",
                why=str(error),
                fix="give one positional parameter for each input",
                field="inputs",
            ) from error
        self.name, self.version, self.task = name, version, task
        self.digest = digest({"name": name, "inputs": self.inputs, "task": task, "source": source_hash(function)})
        self._function = function

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the function's answer for one row of inputs.

        Raises:
            EngineError: The row has another width, or the function failed.
        """
        if len(row) != len(self.inputs):
            raise self._wrong_width(len(row))
        try:
            return float(self._function(*row))
        except Exception as error:
            raise EngineError(
                f"function model {self.name!r} failed", why=f"{type(error).__name__}: {error}", fix="correct it"
            ) from error

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` answers for ``(n, k)`` rows.

        Raises:
            EngineError: The rows have another width, or the function failed.
        """
        import numpy as np  # noqa: PLC0415 - a set of functions needs no numpy until it answers batches

        array = np.asarray(rows, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(self.inputs):
            raise self._wrong_width(array.shape[-1] if array.ndim else 0)
        return np.array([self.predict_one(row) for row in array.tolist()], dtype=np.float64)

    def _wrong_width(self, width: int) -> EngineError:
        return EngineError(
            f"model {self.name!r} takes rows of {len(self.inputs)} inputs, got {width}",
            fix=f"give {', '.join(self.inputs)}, in this order",
        )


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> FunctionModel:
    """Load the function that ``function.json`` names; it takes the inputs by position, NaN where one is missing.

    Raises:
        IntegrityError: The file is not such a reference, or the function is not what was registered.
    """
    try:
        if set(files) != {FILE}:
            raise ValueError(f"its only file must be {FILE}, found {', '.join(sorted(files))}")
        if manifest.task not in {"regression", "binary"}:
            raise ValueError(f"a function answers a regression or a binary task, not {manifest.task}")
        function = CodeReference.decode(files[FILE]).resolve()
        task: Literal["regression", "binary"] = "binary" if manifest.task == "binary" else "regression"
        made = FunctionModel(manifest.name, function, manifest.inputs, task=task, version=str(manifest.version))
    except (ValueError, DeclarationError) as error:
        raise IntegrityError(
            f"model {manifest.name!r} version {manifest.version} cannot be loaded",
            why=str(error),
            fix="register the function again",
        ) from error
    made.digest = digest
    return made
