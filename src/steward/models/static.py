"""Models without a registry: plain functions, and a fixed set of loaded models, for tests and simple cases."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from steward.decision.checks import nearest
from steward.decision.fingerprint import digest, source_hash
from steward.decision.model import Model
from steward.errors import DeclarationError, EngineError, NotFound
from steward.models.artefact import Artefact
from steward.models.loading import check_fit
from steward.models.port import LoadedModel


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


class StaticModels(Mapping[str, LoadedModel]):
    """A fixed set of loaded models, by name; may stand wherever a registry does.

    Args:
        *models: The models, one of each name.

    Raises:
        DeclarationError: Two have the same name.

    Example:
        >>> models = StaticModels(FunctionModel("double", lambda load_mw: 2 * load_mw))
        >>> models["double"].predict_one([4.0]), models.load(Model("double")).version
        (8.0, '1')
    """

    def __init__(self, *models: LoadedModel) -> None:
        self._models = {model.name: model for model in models}
        if len(self._models) < len(models):
            raise DeclarationError("two models have the same name", fix="keep one, or rename the other", field="models")

    def __getitem__(self, name: str) -> LoadedModel:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def load(self, model: Model[Any] | str, version: str = "latest") -> LoadedModel:
        """Return the model of that name, if it has the version or digest asked for; see ``Registry``.

        Raises:
            NotFound: There is no such model, or it has another version.
            DeclarationError: The declared inputs cannot stand for the model's.
        """
        wanted = Model(model, version=version) if isinstance(model, str) else model
        found = self._models.get(wanted.name)
        if found is None:
            raise NotFound(f"no model is named {wanted.name!r}", fix=nearest(wanted.name, self._models), field="model")
        if wanted.version not in {"latest", found.version, found.digest}:
            raise NotFound(
                f"model {wanted.name!r} has no version {wanted.version!r}",
                fix=f"choose {found.version!r}, {found.digest!r} or 'latest'",
                field="model",
            )
        return check_fit(wanted, found)

    def fetch(self, name: str, version: str = "latest") -> Artefact:
        """Refuse: what is in memory only has no files.

        Raises:
            NotFound: Always.
        """
        found = self.load(name, version)
        raise NotFound(
            f"{name!r} version {found.version!r} is in memory only, so it has no files",
            fix="register it in a folder, and use FolderRegistry",
            field="model",
        )
