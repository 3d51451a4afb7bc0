"""The two hundred ways of :mod:`steward.testing.tampering`."""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from steward.models.artefact import CARD, PROVENANCE, SIGNATURE
from steward.models.engines.linear import FILE
from steward.models.manifest import MANIFEST, digest_of
from steward.models.signing.card import Card, sign_card
from steward.models.signing.keys import PrivateKey
from steward.models.signing.statements import sign_files
from steward.models.signing.trust import revoke
from steward.testing.tampering import ANNA, BEN, LAST, MALLORY, MODEL, NOW, OTHER, STATED, Ground, Tampering

COUNT: Final = 200
_Change = Callable[[Ground], object]
_Where = Callable[[Ground], Path]


def cases() -> Sequence[Tampering]:
    """Return the two hundred ways, the same each time: those that are one of a kind, and flipped bits.

    Example:
        >>> len({case.name for case in cases()})
        200
    """
    special = [*_cut(), *_added(), *_gone_or_renamed(), *_linked(), *_swapped(), *_forged(), *_signed_by_others()]
    return [*islice(_flipped(), COUNT - len(special)), *special]


def _to(where: _Where, change: Callable[[Path], object]) -> _Change:
    return lambda ground: change(where(ground))


def _part(part: str) -> _Where:
    return lambda ground: ground.part(part)


def _within(name: str) -> _Where:
    return lambda ground: ground.inner() / name


def _beside(name: str) -> _Where:
    return lambda ground: ground.place() / name


def _stated(name: str) -> _Where:
    return lambda ground: ground.statement(name)


def _touch(path: Path) -> None:
    _write(path, b"x")


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _edit(part: str, change: Callable[[bytes], bytes]) -> Callable[[Ground], object]:
    def apply(ground: Ground) -> None:
        path = ground.part(part)
        _write(path, change(path.read_bytes()))

    return apply


def _flipped() -> Iterator[Tampering]:
    """Flip bits spread over the files; in statements within what is signed, as their JSON may be written anew."""
    for step in range(COUNT):
        part = (MANIFEST, FILE, SIGNATURE, FILE, MANIFEST, CARD, PROVENANCE)[step % 7]
        bit, at = step % 8, step * 37
        yield Tampering(f"bit {bit} of byte {at} of {part} flipped", _edit(part, _flip(at, 1 << bit, part)))


def _flip(at: int, mask: int, part: str) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        start = content.index(b'"payload":"') + 11 if part in STATED else 0
        length = content.index(b'"', start) - start if part in STATED else len(content)
        place = start + at % length
        return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]

    return apply


