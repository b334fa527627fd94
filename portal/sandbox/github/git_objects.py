"""People, commits and changed files as git prints them."""

from dataclasses import dataclass
from datetime import UTC, datetime


class GitError(Exception):
    """git refused; the text is its own words."""


@dataclass(frozen=True)
class Person:
    name: str
    email: str
    at: datetime


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True)
class Change:
    """One file between two trees; `status` is GitHub's word, `additions` of a binary file are 0."""

    path: str
    status: str
    sha: str
    additions: int
    deletions: int
    previous: str = ""
    patch: str = ""


STATUS_WORDS = {
    "A": "added",
    "D": "removed",
    "M": "modified",
    "R": "renamed",
    "C": "copied",
    "T": "changed",
}


def read_commit(words: list[str]) -> Commit:
    sha, tree, parents, *people, message = words
    author = Person(people[0], people[1], datetime.fromtimestamp(int(people[2]), UTC))
    committer = Person(people[3], people[4], datetime.fromtimestamp(int(people[5]), UTC))
    return Commit(
        sha.strip(), tree, tuple(parents.split()), author, committer, message.rstrip("\n")
    )


def signed(author: Person, by: Person) -> dict[str, str]:
    env: dict[str, str] = {}
    for role, person in (("AUTHOR", author), ("COMMITTER", by)):
        env |= {
            f"GIT_{role}_NAME": person.name,
            f"GIT_{role}_EMAIL": person.email,
            f"GIT_{role}_DATE": f"@{int(person.at.timestamp())} +0000",
        }
    return env
