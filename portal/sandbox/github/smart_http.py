"""git's smart HTTP protocol at `/OWNER/NAME.git`, through `git http-backend`.

Protections hold for pushes too: the sentences that refuse a branch are handed to a hook of the
repository.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from portal.sandbox.server import Request, Response

from . import front, push_rules
from .git import ZERO, environment
from .state import Refused, Viewer

if TYPE_CHECKING:
    from .hub import Hub

# One line per refusal: ref, `always` or `forced`, sentence. Forced ones count when history is left
# behind,
# which only git can tell, once it has the new commits.
HOOK = """#!/bin/sh
printf '%s\\n' "$SANDBOX_REFUSALS" | while IFS='|' read -r ref kind sentence; do
  [ "$ref" = "$1" ] || continue
  if [ "$kind" = forced ] && git merge-base --is-ancestor "$2" "$3" 2>/dev/null; then continue; fi
  echo "error: GH006: Protected branch update failed for $1." >&2
  echo "error: $sentence" >&2
  exit 1
done
"""


def wanted(hub: "Hub", path: str) -> str | None:
    """Return the part of the path behind the repository, when this is git asking."""
    return _behind(hub.full_name, path)


def moved(hub: "Hub", request: Request) -> Response | None:
    """Show the redirect of git under an old name of the repository, which git follows only where it
    is told to.
    """
    rest = next(
        filter(None, (_behind(name, request.path) for name in hub.state["old_names"])), None
    )
    if rest is None:
        return None
    query = f"?service={request.query['service']}" if "service" in request.query else ""
    return Response(301, b"", {"Location": f"{hub.url}/{hub.full_name}.git/{rest}{query}"})


def _behind(name: str, path: str) -> str | None:
    for prefix in (f"/{name}.git/", f"/{name}/"):
        if path.lower().startswith(prefix.lower()):
            rest = path[len(prefix) :]
            if rest in ("info/refs", "git-upload-pack", "git-receive-pack"):
                return rest
    return None


def answer(hub: "Hub", request: Request, service: str) -> Response:
    """Show what `git http-backend` answers; a push then moves pull requests and fires hooks."""
    try:
        viewer = front.viewer(hub, request)
    except Refused:
        viewer = Viewer("")
    if not viewer.login:
        headers = {"WWW-Authenticate": 'Basic realm="GitHub"', "Content-Type": "text/plain"}
        return Response(401, b"Invalid username or token.", headers)
    if service != "git-receive-pack":
        return _backend(hub, request, service, viewer, {})
    hook = hub.git.path / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)
    response = _backend(
        hub, request, service, viewer, {"SANDBOX_REFUSALS": _refusals(hub, request, viewer)}
    )
    done = response.encoded()  # all of it: a client that has its answer finds everything settled
    with hub.change(viewer):
        pass
    return Response(response.status, done, response.headers)


def _refusals(hub: "Hub", request: Request, viewer: Viewer) -> str:
    lines = []
    for old, new, ref in commands(request.body):
        branch = ref.removeprefix("refs/heads/")
        before, after = (None if sha == ZERO else sha for sha in (old, new))
        plain = push_rules.push_refusal(hub, branch, viewer, after, old=before)
        if plain:
            lines.append(f"{ref}|always|{' '.join(plain.split())}")
        elif (
            before
            and after
            and push_rules.push_refusal(hub, branch, viewer, after, old=before, forced=True)
        ):
            lines.append(f"{ref}|forced|Cannot force-push to this branch")
    return "\n".join(lines)


def commands(body: bytes) -> list[tuple[str, str, str]]:
    """Return the (old, new, ref) that a push asks for, out of its packet lines (git never
    compresses these).
    """
    commands_found = []
    at = 0
    while len(size := body[at : at + 4]) == 4 and size != b"0000":
        length = int(size, 16)
        words = body[at + 4 : at + length].split(b"\0")[0].decode().strip().split(" ", 2)
        if len(words) == 3:
            commands_found.append((words[0], words[1], words[2]))
        at += length
    return commands_found


def _backend(
    hub: "Hub", request: Request, service: str, viewer: Viewer, more: dict[str, str]
) -> Response:
    headers = request.headers
    env = environment(
        GIT_PROJECT_ROOT=str(hub.git.path),
        GIT_HTTP_EXPORT_ALL="1",
        GIT_PROTOCOL=headers.get("git-protocol", ""),
        HTTP_CONTENT_ENCODING=headers.get("content-encoding", ""),
        REQUEST_METHOD=request.method,
        PATH_INFO=f"/{service}",
        QUERY_STRING="&".join(f"{name}={value}" for name, value in request.query.items()),
        CONTENT_TYPE=headers.get("content-type", ""),
        CONTENT_LENGTH=str(len(request.body)),
        REMOTE_USER=viewer.login,
        REMOTE_ADDR="127.0.0.1",
        **more,
    )
    with tempfile.TemporaryFile() as body:
        body.write(request.body)
        body.seek(0)
        process = subprocess.Popen(
            ["git", "http-backend"], stdin=body, stdout=subprocess.PIPE, env=env
        )
    assert process.stdout is not None  # noqa: S101  (asked for above)
    status, answered = 200, {}
    while line := process.stdout.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            answered[name] = value.strip()
    return Response(status, _rest(process, process.stdout), answered)


def _rest(process: subprocess.Popen[bytes], stdout: IO[bytes]) -> Iterator[bytes]:
    """Yield the body as it comes, so that a big clone is never held whole."""
    with process, stdout:
        while chunk := stdout.read(65536):
            yield chunk
