"""The engines table: which URL scheme is served by which class, and what to install for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from steward.bus.port import Bus
from steward.clock import Clock
from steward.decision.checks import nearest
from steward.errors import DeclarationError, EngineError, NotFound
from steward.ledger.port import Ledger
from steward.models.port import LoadedModel
from steward.models.registry import FolderRegistry
from steward.runtime.settings import Settings
from steward.runtime.url import masked, path_of, scheme_of


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A product behind a port.

    Attributes:
        port: What it is used as: ``ledger``, ``bus`` ...
        scheme: How a URL names it.
        target: Its class as ``module:Class``, imported only when used.
        open: Makes one from the class, the URL, and what the port gives; to be awaited for a ledger or bus.
        hint: One line that says when to take it.
        needs: Packages that it imports.
        extra: The extra of Steward that installs them.

    Example:
        >>> [engine.scheme for engine in ENGINES if engine.port == "ledger"]
        ['sqlite', 'memory']
    """

    port: str
    scheme: str
    target: str
    open: Callable[..., Any]
    hint: str
    needs: tuple[str, ...] = ()
    extra: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The needed packages that are not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    @property
    def install(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'steward-aios[{self.extra}]'" if self.extra else "pip install steward-aios"

    def load(self) -> Any:
        """Import its class.

        Raises:
            EngineError: A package it needs is not installed.
        """
        if self.missing:
            raise EngineError(
                f"the {self.port} engine {self.scheme!r} needs {', '.join(self.missing)}",
                fix=self.install,
                code="engine.not-installed",
            )
        module, _, name = self.target.partition(":")
        return getattr(import_module(module), name)


def open_registry(settings: Settings) -> FolderRegistry:
    """Return the registry of registered models; with the setting ``trust``, it hands out only what is signed.

    Raises:
        DeclarationError: The setting names an engine that there is not.
        EngineError: The engine is not installed.

    Example:
        >>> open_registry(Settings(registry="nowhere/at/all")).names()
        ()
    """
    trust = settings.path(settings.trust) if settings.trust else None
    if "://" not in settings.registry:
        return FolderRegistry(settings.path(settings.registry), trust)
    engine = engine_of("registry", settings.registry)
    registry: FolderRegistry = engine.open(engine.load(), settings.registry, settings, trust)
    return registry


def _open_mlflow(cls: Any, url: str, settings: Settings, trust: Path | None) -> FolderRegistry:
    inner = url.partition("+")[2]
    if scheme_of(inner) == "sqlite":  # MLflow would count it from the current folder
        inner = f"sqlite:///{path_of(inner, settings.root)}"
    registry: FolderRegistry = cls(inner, settings.path(settings.data_dir) / "mlflow", trust)
    return registry


async def _open_sqlite(cls: Any, url: str, settings: Settings, clock: Clock) -> Ledger:
    path = path_of(url, settings.root)
    make_folder(path.parent)
    every = timedelta(seconds=settings.checkpoint_every_s)
    ledger: Ledger = await cls.open(path, clock=clock, checkpoint_every=every)
    return ledger


async def _open_memory(cls: Any, url: str, settings: Settings, clock: Clock) -> Ledger:
    ledger: Ledger = cls()
    return ledger


async def _open_embedded(cls: Any, url: str, settings: Settings, ledger: Ledger) -> Bus:
    bus: Bus = cls(ledger, max_lag=settings.max_lag)
    return bus


def _open_oip(cls: Any, name: str, endpoint: Any, *, model: LoadedModel) -> Any:
    wanted = import_module("steward.serving.oip").Wanted
    return cls(name, endpoint, wanted.of(model))


def _open_chat(cls: Any, name: str, endpoint: Any, *, model: str, chat: Any, returns: type[Any]) -> Any:
    return cls(name, endpoint, model=model, chat=chat, returns=returns)


ENGINES: Final[Sequence[Engine]] = (
    Engine(
        port="ledger",
        scheme="sqlite",
        target="steward.ledger.sqlite:SqliteLedger",
        open=_open_sqlite,
        hint="one file on one machine, durable; the default",
    ),
    Engine(
        port="ledger",
        scheme="memory",
        target="steward.ledger.memory:MemoryLedger",
        open=_open_memory,
        hint="gone when the process ends; for tests",
    ),
    Engine(
        port="bus",
        scheme="embedded",
        target="steward.bus.embedded:EmbeddedBus",
        open=_open_embedded,
        hint="a log in the ledger's own database; the default",
    ),
    *(
        Engine(
            port="registry",
            scheme=f"mlflow+{kind}",
            target="steward.models.mlflow:MlflowRegistry",
            open=_open_mlflow,
            hint=f"models in MLflow, {place}; without a scheme, models are folders on this machine",
            needs=("mlflow",) if kind != "sqlite" else ("mlflow", "sqlalchemy", "alembic"),
            extra="mlflow",
        )
        for kind, place in {"http": "on a server", "https": "on a server", "sqlite": "in its own database"}.items()
    ),
    *(
        Engine(
            port="serving",
            scheme=f"oip+{kind}",
            target="steward.serving.oip:OpenInference",
            open=_open_oip,
            hint="models of numbers on a server of the Open Inference Protocol v2: MLServer, KServe, Triton, Steward",
        )
        for kind in ("http", "https")
    ),
    *(
        Engine(
            port="serving",
            scheme=f"openai+{kind}",
            target="steward.serving.chat:ChatEngine",
            open=_open_chat,
            hint="chats on a server that speaks OpenAI's API: llama.cpp, vLLM, Ollama, most providers",
        )
        for kind in ("http", "https")
    ),
)


def engine_of(port: str, url: str) -> Engine:
    """Return the engine that serves ``url`` as ``port``.

    Raises:
        DeclarationError: No engine of this port has that scheme.

    Example:
        >>> engine_of("ledger", "sqlight:///steward.db")
        Traceback (most recent call last):
            ...
        steward.errors.DeclarationError: no ledger engine is named 'sqlight'... Next: did you mean 'sqlite'?
    """
    scheme = scheme_of(url)
    known = {engine.scheme: engine for engine in ENGINES if engine.port == port}
    if scheme not in known:
        raise DeclarationError(
            f"no {port} engine is named {scheme!r}",
            why=f"the {port} is set to {masked(url)}",
            fix=nearest(scheme, known),
            field=port,
        )
    return known[scheme]


async def open_ledger(url: str, settings: Settings, clock: Clock) -> Ledger:
    """Open the ledger that ``url`` names, and make it if there is none.

    Raises:
        DeclarationError: The URL names no engine.
        EngineError: The engine is not installed or cannot open it.
        IntegrityError: What is stored is not what was written.
    """
    engine = engine_of("ledger", url)
    ledger: Ledger = await engine.open(engine.load(), url, settings, clock)
    return ledger


async def open_bus(url: str, settings: Settings, ledger: Ledger) -> Bus:
    """Open the bus that ``url`` names; the embedded one lives in ``ledger``. Errors as for :func:`open_ledger`."""
    engine = engine_of("bus", url)
    bus: Bus = await engine.open(engine.load(), url, settings, ledger)
    return bus


def ledger_path(settings: Settings) -> Path | None:
    """Return the ledger's file, ``None`` if it is not kept in one.

    Example:
        >>> ledger_path(Settings(ledger="memory://")) is None
        True
    """
    return path_of(settings.ledger, settings.root) if scheme_of(settings.ledger) == "sqlite" else None


def ledger_file(settings: Settings) -> Path:
    """Return the ledger's file.

    Raises:
        DeclarationError: The URL names no engine.
        NotFound: It is not kept in one.

    Example:
        >>> ledger_file(Settings(ledger="memory://"))
        Traceback (most recent call last):
            ...
        steward.errors.NotFound: the ledger memory:// is not kept in a file. Next: use sqlite:///steward.db
    """
    engine_of("ledger", settings.ledger)
    path = ledger_path(settings)
    if path is None:
        raise NotFound(f"the ledger {masked(settings.ledger)} is not kept in a file", fix="use sqlite:///steward.db")
    return path


def views_path(settings: Settings) -> Path | str:
    """Return where the views beside this ledger are kept; ``:memory:`` for a ledger without a file."""
    path = ledger_path(settings)
    return ":memory:" if path is None else path.with_name(path.name + ".views")


def make_folder(folder: Path) -> None:
    """Make a folder of ours, open to its owner only, unless it is there.

    Raises:
        EngineError: It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"the folder {folder} cannot be made",
            why=str(error),
            fix="choose another place: the settings data_dir and ledger",
        ) from error
