"""MLflow as the registry: its versions and aliases say what there is; digest and signature are still verified here.

A version is kept in MLflow as an archive (:mod:`steward.models.untrusted.archive`) of a run, with its digest as a tag.
It is copied once into a folder beside the ledger, and everything that is asked of it is answered from there as if it
had been registered there: so what MLflow's server, database or artifact store does to it is found like any other
tampering. A version's number is MLflow's; its aliases (``champion``) may be given wherever a version is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from steward.clock import Clock, SystemClock
from steward.errors import EngineError, IntegrityError, NotFound, StewardError
from steward.models.artefact import SIGNATURE, Artefact
from steward.models.folders import Pieces
from steward.models.manifest import Manifest, digest_of, encode
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.keys import PrivateKey
from steward.models.signing.statements import sign_version
from steward.models.untrusted.archive import MAX_ARCHIVE_BYTES
from steward.models.untrusted.intake import take_in, take_out
from steward.models.untrusted.spool import copy, spool

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

ARCHIVE: Final = "model.steward-model"
EXPERIMENT: Final = "steward-models"
_DIGEST: Final = "steward.digest"
_CONTENT: Final = "steward.content"
_OURS: Final = "steward"


class MlflowRegistry(FolderRegistry):
    """Models in MLflow, copied into folders below ``root``.

    Args:
        uri: Where MLflow is, as it names it itself: ``http://host:5000``, ``sqlite:////srv/mlflow.db``.
        root: The folder of the copies.
        trust: The folder of trusted public keys; see :class:`FolderRegistry`.
        clock: Names the drafts of copies.
        artifacts: Where artifacts go if this registry is the first to keep any; by default MLflow decides.

    Raises:
        EngineError: MLflow cannot be asked.

    Example:
        >>> registry = MlflowRegistry("http://127.0.0.1:5000", Path(".steward/mlflow"))
        >>> registry.root.name
        'mlflow'
    """

    def __init__(
        self,
        uri: str,
        root: Path,
        trust: Path | None = None,
        *,
        clock: Clock | None = None,
        artifacts: str | None = None,
    ) -> None:
        super().__init__(root, trust)
        self._uri, self._artifacts = uri, artifacts
        self._clock = clock or SystemClock()
        self._copies = FolderRegistry(root, trust)
        self._opened: MlflowClient | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names of all models that Steward keeps there, sorted; others of MLflow's are left out."""
        with self._asking() as client:
            found = _pages(client.search_registered_models, filter_string=f"tags.`{_OURS}` = '1'")
        return tuple(sorted(model.name for model in found))

    def show(self, name: str, version: str = "latest") -> Registered:
        """Return what is known of a version, copied here first if need be.

        Args:
            name: A registered name.
            version: A version number, a ``sha256:`` digest, ``latest``, or an alias.

        Raises:
            NotFound: There is no such model, version or alias.
            IntegrityError: What MLflow holds is not what was registered.
            EngineError: MLflow cannot be asked.
        """
        number = self._numbered(name, version)
        try:
            return self._copies.show(name, number)
        except NotFound:
            self._copy(name, number)
            return self._copies.show(name, number)

    def take(
        self, first: Manifest, files: Mapping[str, Pieces], *, clock: Clock, key: PrivateKey | None = None
    ) -> Registered:
        """Store what was checked elsewhere as MLflow's next version, or find the one that it has already."""
        content = _content(first)
        with self._asking() as client:
            known = [each for each in self._held(client, first.name) if each.tags.get(_CONTENT) == content]
        if known:
            version = str(max(int(each.version) for each in known))
            return (
                self.show(first.name, version) if key is None else self.sign(first.name, version, key=key, clock=clock)
            )
        with self._drafted(first.name, content) as (client, draft):
            numbered = replace(first, version=int(draft.version))
            digest = digest_of(encode(numbered))
            signature = {} if key is None else {SIGNATURE: sign_version(numbered, digest, key)}
            made = self._copies.adopt(encode(numbered), files, signature, clock=clock)
            self._send(client, draft, made)
            client.set_model_version_tag(first.name, draft.version, _DIGEST, digest)
        return made

    def attach(self, to: Artefact | Registered, statement: str, content: bytes, *, clock: Clock) -> Registered:
        """Put a statement beside a version, there and in MLflow."""
        made = super().attach(to, statement, content, clock=clock)
        with self._asking() as client:
            held = {str(each.version): each for each in self._held(client, to.name)}
            if made.version in held and _DIGEST in held[made.version].tags:
                self._send(client, held[made.version], made)
        return made

    def name_version(self, name: str, version: str, alias: str) -> None:
        """Let an alias stand for a version from now on.

        Args:
            name: A registered name.
            version: The version's number.
            alias: As ``champion``.

        Raises:
            EngineError: MLflow cannot be asked, or refuses it.
        """
        with self._asking() as client:
            client.set_registered_model_alias(name, alias, version)

    def _versions(self, name: str) -> tuple[str, ...]:
        with self._asking() as client:
            return tuple(
                sorted((str(each.version) for each in self._held(client, name) if _DIGEST in each.tags), key=int)
            )

    def _numbered(self, name: str, version: str) -> str:
        """Return the number of a version, or of what an alias or digest stands for."""
        known = self.versions(name)
        if version == "latest":
            return known[-1]
        if version in known:
            return version
        with self._asking() as client:
            if version.startswith("sha256:"):
                found = [each for each in self._held(client, name) if each.tags.get(_DIGEST) == version]
                number = str(found[0].version) if found else ""
            else:
                number = str(client.get_registered_model(name).aliases.get(version, ""))
        if number not in known:
            fix = f"choose one of the versions {', '.join(known[-10:])}, 'latest', or an alias"
            raise NotFound(f"model {name!r} has no version or alias {version!r}", fix=fix, field="model")
        return number

    def _held(self, client: MlflowClient, name: str) -> list[ModelVersion]:
        return _pages(client.search_model_versions, filter_string=f"name = '{name.replace(chr(39), '')}'")

    def _copy(self, name: str, number: str) -> None:
        """Bring a version here, and prove that it is the one that was asked for."""
        with self._asking() as client, tempfile.TemporaryDirectory() as folder:
            version = client.get_model_version(name, number)
            if not version.run_id:
                raise _foreign(name, number, "it belongs to no run")
            path = client.download_artifacts(version.run_id, ARCHIVE, folder)
            with open(path, "rb") as given, spool(self.root, quota_bytes=MAX_ARCHIVE_BYTES) as upload:
                copy(given, upload)
                made = take_in(self._copies, upload.file, clock=self._clock)
        if (made.name, made.version) != (name, number):
            raise _foreign(name, number, f"it holds version {made.version} of {made.name!r}")
        if made.digest != version.tags.get(_DIGEST):
            raise _foreign(name, number, f"it was registered as {version.tags.get(_DIGEST)}, and is {made.digest}")

    def _send(self, client: MlflowClient, version: ModelVersion, made: Registered) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ARCHIVE
            with path.open("w+b") as target:
                take_out(made, target)
            client.log_artifact(version.run_id, str(path))

    @contextmanager
    def _drafted(self, name: str, content: str) -> Iterator[tuple[MlflowClient, ModelVersion]]:
        """Make the next version in MLflow, and take it away again if it cannot be filled."""
        with self._asking() as client:
            if name not in self.names():
                client.create_registered_model(name, tags={_OURS: "1"})
            experiment = client.get_experiment_by_name(EXPERIMENT)
            place = (
                client.create_experiment(EXPERIMENT, self._artifacts)
                if experiment is None
                else experiment.experiment_id
            )
            run = client.create_run(place, run_name=name)
            version = client.create_model_version(
                name, source=f"{run.info.artifact_uri}/{ARCHIVE}", run_id=run.info.run_id, tags={_CONTENT: content}
            )
            try:
                yield client, version
            except BaseException:
                client.delete_model_version(name, version.version)
                client.set_terminated(run.info.run_id, "FAILED")
                raise
            client.set_terminated(run.info.run_id)

    @contextmanager
    def _asking(self) -> Iterator[MlflowClient]:
        """Give the client, and turn what MLflow and the network raise into one error."""
        try:
            yield self._client()
        except StewardError:
            raise
        except Exception as error:  # of its own, of the network's, of the database's
            raise EngineError(
                "MLflow could not be asked",
                retryable=True,
                why=f"{type(error).__name__}: {error}"[:500],
                fix="see whether its server runs, and what its log says",
                code="registry.mlflow",
            ) from error

    def _client(self) -> MlflowClient:
        if self._opened is None:
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # or it tells its makers what it is used for
            os.environ.setdefault(
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"
            )  # or a server that is gone is asked for minutes
            from mlflow.tracking import MlflowClient  # noqa: PLC0415 - it takes seconds to import

            self._opened = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        return self._opened


def _content(manifest: Manifest) -> str:
    """Return a digest that is the same for what :meth:`Manifest.same_content` calls the same."""
    timeless = replace(manifest, version=1, created_at=datetime.min.replace(tzinfo=UTC), checked=UNSET)
    return digest_of(encode(timeless))


def _pages(search: Callable[..., Any], **asked: object) -> list[Any]:
    """Return all that a search finds, over all its pages."""
    found: list[Any] = []
    token = None
    while True:
        page = search(page_token=token, **asked)
        found += page
        token = page.token
        if not token:
            return found


def _foreign(name: str, number: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"model {name!r} version {number} in MLflow is not what was registered",
        why=why,
        fix="find out who changed it there; register the model again from its source",
    )
