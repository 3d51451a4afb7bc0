"""Settings: one frozen table; each value comes from a flag, ``STEWARD_*``, ``steward.toml`` or its default."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, Final, Self

from steward.decision.checks import nearest
from steward.errors import DeclarationError
from steward.runtime.url import masked

FILE_NAME: Final = "steward.toml"
PREFIX: Final = "STEWARD_"
SECRETS: Final = frozenset({"STEWARD_KEY", "STEWARD_ONE_TIME_KEY"})
"""Variables that are no settings, so that no list of settings ever shows them."""


def _setting(default: Any, text: str, *, unit: str = "", low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": text, "unit": unit, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set. See ``docs/settings.md`` for the table; it is made from this one.

    Relative paths, in URLs too, count from ``root``: the folder of ``steward.toml``, or the current one.

    Raises:
        DeclarationError: A value is of the wrong type or out of its range; ``field`` names it.

    Example:
        >>> settings = Settings.load(flags={"port": 9000}, environ={"STEWARD_HOST": "::1"}, file=None)
        >>> settings.port, settings.host, settings.source_of("host"), settings.max_batch
        (9000, '::1', 'STEWARD_HOST', 1000)
    """

    decisions: tuple[str, ...] = _setting((), "where decisions are declared: module:attribute or file.py:attribute")
    data_dir: str = _setting(".steward", "the folder of the registry, keys and the running server's address")
    ledger: str = _setting("sqlite:///.steward/steward.db", "the ledger's engine and place")
    bus: str = _setting("embedded://", "the bus's engine and place")
    registry: str = _setting(
        ".steward/models",
        "the folder of registered models, or MLflow: mlflow+http://host:5000, mlflow+sqlite:///mlflow.db",
    )
    mode: str = _setting(
        "development", "development, or governed: only signed releases decide that a second person agreed to"
    )
    challengers: tuple[str, ...] = _setting((), "other declarations of the same decisions, for rollouts")
    trust: str = _setting("", "the folder of public keys, one of which must have signed whatever answers; none needed")
    serving: str = _setting("", "the file of endpoints that models are served by; all answer here without one")
    people: str = _setting("", "the address book of who is told what; nobody is told without one")
    publisher: str = _setting("system", "who publishes what this process runs, for gates that want four eyes")
    host: str = _setting("127.0.0.1", "the address that the server listens on")
    port: int = _setting(8700, "the port that the server listens on; 0 takes a free one", low=0, high=65_535)
    host_names: tuple[str, ...] = _setting((), "names that requests may be addressed to, besides the loopback ones")
    access: str = _setting("", "the file with the issuers of tokens that are believed")
    policies: str = _setting("", "a file of Cedar policies in the place of the table of roles; needs the extra cedar")
    zone: str = _setting("UTC", "the site's time zone, in which the console shows times: Europe/Madrid")
    origins: tuple[str, ...] = _setting((), "where the console's pages come from: https://steward.example")
    reauth_above: float = _setting(
        inf, "the money at stake, in its gate's currency, above which an approval needs a fresh sign-in", low=0
    )
    reauth_within_s: float = _setting(300.0, "how long a sign-in to the console is fresh", unit="s", low=0)
    trusted_proxies: tuple[str, ...] = _setting((), "addresses of proxies whose X-Forwarded-For is believed")
    ssl_certfile: str = _setting("", "the server's certificate and chain (PEM); plain HTTP without it")
    ssl_keyfile: str = _setting("", "its key, if that is in a file of its own (PEM, without a password)")
    ssl_ca_certs: str = _setting("", "the authorities (PEM) whose certificates clients may sign in with")
    max_connections: int = _setting(10_000, "connections at a time; more are refused", unit="connections", low=1)
    max_body_bytes: int = _setting(1024 * 1024, "the largest request body", unit="bytes", low=1)
    max_model_bytes: int = _setting(256 * 1024 * 1024, "the largest model that is taken in", unit="bytes", low=1)
    max_batch: int = _setting(1000, "the most events that are decided together", unit="events", low=1, high=100_000)
    max_waiting: int = _setting(10_000, "requests that may wait in a lane; more are refused", unit="requests", low=1)
    unnoticed_ms: float = _setting(20.0, "a mean time to the answer up to this is never an overload", unit="ms", low=0)
    max_lag: int = _setting(
        1_000_000, "messages that consumers may be behind; more are refused", unit="messages", low=1
    )
    request_timeout_s: float = _setting(30.0, "how long a request may take", unit="s", low=0.001)
    drain_s: float = _setting(10.0, "how long a stopping server waits for requests under way", unit="s", low=0)
    checkpoint_every_s: float = _setting(1.0, "how often the ledger's head is signed", unit="s", low=0)
    verify_every_s: float = _setting(
        300.0, "how often the ledger is verified, a twentieth of the time at most; 0 is never", unit="s", low=0
    )
    snapshot_every_s: float = _setting(60.0, "how often the state of features is kept", unit="s", low=0.001)
    root: Path = field(default_factory=Path.cwd, metadata={"internal": True})
    sources: Mapping[str, str] = field(default_factory=dict, metadata={"internal": True}, compare=False)

    def __post_init__(self) -> None:
        """Check every value against its type and range."""
        for setting in table():
            _check(setting, getattr(self, setting.name))

    @classmethod
    def load(
        cls,
        flags: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Self:
        """Gather the settings: ``flags`` go before ``environ`` (``STEWARD_*``), that before ``file``.

        Args:
            flags: Values by name; ``None`` means not given.
            environ: The environment; other variables than ``STEWARD_*`` are ignored.
            file: A ``steward.toml``, which must exist if given.

        Raises:
            DeclarationError: A name is not known, or a value does not fit.
        """
        values: dict[str, object] = {}
        sources: dict[str, str] = {}
        given = [(name, value, f"--{_dashed(name)}") for name, value in (flags or {}).items() if value is not None]
        found = [
            (name[len(PREFIX) :].lower(), value, name)
            for name, value in (environ or {}).items()
            if name.startswith(PREFIX) and name not in SECRETS
        ]
        written = [] if file is None else [(name, value, str(file)) for name, value in _read(file).items()]
        for name, value, source in (*written, *found, *given):
            values[name] = _convert(_named(name, source), value, source)
            sources[name] = source
        root = Path.cwd() if file is None else file.resolve().parent
        return cls(root=root, sources=sources, **values)  # type: ignore[arg-type] # _convert gives each field's own type

    def source_of(self, name: str) -> str:
        """Return where a value comes from: a flag, a variable, a file, or ``default``."""
        return self.sources.get(name, "default")

    def effective(self) -> dict[str, object]:
        """Return all values by name, with the passwords in URLs masked."""
        return {setting.name: _shown(getattr(self, setting.name)) for setting in table()}

    def path(self, relative: str) -> Path:
        """Return a path of these settings, made absolute."""
        return self.root / Path(relative).expanduser()

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.effective().items())})"


