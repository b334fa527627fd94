"""One small threaded HTTP server under both stand-ins, with faults on request.

A stand-in is a function `Request -> Response`. Every request is written down (`Server.requests`),
so tests can count outward calls and side effects. Faults are armed with
`Server.faults.append(Fault(...))`, or from another process with `POST /_sandbox/faults` (a JSON
list of `Fault` fields); `GET /_sandbox/requests` lists what was asked and `DELETE` on either
empties it. `/_sandbox/days` lists and begins the bad days of `portal.sandbox.days`.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MAX_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """What arrived: `path` without its query, header names in lower case, the raw body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        """Return the body as a JSON object; raise `ValueError` when it is none."""
        return json.loads(self.body or b"{}")


@dataclass(frozen=True)
class Response:
    """What is answered.

    `body` that is not bytes is sent as JSON, an iterator of bytes piece by piece.
    """

    status: int = 200
    body: object = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the whole body as bytes; an iterator is used up by it."""
        if isinstance(self.body, Iterator):
            return b"".join(self.body)
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Fault:
    """One way in which the next `times` matching requests go wrong.

    `kind`: `latency` (waits `seconds`, then answers properly), `status` (answers `status`, with
    `headers`),
    `html` (HTTP 200 with a page), `truncated` (half of the proper JSON), `graphql` (HTTP 200 with
    `errors`),
    `drop` (does what was asked, then hangs up without an answer), `refuse` (hangs up at once).
    `path` and `body` are substrings that the request must hold.
    """

    kind: str
    times: int = 1
    method: str = ""
    path: str = ""
    body: str = ""
    status: int = 502
    seconds: float = 0.0
    message: str = "Problem processing request"
    headers: dict[str, str] = field(default_factory=dict)

    def matches(self, request: Request) -> bool:
        return (
            self.times > 0
            and self.method in ("", request.method)
            and self.path in request.path
            and self.body.encode() in request.body
        )


@dataclass(frozen=True)
class Seen:
    """One line of the request log."""

    method: str
    path: str
    status: int
    body: str
    at: float


App = Callable[[Request], Response]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up early, as killed workers do, is no fault of the
        stand-in.
        """


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, has `respond` answer them, and sends the answers."""

    respond: Callable[[Request], Response | None]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        """Log nothing: `Server.requests` is the log."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(Response(413, {"message": "too large"}))
            return
        url = urlsplit(self.path)
        request = Request(
            self.command,
            url.path,
            {
                name: values[-1]
                for name, values in parse_qs(url.query, keep_blank_values=True).items()
            },
            {name.lower(): value for name, value in self.headers.items()},
            (
                self._read_chunks()
                if self.headers.get("Transfer-Encoding")
                else self.rfile.read(length)
            ),
        )
        response = self.respond(request)
        if response is None:
            self.close_connection = True
            return
        self._send(response)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, response: Response) -> None:
        pieces = response.body if isinstance(response.body, Iterator) else None
        body = b"" if pieces else response.encoded()
        headers = {"Content-Type": "application/json; charset=utf-8"} | response.headers
        self.send_response(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if pieces:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.status not in (204, 304):  # these have no body, so no length either
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for piece in pieces or ():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if pieces:
            self.wfile.write(b"0\r\n\r\n")
        elif self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve


class Server:
    """Serves `app` on 127.0.0.1:`port` (0: a free one) from a thread until `stop`."""

    def __init__(self, app: App, port: int = 0) -> None:
        self.app = app
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.ready: dict[str, object] = {}  # what `GET /_sandbox/ready` tells another process
        self.days: App | None = None  # the bad days, behind `/_sandbox/days`
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Server":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: Request) -> Response | None:
        """Show the answer to `request`, faults included; None means: hang up without one."""
        if request.path.startswith("/_sandbox/"):
            control = self._control(request)
            if control is not None:
                return control
        fault = self._take_fault(request)
        response = self._faulty(fault, request) if fault else self.app(request)
        body = request.body[:20_000].decode("utf-8", "replace")
        with self._lock:
            status = response.status if response else 0
            self.requests.append(Seen(request.method, request.path, status, body, time.time()))
        return response

    def _take_fault(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.matches(request):
                    fault.times -= 1
                    return fault
        return None

    def _faulty(self, fault: Fault, request: Request) -> Response | None:
        if fault.kind == "refuse":
            return None
        if fault.kind == "status":
            return Response(fault.status, {"message": fault.message}, fault.headers)
        if fault.kind == "html":
            return Response(
                200, b"<!doctype html><title>Bad gateway</title>", {"Content-Type": "text/html"}
            )
        if fault.kind == "graphql":
            return Response(200, {"data": None, "errors": [{"message": fault.message}]})
        time.sleep(fault.seconds)
        response = self.app(request)
        if fault.kind == "truncated":
            body = response.encoded()
            return Response(response.status, body[: len(body) // 2], response.headers)
        return None if fault.kind == "drop" else response

    def _control(self, request: Request) -> Response | None:
        if request.path == "/_sandbox/ready":
            return Response(200, self.ready)
        if request.path == "/_sandbox/days" and self.days:
            return self.days(request)
        if request.path == "/_sandbox/requests":
            if request.method == "DELETE":
                self.requests.clear()
            return Response(200, [asdict(seen) for seen in self.requests])
        if request.path == "/_sandbox/faults":
            if request.method == "DELETE":
                self.faults.clear()
            if request.method == "POST":
                self.faults += [Fault(**fault) for fault in json.loads(request.body)]
            return Response(200, [asdict(fault) for fault in self.faults])
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return type("Handler", (_Handler,), {"respond": staticmethod(self.answer)})
