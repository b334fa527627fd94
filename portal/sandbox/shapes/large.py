"""A repository and a project with much in them, under names as long as anybody writes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from portal.sandbox import sample
from portal.sandbox.github import pulls
from portal.sandbox.github.git import Git
from portal.sandbox.shapes import Service, Shape

if TYPE_CHECKING:
    from portal.sandbox.github import GitHubStandIn
    from portal.sandbox.railway import RailwayStandIn

FIRST_NUMBER = 1000  # of the pull requests that only this shape has


@dataclass(frozen=True)
class Size:
    """How much of everything there is; the two services, five merged and two open pull requests
    of the sample count.
    """

    branches: int = 3000
    open: int = 400
    merged: int = 65
    into_main: int = 60
    checks: int = 120
    services: int = 60
    environments: int = 12


def long(name: str, length: int = 200) -> str:
    """Return `name` drawn out to that many letters."""
    return f"{name}-{'x' * length}"[:length]


@dataclass
class _History:
    """Commits on their way into a repository, by one process of git."""

    git: Git
    lines: list[str] = field(default_factory=list)
    marks: int = 0

    def commit(self, ref: str, parents: list[str], path: str, message: str) -> str:
        """Add a commit that writes the file `path`; return what later ones call it."""
        self.marks += 1
        person = f"maria <maria@users.noreply.github.com> {1_770_000_000 + 60 * self.marks} +0000"
        first, *others = parents
        self.lines += [
            f"commit {ref}",
            f"mark :{self.marks}",
            f"author {person}",
            f"committer {person}",
        ]
        self.lines += [f"data {len(message.encode())}", message, f"from {first}"]
        self.lines += [f"merge {other}" for other in others]
        self.lines += [f"M 100644 inline {path}", f"data {len(path)}", path, ""]
        return f":{self.marks}"

    def write(self) -> dict[str, str]:
        """Have git make all of them; return what each is called and its commit."""
        kept = self.git.path / "marks"
        self.git.run(
            "fast-import",
            "--quiet",
            f"--export-marks={kept}",
            stdin="\n".join([*self.lines, ""]).encode(),
        )
        known = dict(line.split() for line in kept.read_text().splitlines())
        kept.unlink()
        return known


def build(directory: Path, *, size: Size) -> sample.Sample:
    """Make the sample with as many pull requests in its release, and newer ones that went into
    main.
    """
    plain = sample.build(directory)
    history, heads = _History(Git(directory)), dict(plain.branches)
    wanted = range(FIRST_NUMBER, FIRST_NUMBER + size.merged - len(plain.merged))
    into = {"staging": list(wanted), "main": [wanted.stop + n for n in range(size.into_main)]}
    made = {
        number: mark
        for branch in into
        for number, mark in _merge(history, heads, branch, into[branch])
    }
    commits = history.write()
    for branch in into:
        heads[branch] = commits[heads[branch]]
    merged = [
        sample.Merged(number, _head(number), _title(number), "maria", commits[made[number]])
        for number in wanted
    ]
    return sample.Sample(directory, heads, (*plain.merged, *merged), plain.open)


def _merge(
    history: _History, heads: dict[str, str], branch: str, numbers: list[int]
) -> Iterator[tuple[int, str]]:
    for number in numbers:
        path, below = f"notes/{branch}/{number}.txt", heads[branch]
        work = history.commit(f"refs/work/{branch}", [below], path, _title(number))
        message = f"Merge pull request #{number} from acme/{_head(number)}\n\n{_title(number)}"
        heads[branch] = history.commit(f"refs/heads/{branch}", [below, work], path, message)
        yield number, heads[branch]


def _head(number: int) -> str:
    return long(f"work/{number}")


def _title(number: int) -> str:
    return f"Change {number} ✓ <b>“ü”</b>"


def arrange(hub: "GitHubStandIn", *, size: Size) -> None:
    """Give the repository its other pull requests, branches and checks."""
    newest = ("--merges", "--first-parent", f"--max-count={size.into_main}")
    for sha in hub.git.text("rev-list", *newest, "main").split():
        title = hub.git.commit(sha).message.splitlines()[0]
        number = int(title.split("#")[1].split()[0])
        hub.record_merged(
            number, head=_head(number), base="main", title=_title(number), merge_commit=sha
        )
    head = hub.heads()["staging"]
    for number in range(size.checks):
        hub.set_check(head, long(f"job {number:03}") if number < 5 else f"job {number:03}")
    _crowd(hub, head, size)


def _crowd(hub: "GitHubStandIn", head: str, size: Size) -> None:
    """Add the open pull requests, and branches that nobody asks about."""
    history, first = _History(hub.git), FIRST_NUMBER + 1000
    marks = {
        number: history.commit(
            f"refs/heads/{_head(number)}", [head], f"notes/{number}.txt", _title(number)
        )
        for number in range(first, first + size.open - 2)
    }
    with hub.change():
        commits = history.write()
        lines = [f"create refs/heads/crowd/{number:04} {head}" for number in range(size.branches)]
        lines += [
            f"create refs/pull/{number}/head {commits[mark]}" for number, mark in marks.items()
        ]
        hub.git.run("update-ref", "--stdin", stdin="\n".join(lines).encode())
        hub.state["heads"] = (
            hub.git.heads()
        )  # they were there before anybody watched: nothing is told of them
        for number, mark in marks.items():
            more = {"number": number, "head_sha": commits[mark], "base_sha": head}
            pulls.row(
                hub, "maria", head=_head(number), base="staging", title=_title(number), **more
            )


def furnish(railway: "RailwayStandIn", *, size: Size) -> None:
    """Add environments in which every service is live, and which no push deploys."""
    head = railway.world.data["heads"].get("staging")
    for number in range(size.environments - 2):
        name = f"stage {number}" if number else long("stage")
        railway.add_environment(name)
        for service in railway.world.rows("services"):
            railway.deploy(service["name"], name, head, live=True)


def shaped(size: Size = Size()) -> Shape:
    """Return the shape with that much of everything."""
    return Shape(
        "3,000 branches, 400 open pull requests, 65 in one release, 60 newer ones merged into main,"
        " 120 checks, names of 200 letters, and 60 services in 12 environments.",
        services=tuple(
            Service(long("service") if number == 0 else f"service {number:02}", public=False)
            for number in range(size.services - 2)
        ),
        build=partial(build, size=size),
        github=(partial(arrange, size=size),),
        railway=(partial(furnish, size=size),),
    )


SHAPE = shaped()
