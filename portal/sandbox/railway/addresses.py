"""Many listening sockets on 127.0.0.1 for the price of one: a selector thread and a small pool
of workers.
"""

import contextlib
import logging
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
REQUEST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Page:
    """An answer to one GET at an address."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[str, str], Page]


class Addresses:
    """Serves `answer(owner, path)` at every address opened with `listen`."""

    def __init__(self, workers: int = 8) -> None:
        self.answer: Answer = lambda owner, path: Page(503, b"")
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[str, socket.socket] = {}
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="address")
        self._stopping = threading.Event()
        self._waker, waiting = socket.socketpair()
        self._selector.register(waiting, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def listen(self, owner: str, port: int = 0) -> int:
        """Open an address for `owner` at `port`, or at a free one when that is taken; return the
        port.
        """
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.setblocking(False)
        self._sockets[owner] = listener
        # epoll and kqueue take a new socket while another thread waits in select().
        self._selector.register(listener, selectors.EVENT_READ, owner)
        return listener.getsockname()[1]

    def close(self, owner: str) -> None:
        listener = self._sockets.pop(owner, None)
        if listener is not None:
            self._selector.unregister(listener)
            listener.close()

    def stop(self) -> None:
        self._stopping.set()
        self._waker.close()
        self._thread.join()
        for owner in list(self._sockets):
            self.close(owner)
        self._pool.shutdown(cancel_futures=True)
        self._selector.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select():
                if self._stopping.is_set():
                    return
                # The caller may have hung up, or the address been closed, since select returned.
                with contextlib.suppress(OSError):
                    connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                    self._pool.submit(self._serve, connection, key.data)

    def _serve(self, connection: socket.socket, owner: str) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(REQUEST_SECONDS)
            method, path = _request_line(connection)
            page = self._page(owner, path) if method in ("GET", "HEAD") else Page(405, b"")
            connection.sendall(_encoded(page, head_only=method == "HEAD"))

    def _page(self, owner: str, path: str) -> Page:
        try:
            return self.answer(owner, path)
        except Exception:
            log.exception("The address of %s failed.", owner)
            return Page(500, b"")


def _request_line(connection: socket.socket) -> tuple[str, str]:
    """Return the method and path (without its query) of the request; two empty texts when it is no
    HTTP.
    """
    head = b""
    while b"\r\n\r\n" not in head and len(head) < REQUEST_BYTES:
        part = connection.recv(4096)
        if not part:
            break
        head += part
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1].split("?")[0]) if len(words) == 3 else ("", "")


def _encoded(page: Page, *, head_only: bool) -> bytes:
    headers = {"Content-Length": str(len(page.body)), "Connection": "close"} | page.headers
    lines = [f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if head_only else head + page.body