def _cut() -> Iterator[Tampering]:
    for part in (MANIFEST, FILE, *STATED):
        yield Tampering(f"{part} emptied", _edit(part, lambda content: b""))
        yield Tampering(f"{part} cut in half", _edit(part, lambda content: content[: len(content) // 2]))
        yield Tampering(f"the end of {part} cut off", _edit(part, lambda content: content[:-3]))
        yield Tampering(f"{part} continued", _edit(part, lambda content: content + b"{}"))
        yield Tampering(f"{part} doubled", _edit(part, lambda content: content + content))


def _added() -> Iterator[Tampering]:
    names = (
        "extra.py", "sitecustomize.py", "__init__.py", ".DS_Store", ".hidden", "._model.json", "model.json~",
        "MODEL.JSON", "model.json.sig", "model.txt", "weights.bin", " model.json", "model.json\n", "\u200bmodel.json",
    )  # fmt: skip
    for name in names:
        yield Tampering(f"a file {name!r} added", _to(_within(name), _touch))
    for name in ("extra", ".git", "__pycache__"):
        yield Tampering(f"a folder {name} added", _to(_within(name), Path.mkdir))
    for name in ("evil.json", ".hidden", "signature.json.bak"):
        yield Tampering(f"a statement {name} added", _to(_stated(name), _touch))
    for name in ("notes.txt", ".hidden", "sha256-0"):
        yield Tampering(f"{name} put beside", _to(_beside(name), _touch))
    yield Tampering("a second digest put beside", _to(_beside(f"sha256-{'0' * 64}"), Path.mkdir))


def _gone_or_renamed() -> Iterator[Tampering]:
    for part in (MANIFEST, FILE, SIGNATURE):
        yield Tampering(f"{part} removed", _to(_part(part), Path.unlink))
        yield Tampering(f"{part} renamed", _to(_part(part), lambda path: path.rename(path.with_suffix(".bak"))))
        yield Tampering(f"{part} moved up", _to(_part(part), lambda path: path.rename(path.parent.parent / path.name)))
    yield Tampering("the files removed", _to(Ground.inner, shutil.rmtree))
    yield Tampering("the version removed", _to(Ground.place, shutil.rmtree))
    yield Tampering("the statements removed", _to(_beside("statements"), shutil.rmtree))
    yield Tampering("the digest in capitals", _to(Ground.inner, lambda path: path.rename(path.with_name("SHA256-x"))))
    yield Tampering("another digest", _to(Ground.inner, lambda path: path.rename(path.with_name(f"sha256-{'0' * 64}"))))
    yield Tampering("a file in the version's place", _to(Ground.place, _in_place_of))
    yield Tampering("a file in the place of the files", _to(Ground.inner, _in_place_of))


def _in_place_of(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"3")


def _linked() -> Iterator[Tampering]:
    for part in (MANIFEST, FILE, *STATED):
        yield Tampering(f"{part} a link to itself elsewhere", partial(_link, where=_part(part)))
        yield Tampering(f"{part} a pipe", _to(_part(part), partial(_replace, make=os.mkfifo)))
        yield Tampering(f"{part} a folder", _to(_part(part), partial(_replace, make=Path.mkdir)))
        yield Tampering(f"{part} a link to nothing", _to(_part(part), partial(_replace, make=_to_nothing)))
    yield Tampering("the files a link", partial(_link, where=Ground.inner))
    yield Tampering("the statements a link", partial(_link, where=_beside("statements")))
    yield Tampering("the version a link", partial(_link, where=Ground.place))
    yield Tampering("the version a link to another", _to_other)
    yield Tampering("the name a link", partial(_link, where=lambda ground: ground.root / MODEL))


def _link(ground: Ground, where: _Where) -> None:
    path, elsewhere = where(ground), ground.folder / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _to_other(ground: Ground) -> None:
    shutil.rmtree(ground.place())
    ground.place().symlink_to("2")


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _to_nothing(path: Path) -> None:
    path.symlink_to("/nowhere")


def _swapped() -> Iterator[Tampering]:
    for name, version in ((MODEL, 1), (MODEL, 2), (OTHER, 1)):
        of = f"version {version} of {name}"
        for statement in STATED:
            yield Tampering(f"{statement} of {of}", _take(name, version, statement))
        yield Tampering(f"the model's file of {of}", _take(name, version, FILE))
        yield Tampering(f"the manifest of {of}", _take(name, version, MANIFEST))
        yield Tampering(f"the files of {of}", _take(name, version, FILE, MANIFEST))
        yield Tampering(f"files and statements of {of}", _take(name, version, FILE, MANIFEST, *STATED))
        yield Tampering(f"all of {of}", partial(_take_all, name=name, version=version))


def _take(name: str, version: int, *parts: str) -> Callable[[Ground], object]:
    def apply(ground: Ground) -> None:
        for part in parts:
            inner = ground.inner(name, version) / part
            source = ground.statement(part, name, version) if part in STATED else inner
            _write(ground.part(part), source.read_bytes())

    return apply


def _take_all(ground: Ground, name: str, version: int) -> None:
    shutil.rmtree(ground.place())
    shutil.copytree(ground.place(name, version), ground.place())


_FORGED: Final[Mapping[str, Any]] = {
    "name": "price", "version": 2, "kind": "lightgbm", "task": "binary", "inputs": ["weekday"], "files": {},
    "created_at": "2027-01-01T00:00:00Z", "metrics": {"mae": 0.0}, "format": "steward.model/2", "extra": 1,
}  # fmt: skip


def _forged() -> Iterator[Tampering]:
    """Edit the manifest: as it stands, and with its folder renamed so that all digests hold."""
    for field in _FORGED:
        yield Tampering(f"the manifest's {field} edited", partial(_forge, field=field))
        yield Tampering(f"the manifest's {field} edited, its folder renamed", partial(_forge_all, field=field))
    yield Tampering("another model with all digests right", _replace_model)


def _forge_all(ground: Ground, field: str) -> None:
    _rename(ground, _forge(ground, field))


def _forge(ground: Ground, field: str) -> bytes:
    plain = msgspec.json.decode(ground.manifest.read_bytes())
    content = msgspec.json.encode({**plain, field: _FORGED[field]})
    _write(ground.manifest, content)
    return content


def _rename(ground: Ground, manifest: bytes) -> None:
    ground.inner().rename(ground.place() / digest_of(manifest).replace(":", "-"))


def _replace_model(ground: Ground) -> bytes:
    """Change the answer, and every digest with it."""
    old = ground.file.read_bytes()
    new = old.replace(b"3.0", b"9.0")
    manifest = ground.manifest.read_bytes().replace(digest_of(old)[7:].encode(), digest_of(new)[7:].encode())
    _write(ground.file, new)
    _write(ground.manifest, manifest)
    _rename(ground, manifest)
    return manifest


def _signed_by_others() -> Iterator[Tampering]:
    for name, key in (("a stranger", MALLORY), ("one whose key was revoked", BEN)):
        yield Tampering(f"signed by {name}", partial(_sign, key=key))
        yield Tampering(f"another model signed by {name}", partial(_sign_forgery, key=key))
        yield Tampering(f"card by {name}", partial(_sign_card, key=key))
    yield Tampering("signed by a stranger in anna's name", partial(_sign, key=MALLORY, as_id=ANNA.id))
    yield Tampering("signed by nobody", _envelope(signatures=[]))
    yield Tampering("signed as something else", _envelope(payloadType="text/plain"))
    yield Tampering("an empty statement signed", _envelope(payload=b64encode(b"{}").decode()))
    yield Tampering("the digest revoked", _revoke_digest)
    yield Tampering("the key revoked", lambda ground: revoke(ground.trust, ANNA.id, reason="lost", at=NOW))
    yield Tampering("the trusted key removed", lambda ground: (ground.trust / "anna.pem").unlink())
    yield Tampering("the trusted keys removed", lambda ground: shutil.rmtree(ground.trust))


def _sign(ground: Ground, key: PrivateKey, as_id: str = "") -> None:
    digests = {path.name: digest_of(path.read_bytes())[7:] for path in (ground.file, ground.manifest)}
    bundle = sign_files("load/3", digests, key)
    _write(ground.statement(SIGNATURE), bundle.replace(key.id.encode(), as_id.encode()) if as_id else bundle)


def _sign_forgery(ground: Ground, key: PrivateKey) -> None:
    _replace_model(ground)
    _sign(ground, key)


def _sign_card(ground: Ground, key: PrivateKey) -> None:
    digest = ground.inner().name.replace("-", ":")
    _write(ground.statement(CARD), sign_card(Card(purpose="Anything."), MODEL, str(LAST), digest, key))


def _envelope(**changes: Any) -> Callable[[Ground], object]:
    def apply(content: bytes) -> bytes:
        bundle = msgspec.json.decode(content)
        bundle["dsseEnvelope"] |= changes
        return msgspec.json.encode(bundle)

    return _edit(SIGNATURE, apply)


def _revoke_digest(ground: Ground) -> None:
    revoke(ground.trust, ground.inner().name.replace("-", ":"), reason="it learned from wrong data", at=NOW)
