"""An OPC UA server of a plant: what it measures as variables, what it can be told as methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from steward.cases.grid.field.lazily import lazily, quiet
from steward.cases.grid.field.opcua.identity import ServerSecurity
from steward.cases.grid.field.opcua.names import (
    ARGUMENTS,
    LONGEST_KEY,
    NAMESPACE,
    NAMESPACE_INDEX,
    ORDERS,
    Order,
    orders_of,
    status_of,
)
from steward.cases.grid.field.orders import Orders
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.clock import Clock
from steward.errors import Conflict, EngineError

asyncua, ua, permissions = map(lazily, ("asyncua", "asyncua.ua", "asyncua.crypto.permission_rules"))
_LARGEST_MESSAGE_BYTES = 1 << 20
_ORDERING = ("CallRequest", "WriteRequest")
_TYPES = {datetime: "DateTime", str: "String", float: "Double"}
_STATUS = {Quality.GOOD: "Good", Quality.UNCERTAIN: "Uncertain", Quality.BAD: "BadSensorFailure"}


class OpcUaServer:
    """Speaks for a plant over OPC UA (Basic256Sha256, sign and encrypt; user and certificate).

    Args:
        layout: What is measured.
        orders: What takes control and set-points.
        security: Who is let in.
        clock: For the validity of certificates.
        host: Where to listen; nobody but this machine reaches the default.
        port: 0 takes a free one.

    Raises:
        EngineError: At :meth:`start`, if it cannot listen there.

    Example:
        >>> async def serve(server: OpcUaServer, plant: FieldPlant) -> None:
        ...     await server.start()
        ...     await server.publish(plant.readings())
        ...     print(server.url)
        ...     await server.stop()
    """

    def __init__(
        self,
        layout: Layout,
        orders: Orders,
        *,
        security: ServerSecurity,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 4840,
    ) -> None:
        self._layout, self._orders, self._security, self._clock = layout, orders_of(orders), security, clock
        self._host, self._port = host, port
        quiet("asyncua")
        self._server = asyncua.Server(user_manager=_Users(security))
        self._nodes: dict[Point, Any] = {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"opc.tcp://{self._host}:{self._port}/steward/"

    async def start(self) -> None:
        """Build the address space and listen."""
        server, identity = self._server, self._security.identity
        await server.init()
        server.set_server_name("Steward plant")
        await server.set_application_uri(identity.uri)
        server.set_endpoint(self.url)
        server.iserver.allow_remote_admin = False
        server.limits.max_message_size = _LARGEST_MESSAGE_BYTES
        policies, tokens = [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt], [ua.UserNameIdentityToken]
        if self._security.anonymous:
            policies.append(ua.SecurityPolicyType.NoSecurity)
            tokens.append(ua.AnonymousIdentityToken)
        server.set_security_policy(policies, permission_ruleset=_Rights())
        server.set_identity_tokens(tokens)
        server.iserver.certificate_validator = self._check_client
        await server.load_certificate(identity.certificate)
        await server.load_private_key(identity.key)
        await self._build()
        try:
            await server.start()
        except OSError as error:
            raise EngineError(
                f"cannot listen on {self._host}:{self._port}", why=str(error), fix="choose another port"
            ) from error
        self._port = server.bserver.port if server.bserver else self._port

    async def stop(self) -> None:
        """Close every session and listen no more."""
        await self._server.stop()

    async def publish(self, readings: Sequence[Reading]) -> None:
        """Let the variables say what was read; subscribers are told."""
        for reading in readings:
            await self._server.write_attribute_value(self._nodes[Point.of(reading)], data_value(reading))

    async def _build(self) -> None:
        server = self._server
        index = await server.register_namespace(NAMESPACE)
        if index != NAMESPACE_INDEX:
            raise EngineError(f"{NAMESPACE} is namespace {index}, not {NAMESPACE_INDEX}")
        objects = server.get_objects_node()
        site = await objects.add_object(ua.NodeId(self._layout.name, index), self._layout.name)
        things: dict[str, Any] = {}
        for point in self._layout.points:
            if point.mrid not in things:
                things[point.mrid] = await site.add_object(ua.NodeId(point.mrid, index), point.mrid)
            waiting = ua.DataValue(
                ua.Variant(None, ua.VariantType.Null), StatusCode=_status("BadWaitingForInitialData")
            )
            variable = await things[point.mrid].add_variable(
                ua.NodeId(point.name, index), point.reading_type, 0.0, varianttype=ua.VariantType.Double
            )
            self._nodes[point] = variable.nodeid
            await server.write_attribute_value(variable.nodeid, waiting)
        commands = await site.add_object(ua.NodeId(ORDERS, index), ORDERS)
        for name, arguments in ARGUMENTS.items():
            inputs = [_argument(argument, kind) for argument, kind in arguments.items()]
            outputs = [_argument(output, str) for output in ("reference", "power_mw")]
            called = _answering(self._orders[name], tuple(arguments.values()))
            await commands.add_method(ua.NodeId(name, index), name, called, inputs, outputs)

    async def _check_client(self, certificate: x509.Certificate, application: Any) -> None:
        """Refuse a certificate that is not trusted, not valid now, or of another application."""
        if not self._security.trusted.trusts(certificate.public_bytes(Encoding.DER)):
            raise ua.UaStatusCodeError(ua.StatusCodes.BadCertificateUntrusted)
        if not certificate.not_valid_before_utc <= self._clock.now() <= certificate.not_valid_after_utc:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadCertificateTimeInvalid)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if application.ApplicationUri not in names.get_values_for_type(x509.UniformResourceIdentifier):
            raise ua.UaStatusCodeError(ua.StatusCodes.BadCertificateUriInvalid)


class _Users:
    """Lets in who has both a trusted certificate and a password, and whoever wants to look if that is configured."""

    def __init__(self, security: ServerSecurity) -> None:
        self._security = security

    def get_user(
        self, iserver: object, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> Any:
        if username is None:
            return permissions.User(permissions.UserRole.Anonymous) if self._security.anonymous else None
        known = self._security.users.get(username)
        expected = known.password if known else ""
        right = compare_digest(expected.encode(), (password or "").encode())
        # The channel's own certificate, as a session may be asked for without showing one.
        if known is None or not expected or not right or not self._security.trusted.trusts(certificate):
            return None
        role = permissions.UserRole.User if known.may_order else permissions.UserRole.Anonymous
        return permissions.User(role, name=username)


class _Rights:
    """Everybody who was let in may look; only who gives orders may call and write."""

    def __init__(self) -> None:
        ids, roles = ua.ObjectIds, permissions.UserRole
        every = {ua.NodeId(id) for id in permissions.USER_TYPES}
        ordering = {ua.NodeId(getattr(ids, f"{name}_Encoding_DefaultBinary")) for name in _ORDERING}
        self._may = {roles.User: every, roles.Anonymous: every - ordering}

    def check_validity(self, user: Any, action_type: object, body: object) -> bool:
        return action_type in self._may.get(user.role, ())


def data_value(reading: Reading) -> Any:
    """Return a reading as OPC UA says it."""
    value = ua.Variant(None, ua.VariantType.Null) if reading.value is None else ua.Variant(reading.value)
    return ua.DataValue(
        value,
        StatusCode=_status(_STATUS[reading.quality]),
        SourceTimestamp=reading.source_time,
        ServerTimestamp=reading.server_time,
    )


def _status(name: str) -> Any:
    return ua.StatusCode(getattr(ua.StatusCodes, name))


def _argument(name: str, kind: type) -> Any:
    data_type = ua.NodeId(ua.VariantType[_TYPES[kind]].value)
    return ua.Argument(Name=name, DataType=data_type, ValueRank=-1, ArrayDimensions=[])


def _answering(order: Order, kinds: tuple[type, ...]) -> Callable[..., Any]:
    """Return a method that checks its arguments, and answers a refusal with its status code."""

    async def answer(parent: object, *given: Any) -> Any:
        arguments = [_argument_value(variant, kind) for variant, kind in zip(given, kinds, strict=False)]
        if len(given) != len(kinds) or None in arguments:
            return _status("BadInvalidArgument")
        try:
            receipt = order(*arguments)
        except (EngineError, Conflict) as refusal:
            return _status(status_of(refusal))
        reference, detail = ("", {}) if receipt is None else (receipt.reference, receipt.detail)
        return [ua.Variant(text, ua.VariantType.String) for text in (reference, detail.get("power_mw", ""))]

    return answer


def _argument_value(variant: Any, kind: type) -> Any:
    """Return an argument's value if it is of that kind and makes sense."""
    if variant.is_array or not isinstance(variant.Value, kind):
        return None
    value: Any = variant.Value
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is str:
        return value if 0 < len(value) <= LONGEST_KEY else None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
