"""From methods of a protocol to functions over the namesystem.

Each protocol file fills a :class:`MethodTable`. A *read* sees the snapshots of its pass and
answers at once. A *change* runs in the writer's next batch and is answered when durable;
``at_most_once`` ones are remembered under client id and call id, so that a client that
lost the answer and asks again gets the same one (Hadoop's retry cache). A *task* is a
coroutine. Functions take (namesystem, request, caller[, turn]) and return a protobuf
message or its bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cairnfs.errors import CairnError
from cairnfs.namenode.turn import Turn
from cairnfs.namespace import retry_cache
from cairnfs.net.rpc_server import LATER, Answer, Handler, RpcService, ServerCall
from cairnfs.types import Caller
from cairnfs.wire.codec import parse

if TYPE_CHECKING:
    from cairnfs.namenode.namesystem import Namesystem


class Message(Protocol):
    """A protobuf message, as far as a role looks into it."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802


class KeptError(Exception):
    """Answer ``error``, but keep what the operation changed (no rollback)."""

    def __init__(self, error: CairnError) -> None:
        super().__init__(str(error))
        self.error = error


class NotYetError(Exception):
    """The operation may succeed in a moment: try it again when ``held`` says that what it
    waits for (``key``) has come, and answer ``error`` at ``deadline_ms`` (steady time)."""

    def __init__(self, key: int, deadline_ms: int, error: CairnError) -> None:
        super().__init__(str(error))
        self.key = key
        self.deadline_ms = deadline_ms
        self.error = error


F = TypeVar("F", bound=Callable[..., Any])


class MethodTable:
    """The methods of one protocol, as its file declares them."""

    def __init__(self, protocol: str, version: int = 1) -> None:
        self.protocol = protocol
        self.version = version
        self._makers: dict[str, Callable[[Namesystem], Handler]] = {}
        self._raw: dict[str, Callable[[Namesystem, bytes, Caller], bytes]] = {}

    def direct(
        self, name: str, function: Callable[[Namesystem, bytes, ServerCall], Answer]
    ) -> None:
        """A method that answers in its own way."""
        self._makers[name] = lambda system: functools.partial(function, system)

    def raw(self, name: str) -> Callable[[F], F]:
        """A hot read that takes the request's bytes as they are."""

        def decorate(function: F) -> F:
            self._raw[name] = function
            return function

        return decorate

    def read(self, name: str, request_type: Any) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            self._makers[name] = lambda system: _read_handler(system, request_type, function)
            return function

        return decorate

    def change(
        self,
        name: str,
        request_type: Any,
        *,
        at_most_once: bool = False,
        volatile: bool = False,
        in_safe_mode: bool = False,
    ) -> Callable[[F], F]:
        """``volatile`` ones touch replica locations only; ``in_safe_mode`` ones are allowed
        there."""

        def decorate(function: F) -> F:
            self._makers[name] = lambda system: _change_handler(
                system, name, request_type, function, at_most_once, volatile, in_safe_mode
            )
            return function

        return decorate

    def task(self, name: str, request_type: Any) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            self._makers[name] = lambda system: _task_handler(system, request_type, function)
            return function

        return decorate

    def service(self, system: Namesystem) -> RpcService:
        """The protocol, ready to be served."""
        return RpcService(
            self.protocol,
            self.version,
            {name: maker(system) for name, maker in self._makers.items()},
            {name: functools.partial(function, system) for name, function in self._raw.items()},
        )


def to_bytes(result: Message | bytes) -> bytes:
    return result if isinstance(result, bytes) else result.SerializeToString()


def _read_handler(
    system: Namesystem, request_type: Any, function: Callable[..., Message | bytes]
) -> Handler:
    def handle(request: bytes, call: ServerCall) -> Answer:
        return to_bytes(function(system, parse(request_type, request), call.caller))

    return handle


def _task_handler(
    system: Namesystem, request_type: Any, function: Callable[..., Awaitable[Message | bytes]]
) -> Handler:
    async def run(request: bytes, caller: Caller) -> bytes:
        return to_bytes(await function(system, parse(request_type, request), caller))

    def handle(request: bytes, call: ServerCall) -> Answer:
        return run(request, call.caller)

    return handle


def _change_handler(
    system: Namesystem,
    name: str,
    request_type: Any,
    function: Callable[..., Message | bytes],
    at_most_once: bool,
    volatile: bool,
    in_safe_mode: bool,
) -> Handler:
    def handle(request: bytes, call: ServerCall) -> Answer:
        message = parse(request_type, request)
        caller = call.caller
        # Empty where the client has no name: its call can only be made.
        call_key = call.retry_key if at_most_once else b""

        def operation(turn: Turn) -> bytes | CairnError:
            if not in_safe_mode:
                system.check_safe_mode(name)
            try:
                if not call_key:
                    return to_bytes(function(system, message, caller, turn))
                settings = system.namespace.settings
                answer = retry_cache.find_answer(settings, turn.namespace, call_key, turn.now_ms)
                if answer is None:
                    answer = to_bytes(function(system, message, caller, turn))
                    retry_cache.keep_answer(settings, turn.namespace, call_key, turn.now_ms, answer)
                return answer
            except KeptError as kept:
                return kept.error

        def settle(answer: bytes | CairnError | None, error: BaseException | None) -> None:
            failure = error if error is not None else answer
            if isinstance(failure, NotYetError):
                wait(failure)
            elif isinstance(failure, BaseException):
                system.refused(name, caller, failure)
                call.fail(failure)
            else:
                assert isinstance(answer, bytes)
                call.reply(answer)

        def wait(not_yet: NotYetError) -> None:
            def attempt(timed_out: bool) -> None:
                if timed_out:
                    call.fail(not_yet.error)
                else:
                    system.writer.submit(operation, settle, volatile=volatile)

            system.held.wait(not_yet.key, not_yet.deadline_ms, attempt)

        system.writer.submit(operation, settle, volatile=volatile)
        return LATER

    return handle


__all__ = ["KeptError", "MethodTable", "NotYetError", "to_bytes"]
