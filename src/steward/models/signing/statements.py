"""What is stated beside a registered folder, and the first statement: the signature over its files.

The signature is the one of OpenSSF model-signing 1.0: an in-toto statement that lists each file with its SHA-256, in a
DSSE envelope, in a Sigstore bundle. One of ours is verified by the ``model-signing`` package, and one of its by us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from steward.errors import Distrusted
from steward.models.artefact import SIGNATURE, Artefact
from steward.models.manifest import MANIFEST, Manifest
from steward.models.signing.dsse import IN_TOTO, Envelope, parse, sign, verify
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import Trust, TrustedKey

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://model_signing/signature/v1.0"
_FIX: Final = "sign the version again with steward models sign, after comparing its files with their source"


class Subject(Struct, frozen=True):
    """What an in-toto statement is about: a name, and digests by their algorithm.

    Example:
        >>> Subject("load/3", {"sha256": 64 * "0"}).name
        'load/3'
    """

    name: str
    digest: dict[str, str]


class Resource(Struct, frozen=True):
    """One signed file.

    Example:
        >>> Resource(name="model.txt", digest=64 * "0").algorithm
        'sha256'
    """

    name: str
    digest: str
    algorithm: str = "sha256"


class Serialization(Struct, frozen=True):
    """How the files became a list: ours is each file whole, links refused, nothing left out.

    Example:
        >>> Serialization().method
        'files'
    """

    method: str = "files"
    hash_type: str = "sha256"
    allow_symlinks: bool = False


class Files(Struct, frozen=True):
    """The predicate of model-signing: each file, and how the list was made.

    Example:
        >>> Files(Serialization(), (Resource("model.txt", 64 * "0"),)).root[:8]
        '66687aad'
    """

    serialization: Serialization
    resources: tuple[Resource, ...]

    @property
    def root(self) -> str:
        """SHA-256 of all digests in their order, which the statement's subject has."""
        return sha256(b"".join(bytes.fromhex(each.digest) for each in self.resources)).hexdigest()


