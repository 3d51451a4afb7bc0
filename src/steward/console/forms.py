"""Forms: what a page sends, decoded as strictly as an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from fastapi import Depends, Request
from msgspec import Struct

from steward.api.admission import service_of
from steward.api.exchange import Exchange
from steward.errors import ContractError

T = TypeVar("T", bound=Struct)
_FORM = b"application/x-www-form-urlencoded"
_MAX_FIELDS = 200


def decode_form(struct: type[T], body: bytes) -> T:
    """Decode a form into a struct; fields left empty are as if they were not there.

    Fields named ``choice.pay`` and ``choice.amount`` are the parts of a field ``choice``, as text by name.

    Args:
        struct: What the form's fields are.
        body: As the browser sent it.

    Raises:
        ContractError: It does not fit; ``field`` names the place.

    Example:
        >>> class Answer(Struct, forbid_unknown_fields=True):
        ...     reason: str
        ...     times: int = 1
        >>> decode_form(Answer, b"reason=too+dear&times=")
        Answer(reason='too dear', times=1)
        >>> class Change(Struct, forbid_unknown_fields=True):
        ...     choice: dict[str, str]
        >>> decode_form(Change, b"choice.pay=yes&choice.amount=7")
        Change(choice={'pay': 'yes', 'amount': '7'})
    """
    try:
        sent = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise ContractError("the form cannot be read", why=str(error), code="http.bad-request") from error
    fields: dict[str, Any] = {}
    lists = {each.encode_name for each in msgspec.structs.fields(struct) if _is_list(each.type)}
    seen: set[str] = set()
    for name, value in sent:
        whole, _, part = name.partition(".")
        if name in lists:
            fields.setdefault(name, []).append(value.strip())
        elif name in seen or (part and not isinstance(fields.setdefault(whole, {}), dict)):
            raise ContractError(f"the field {name} was sent twice", fix="send it once", field=name)
        elif value.strip():
            (fields[whole] if part else fields)[part or name] = value.strip()
        seen.add(name)
    return fitted(struct, fields)


def fitted(struct: type[T], fields: Mapping[str, Any]) -> T:
    """Return fields of a form as a struct: its own, or what a service takes, so that its rules hold here, too.

    Raises:
        ContractError: They do not fit; ``field`` names the place.

    Example:
        >>> class Answer(Struct, forbid_unknown_fields=True):
        ...     reason: str
        >>> fitted(Answer, {})
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: reason is missing. Next: fill it in
    """
    try:
        return msgspec.convert(fields, struct, strict=False)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at ")
        field = where.strip("`$.") or text.rpartition("`")[0].rpartition("`")[2]
        if text.startswith("Object missing required field") or text.endswith("of length >= 1"):
            raise ContractError(f"{field} is missing", fix="fill it in", field=field) from error
        raise ContractError(
            f"the form does not fit: {text}", fix="correct it and send it again", field=field
        ) from error


def _is_list(annotation: Any) -> bool:
    inspected = msgspec.inspect.type_info(annotation)
    return isinstance(inspected, msgspec.inspect.ListType | msgspec.inspect.VarTupleType)


def sends(struct: type[T]) -> Any:
    """Return the dependency that reads a request's form."""

    async def read(request: Request) -> T:
        limit_bytes = service_of(request).runtime.settings.max_body_bytes
        exchange = Exchange(request.scope["headers"], limit_bytes=limit_bytes, receive=request.receive)
        exchange.media_type(_FORM)
        return decode_form(struct, await exchange.body())

    return Depends(read)
