"""MLflow as the registry: its database and its real server; what they hold is verified as if it were a folder."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.models.artefacts import INPUTS, clock, linear_file
from tests.peers import free_port, peer

from steward.errors import DeclarationError, Distrusted, EngineError, NotFound, StewardError
from steward.models import mlflow
from steward.models.mlflow import ARCHIVE, MlflowRegistry
from steward.models.registry import Registered
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import trust_key
from steward.runtime.engines import open_registry
from steward.runtime.settings import Settings

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),  # of MLflow, in SQLAlchemy 2.1
]
Open = Callable[..., MlflowRegistry]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run MLflow's own server, which keeps artifacts for its clients."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [
        *(str(peer("mlflow")), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")),
    ]
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=folder, stdout=errors, stderr=errors)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 90
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    break
            except (OSError, urllib.error.URLError):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make MLflow's database once; that takes it seconds."""
    folder = tmp_path_factory.mktemp("database")
    MlflowRegistry(f"sqlite:///{folder}/mlflow.db", folder / "copies").names()
    return folder / "mlflow.db"


@pytest.fixture(params=["sqlite", "http"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name MLflow's database, or its server."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("database"), tmp_path / "mlflow.db")
        return f"sqlite:///{tmp_path}/mlflow.db"
    url: str = request.getfixturevalue("server")
    return url


@pytest.fixture
def there(uri: str, tmp_path: Path) -> Open:
    """Open a registry of MLflow with copies in a folder of that name."""
    place = None if uri.startswith("http") else f"file://{tmp_path}/artifacts"

    def open_(copies: str = "here", trust: Path | None = None) -> MlflowRegistry:
        return MlflowRegistry(uri, tmp_path / copies, trust, clock=clock(), artifacts=place)

    return open_


def register(models: MlflowRegistry, name: str, intercept: float = 0.25, **more: Any) -> Registered:
    files = {"model.json": linear_file(intercept)}
    return models.register(name, kind="linear", files=files, inputs=INPUTS, task="regression", clock=clock(), **more)


def test_what_one_registers_another_reads_and_loads(there: Open) -> None:
    made = register(there(), "load")
    other = there("elsewhere")
    assert other.names() == ("load",)
    assert other.load("load").predict_one([0.0] * 5) == 0.25
    assert (other.show("load").digest, other.fetch("load").version) == (made.digest, "1")
    assert register(there(), "load").version == "1"  # the same again is no second version
    assert register(other, "load", 0.5).version == "2"
    assert there().load("load").predict_one([0.0] * 5) == 0.5
    assert there().versions("load") == ("1", "2")


def test_aliases_and_digests_name_versions(there: Open) -> None:
    models = there()
    first, second = register(models, "price"), register(models, "price", 0.5)
    models.name_version("price", "1", "champion")
    assert models.show("price", "champion").version == "1"
    models.name_version("price", "2", "champion")
    assert there("elsewhere").load("price", "champion").digest == second.digest
    assert there("elsewhere").show("price", first.digest).version == "1"
    for wrong in ("challenger", "3", "sha256:" + 64 * "0"):
        with pytest.raises(NotFound, match="no version or alias"):
            models.show("price", wrong)
    with pytest.raises(NotFound):
        models.show("nothing")


def test_a_signature_travels_and_is_asked_for(there: Open, tmp_path: Path) -> None:
    key, stranger = PrivateKey.new(), PrivateKey.new()
    trust = tmp_path / "trust"
    trust_key(trust, "ana", key.public)
    signed = register(there(), "signed", key=key)
    guarded = there("guarded", trust)
    assert guarded.fetch("signed").signed_by == key.public.id
    register(there(), "unsigned", 0.5)
    register(there(), "foreign", 0.75, key=stranger)
    for name in ("unsigned", "foreign"):
        with pytest.raises(Distrusted):
            guarded.load(name)
    models = there()
    models.sign("unsigned", key=key, clock=clock())
    assert there("fresh", trust).load("unsigned").predict_one([0.0] * 5) == 0.5
    assert signed.version == "1"


@pytest.mark.parametrize("wrong", ["another", "cut", "rubbish"])
def test_what_was_changed_in_mlflow_is_not_loaded(there: Open, tmp_path: Path, wrong: str) -> None:
    models = there()
    register(models, f"own-{wrong}")
    register(models, f"other-{wrong}", 0.5)
    client = models._client()
    [own], [other] = (client.search_model_versions(f"name = '{kind}-{wrong}'") for kind in ("own", "other"))
    path = Path(client.download_artifacts(str(other.run_id), ARCHIVE, str(tmp_path)))
    if wrong != "another":
        path.write_bytes(path.read_bytes()[:-40] if wrong == "cut" else b"rubbish")
    client.log_artifact(own.run_id, str(path))
    with pytest.raises(StewardError) as raised:
        there("elsewhere").load(f"own-{wrong}")
    assert raised.value.code != "registry.mlflow"


def test_a_draft_that_cannot_be_filled_leaves_no_version(there: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    models = there()
    register(models, "held")

    def full(*_: object) -> None:
        raise EngineError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow, "take_out", full)
        with pytest.raises(EngineError, match="disk is full"):
            register(models, "held", 0.5)
    assert there("elsewhere").versions("held") == ("1",)
    assert there("elsewhere").load("held").predict_one([0.0] * 5) == 0.25


def test_where_no_server_is_it_is_said(tmp_path: Path) -> None:
    models = MlflowRegistry(f"http://127.0.0.1:{free_port()}", tmp_path)
    with pytest.raises(EngineError, match="MLflow could not be asked") as raised:
        models.load("load")
    assert raised.value.retryable


def test_the_setting_opens_it(tmp_path: Path, database: Path) -> None:
    shutil.copy(database, tmp_path / "mlflow.db")
    settings = Settings(root=tmp_path, registry="mlflow+sqlite:///mlflow.db", data_dir=".steward")
    opened = open_registry(settings)
    assert isinstance(opened, MlflowRegistry)
    assert opened.root == tmp_path / ".steward" / "mlflow"
    assert opened.names() == ()
    with pytest.raises(DeclarationError, match="mlflow"):
        open_registry(Settings(root=tmp_path, registry="mlfow+http://127.0.0.1:1"))