class SignedFiles(Struct, frozen=True, kw_only=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The in-toto statement that is signed.

    Example:
        >>> files = Files(Serialization(), (Resource("model.txt", 64 * "0"),))
        >>> SignedFiles(subject=(Subject("load/3", {"sha256": files.root}),), predicate=files).predicate_type
        'https://model_signing/signature/v1.0'
    """

    type_: Literal["https://in-toto.io/Statement/v1"] = STATEMENT
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://model_signing/signature/v1.0"] = PREDICATE
    predicate: Files


class _KeyHint(Struct, frozen=True):
    hint: str = ""


class _Material(Struct, frozen=True, rename="camel"):
    public_key: _KeyHint
    tlog_entries: tuple[Any, ...] = ()


class _Bundle(Struct, frozen=True, kw_only=True, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: Envelope


def digests_of(manifest: Manifest, digest: str) -> dict[str, str]:
    """Return the SHA-256 of each file of a version's folder, the manifest's own too.

    Args:
        manifest: It names the files.
        digest: The version's digest, which is the manifest's.
    """
    return {MANIFEST: digest.removeprefix("sha256:"), **{name: facts.sha256 for name, facts in manifest.files.items()}}


def sign_files(name: str, digests: Mapping[str, str], key: PrivateKey) -> bytes:
    """Return the bundle that says of each of these files what its SHA-256 is.

    Args:
        name: What the files are called together, as ``load/3``; it informs, and is not verified.
        digests: Each file's name, and its SHA-256 in hex.
        key: Signs it; model-signing's own verifier knows P-256 only.

    Example:
        >>> key = PrivateKey.of_seed(bytes(32))
        >>> bundle = sign_files("load/3", {"model.txt": 64 * "0"}, key)
        >>> verify_files(bundle, {"model.txt": 64 * "0"}, Trust.of(anna=key.public)).name
        'anna'
    """
    files = Files(Serialization(), tuple(Resource(each, digests[each]) for each in sorted(digests)))
    statement = SignedFiles(subject=(Subject(name, {"sha256": files.root}),), predicate=files)
    envelope = sign(IN_TOTO, msgspec.json.encode(statement), key)
    bundle = _Bundle(media_type=BUNDLE, verification_material=_Material(_KeyHint(key.id)), dsse_envelope=envelope)
    return msgspec.json.encode(bundle) + b"\n"


def sign_version(manifest: Manifest, digest: str, key: PrivateKey) -> bytes:
    """Return the signature of a version: the bundle over its files and its manifest."""
    return sign_files(f"{manifest.name}/{manifest.version}", digests_of(manifest, digest), key)


def verify_files(bundle: bytes, digests: Mapping[str, str], trust: Trust, what: str = "the model") -> TrustedKey:
    """Return whose signature it is, if a trusted key has signed exactly these files.

    Args:
        bundle: The content of ``signature.json``, or of a ``model.sig`` that model-signing wrote.
        digests: Each file that is there, and the SHA-256 of the bytes that will be used.
        trust: Whose signatures count.
        what: Names the artefact in errors.

    Raises:
        Distrusted: It is no such signature, nobody trusted made it, or it is one over other files.
    """
    read = parse(bundle, _Bundle, f"the signature of {what}")
    if read.media_type != BUNDLE:
        raise _refused(what, f"its signature is a {read.media_type[:100]!r}, not a {BUNDLE!r}")
    hint = read.verification_material.public_key.hint
    if any(hint and each.keyid not in {"", hint} for each in read.dsse_envelope.signatures):
        raise _refused(what, "its signature names two keys")
    signed = verify(read.dsse_envelope, trust, payload_type=IN_TOTO, hint=hint, what=what)
    statement = parse(signed.payload, SignedFiles, f"what {signed.key.name} has signed of {what}")
    _check_files(statement, digests, what, signed.key.name)
    return signed.key


def signer_of(artefact: Artefact, trust: Trust) -> TrustedKey:
    """Return who vouches for an artefact, whose digests were compared with its bytes before.

    Raises:
        Distrusted: Nobody who is trusted does, or it was revoked.
    """
    trust.require(artefact.digest, artefact.title)
    if SIGNATURE not in artefact.statements:
        raise Distrusted(
            f"{artefact.title} is not signed",
            why="the setting trust asks for a signature by a trusted key",
            fix=f"steward models sign {artefact.name} --version {artefact.version}, or use a version that is signed",
        )
    digests = digests_of(artefact.manifest, artefact.digest)
    return verify_files(artefact.statements[SIGNATURE], digests, trust, artefact.title)


def _check_files(statement: SignedFiles, digests: Mapping[str, str], what: str, owner: str) -> None:
    method, resources = statement.predicate.serialization, statement.predicate.resources
    if (method.method, method.hash_type) != ("files", "sha256") or {each.algorithm for each in resources} - {"sha256"}:
        raise _refused(what, f"{owner} signed {method.method} by {method.hash_type}, and only files by sha256 are read")
    signed = {each.name: each.digest for each in resources}
    if len(signed) < len(resources):
        raise _refused(what, f"{owner} signed a file twice")
    for name in sorted({*signed, *digests}):
        if name not in digests:
            raise _refused(what, f"{name}, which {owner} signed, is missing")
        if name not in signed:
            raise _refused(what, f"{owner} signed other files: {name} is not among them")
        if signed[name] != digests[name]:
            raise _refused(what, f"{owner} signed other bytes of {name}, of another version or model perhaps")
    roots: Sequence[str] = [each.digest.get("sha256", "") for each in statement.subject]
    if roots != [statement.predicate.root]:
        raise _refused(what, f"what {owner} signed does not fit together: its subject is not the digest of its files")


def _refused(what: str, why: str) -> Distrusted:
    return Distrusted(f"{what} is not what was signed", why=why, fix=_FIX)
