"""Models without a registry: a fixed set of loaded models, for tests and simple cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steward.decision.checks import nearest
from steward.decision.model import Model
from steward.errors import DeclarationError, NotFound
from steward.models.artefact import Artefact
from steward.models.loading import check_fit
from steward.models.port import LoadedModel


class StaticModels(Mapping[str, LoadedModel]):
    """A fixed set of loaded models, by name; may stand wherever a registry does.

    Args:
        *models: The models, one of each name.

    Raises:
        DeclarationError: Two have the same name.

    Example:
        >>> from steward.models.engines.functions import FunctionModel
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
