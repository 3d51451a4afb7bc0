"""A registered model that is answered by an engine: what the loop awaits in the place of a loaded one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.errors import EngineError
from steward.models.port import LoadedModel
from steward.serving.port import Served


class ServedModel:
    """A model behind an engine, with the facts of what was registered.

    What is not asked through the engine (a pipeline's own call, an explanation) is computed here by the registered
    model itself, if it can be.

    Args:
        engine: Answers.
        name: The registered name.
        version: Its version.
        digest: Its digest.
        inputs: Its inputs, in order.
        task: What it answers with.
        outputs: The labels, of a multiclass model.
        within_s: How long an answer may take.
        local: The registered model, loaded here; ``None`` for a chat.

    Example:
        >>> from steward.models.engines.functions import FunctionModel
        >>> from steward.serving.gateway import Gateway
        >>> local = FunctionModel("twice", lambda x: 2 * x)
        >>> model = ServedModel.of(local, Gateway("twice", []), within_s=1.0)
        >>> model.inputs, model.task, model.predict_one([4.0])
        (('x',), 'regression', 8.0)
    """

    def __init__(
        self,
        engine: Served[Any],
        *,
        name: str,
        version: str,
        digest: str,
        inputs: tuple[str, ...],
        task: str,
        outputs: tuple[str, ...] = (),
        within_s: float,
        local: LoadedModel | None = None,
    ) -> None:
        self.engine, self.within_s, self.local = engine, within_s, local
        self.name, self.version, self.digest = name, version, digest
        self.inputs, self.task, self.outputs = inputs, task, outputs

    @classmethod
    def of(cls, local: LoadedModel, engine: Served[Any], *, within_s: float) -> ServedModel:
        """Put a loaded model behind an engine."""
        return cls(
            engine,
            name=local.name,
            version=local.version,
            digest=local.digest,
            inputs=tuple(local.inputs),
            task=local.task,
            outputs=tuple(getattr(local, "outputs", ())),
            within_s=within_s,
            local=local,
        )

    def predict(self, rows: Any) -> Any:
        """Compute answers here, as the registered model does; ``EngineError`` if it is a chat."""
        return self._here().predict(rows)

    def predict_one(self, row: Sequence[float]) -> float:
        """Compute an answer here, as the registered model does; ``EngineError`` if it is a chat."""
        return self._here().predict_one(row)

    def __getattr__(self, ability: str) -> Any:
        """Return an ability of the registered model, such as ``attribute``; a served one has no other."""
        local = self.__dict__.get("local")
        if local is None or ability.startswith("_"):
            raise AttributeError(ability)
        return getattr(local, ability)

    def _here(self) -> LoadedModel:
        if self.local is None:
            raise EngineError(
                f"{self.name!r} is asked through its engine only",
                fix="declare it as the decision's own model, not as part of a pipeline",
                code="serving-not-here",
            )
        return self.local
