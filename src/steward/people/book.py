"""The address book: groups with their rotas and quiet hours, and how each person is reached; one TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from steward.errors import DeclarationError
from steward.people.rota import QuietHours, Rota


class Group(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People who are told together.

    Args:
        people: Who belongs to it.
        rota: Who of them is on call.
        quiet: When only who is on call is told.

    Example:
        >>> Group(people=("ana", "bo")).people
        ('ana', 'bo')
    """

    people: tuple[str, ...]
    rota: Rota | None = None
    quiet: QuietHours | None = None


class Contact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one person is reached: any of these, by the names of the channels.

    Example:
        >>> Contact(smtp="ana@example.org").channels
        {'smtp': 'ana@example.org'}
    """

    smtp: str | None = None
    webhook: str | None = None
    apprise: str | None = None

    @property
    def channels(self) -> dict[str, str]:
        """The addresses that are given, by channel."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: address for name, address in given.items() if address}

    def __repr__(self) -> str:
        """Name the channels only: addresses of webhooks and of Apprise may hold secrets."""
        return f"Contact({', '.join(self.channels)})"


class Smtp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mail server that messages are handed to.

    Args:
        host: Its name.
        port: 465 speaks TLS from the start, others by STARTTLS.
        sender: The address that messages come from.
        user: Who signs in; nobody by default.
        password_file: A file with the password; the file may be read by its owner only.
        plain: Whether a server without TLS may be used; only for one on this machine.

    Example:
        >>> Smtp(host="mail.example.org", sender="steward@example.org").port
        587
    """

    host: str
    sender: str
    port: int = 587
    user: str = ""
    password_file: str = ""
    plain: bool = False


class Hook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How webhooks are signed and where they may go.

    Args:
        secret_file: A file with the secret that signs each message.
        allow: Hosts or networks inside that webhooks may reach besides the public internet.
        ports: Ports that they may reach besides 443 and 80.

    Example:
        >>> Hook(secret_file="hook.secret").allow
        ()
    """

    secret_file: str
    allow: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


class AddressBook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told what, and how.

    Args:
        groups: By the names that gates use, and by the owners of decisions.
        people: How each person is reached.
        page: The address of the console, for links.
        smtp: The mail server.
        webhook: How webhooks are signed.

    Raises:
        DeclarationError: A group names somebody whom nobody can reach.

    Example:
        >>> book = AddressBook(groups={"desk": Group(people=("ana",))}, people={"ana": Contact(smtp="a@example.org")},
        ...                    smtp=Smtp(host="mail.example.org", sender="steward@example.org"))
        >>> book.members("desk"), book.members("ana"), book.members("nobody")
        (('ana',), ('ana',), ())
    """

    groups: Mapping[str, Group] = {}
    people: Mapping[str, Contact] = {}
    page: str = ""
    smtp: Smtp | None = None
    webhook: Hook | None = None

    def __post_init__(self) -> None:
        """Refuse a book in which a message would get lost."""
        for name, group in self.groups.items():
            on_call = group.rota.people if group.rota else ()
            for person in (*group.people, *on_call):
                if not (self.people.get(person) or Contact()).channels:
                    raise DeclarationError(
                        f"nobody knows how to reach {person!r} of group {name!r}",
                        fix=f"add [people.{person}] with smtp, webhook or apprise",
                        field=f"people.{person}",
                    )
        for person, contact in self.people.items():
            for channel in ("smtp", "webhook"):
                if channel in contact.channels and getattr(self, channel) is None:
                    raise DeclarationError(
                        f"{person!r} is reached by {channel}, but there is no [{channel}]",
                        fix=f"add [{channel}] to the address book",
                        field=channel,
                    )

    def members(self, name: str) -> tuple[str, ...]:
        """Return the people of a group, or the person of that name; nobody if it is neither."""
        if name in self.groups:
            return self.groups[name].people
        return (name,) if name in self.people else ()


def read_book(path: Path) -> AddressBook:
    """Read an address book.

    Raises:
        DeclarationError: It cannot be read, or does not fit; ``field`` is the path to the mistake.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=AddressBook)
    except OSError as error:
        raise DeclarationError(f"the address book {path} cannot be read", why=str(error), field="people") from error
    except msgspec.ValidationError as error:
        raise DeclarationError(f"the address book {path} does not fit", why=str(error), field="people") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path} is not valid TOML", why=str(error), field="people") from error
