"""What a commit may hold; checked at the door of every engine, before anything is written."""

from __future__ import annotations

from steward.errors import ContractError, NotFound
from steward.ledger.port import Commit

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_KEY_LETTERS = 256
MAX_POSITION = 2**63 - 1


def check_commit(commit: Commit) -> None:
    """Refuse what no engine stores.

    Raises:
        ContractError: A body, key or cursor is out of its range; ``field`` names it.

    Example:
        >>> check_commit(Commit(cursors={"loop": -1}))
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: cursor 'loop' is at -1. Why: positions are 0..2**63-1
    """
    for place, draft in enumerate(commit.entries):
        if len(draft.body) > MAX_BODY_BYTES:
            raise ContractError(
                f"an entry's body has {len(draft.body)} bytes",
                why=f"at most {MAX_BODY_BYTES} are stored",
                field=f"entries[{place}].body",
            )
        if draft.key is not None and len(draft.key) > MAX_KEY_LETTERS:
            raise ContractError(
                f"an entry's key has {len(draft.key)} letters",
                why=f"at most {MAX_KEY_LETTERS} are stored",
                fix="use a digest of it",
                field=f"entries[{place}].key",
            )
    for place, message in enumerate(commit.messages):
        if len(message.data) > MAX_BODY_BYTES:
            raise ContractError(
                f"a message has {len(message.data)} bytes",
                why=f"at most {MAX_BODY_BYTES} are stored",
                field=f"messages[{place}].data",
            )
    for name, position in commit.cursors.items():
        if not 0 <= position <= MAX_POSITION:
            raise ContractError(
                f"cursor {name!r} is at {position}", why="positions are 0..2**63-1", field=f"cursors.{name}"
            )


def check_range(size: int, have: int, *, index: int | None = None, first: int = 0) -> None:
    """Refuse a tree size, leaf index or older tree size that the ledger (``have`` entries) does not have.

    Raises:
        NotFound: Something asked for lies beyond the end.

    Example:
        >>> check_range(3, 2)
        Traceback (most recent call last):
        ...
        steward.errors.NotFound: there is no tree of 3 entries. Why: the ledger has 2
    """
    if not 0 <= size <= have:
        raise NotFound(f"there is no tree of {size} entries", why=f"the ledger has {have}", field="size")
    if index is not None and not 0 <= index < size:
        raise NotFound(f"there is no entry {index} in the tree of {size}", field="index")
    if not 0 <= first <= size:
        raise NotFound(f"the tree of {first} entries cannot begin that of {size}", field="first")