def table() -> Sequence[Field[Any]]:
    """Return the settings in order; ``metadata`` has their ``help``, ``unit`` and range."""
    return [each for each in fields(Settings) if "internal" not in each.metadata]


def find_file(start: Path) -> Path | None:
    """Return the nearest ``steward.toml`` in ``start`` or a folder above it, as git finds its repository."""
    return next((folder / FILE_NAME for folder in (start, *start.parents) if (folder / FILE_NAME).is_file()), None)


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DeclarationError(f"there is no settings file {file}", fix="steward init DIR makes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"the settings file {file} cannot be read", why=str(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"{file} is not valid TOML", why=str(error), fix="see docs/settings.md") from error


def _named(name: str, source: str) -> Field[Any]:
    known = {each.name: each for each in table()}
    if name not in known:
        raise DeclarationError(
            f"there is no setting {name!r}", why=f"it is set by {source}", fix=nearest(name, known), field=name
        )
    return known[name]


def _convert(setting: Field[Any], value: object, source: str) -> object:
    """Turn text (of a variable) into the setting's type; leave the rest to the check."""
    if setting.type == "tuple[str, ...]":
        if isinstance(value, str):
            return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
        return tuple(value) if isinstance(value, list | tuple) else value
    parse: Callable[[str], object] | None = {"int": int, "float": float}.get(str(setting.type))
    if parse is None:
        return value
    if isinstance(value, str):
        try:
            return parse(value)
        except ValueError as error:
            raise _wrong(setting, f"{value!r}, set by {source}, is not a number") from error
    return float(value) if setting.type == "float" and type(value) is int else value


def _check(setting: Field[Any], value: object) -> None:
    fits = {
        "str": isinstance(value, str),
        "int": type(value) is int,
        "float": type(value) in (int, float),
        "tuple[str, ...]": isinstance(value, tuple) and all(isinstance(part, str) for part in value),
    }[str(setting.type)]
    if not fits:
        raise _wrong(setting, f"{value!r} is not of the type {setting.type}")
    low, high = setting.metadata["low"], setting.metadata["high"]
    low, high = (-inf if low is None else low), (inf if high is None else high)
    if isinstance(value, int | float) and not low <= value <= high:  # NaN lies nowhere
        raise _wrong(setting, f"{value} does not lie in {low}..{high}")


def _wrong(setting: Field[Any], why: str) -> DeclarationError:
    unit = setting.metadata["unit"]
    help_text = setting.metadata["help"] + (f" ({unit})" if unit else "")
    fix = f"set {setting.name}: {help_text}; the default is {setting.default!r}"
    return DeclarationError(f"the setting {setting.name!r} does not fit", why=why, fix=fix, field=setting.name)


def _shown(value: object) -> object:
    return masked(value) if isinstance(value, str) else value


def _dashed(name: str) -> str:
    return name.replace("_", "-")
