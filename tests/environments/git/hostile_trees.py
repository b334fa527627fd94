"""Trees that no honest git would write, made of raw objects in a bare repository."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from environments.git.repository import Mirror

FILE, LINK, TREE, MODULE = "100644", "120000", "40000", "160000"


@dataclass(frozen=True)
class Trees:
    """A bare repository to which objects are added as they come, well-formed or not."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> "Trees":
        subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
        return cls(path)

    def put(self, kind: str, content: bytes) -> str:
        command = [
            "git",
            f"--git-dir={self.path}",
            "hash-object",
            "-w",
            "--literally",
            "-t",
            kind,
            "--stdin",
        ]
        return (
            subprocess.run(command, input=content, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        """A tree of (mode, name, object id), in that order and under any name."""
        lines = [
            f"{mode} ".encode() + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries
        ]
        return self.put("tree", b"".join(lines))

    def commit(self, tree: str) -> str:
        message = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"
        return self.put("commit", message.encode())

    def mirror(self) -> Mirror:
        return Mirror(self.path)


def attacks(trees: Trees) -> dict[str, str]:
    """Attack: the commit that makes it.

    Each tries to write or to point outside, or to fill disk or memory.
    """
    blob = trees.put("blob", b"pwned")

    def link(to: bytes) -> str:
        return trees.put("blob", to)

    def nested(name: bytes, depth: int) -> str:
        tree = trees.tree((FILE, b"f", blob))
        for _ in range(depth):
            tree = trees.tree((TREE, name, tree))
        return tree

    inside = trees.tree((FILE, b"evil", blob))
    back = trees.tree((LINK, b"x", link(b"..")))
    bomb = trees.tree(*((FILE, f"f{n:02}".encode(), blob) for n in range(32)))
    for _ in range(7):
        bomb = trees.tree(*((TREE, f"d{n:02}".encode(), bomb) for n in range(32)))
    made = {
        "a file called ..": trees.tree((FILE, b"..", blob)),
        "a directory called ..": trees.tree((TREE, b"..", inside)),
        "a file called . ": trees.tree((FILE, b".", blob)),
        "an absolute name": trees.tree((FILE, b"/evil", blob)),
        "a slash within a name": trees.tree((FILE, b"a/../../evil", blob)),
        "a directory called .git": trees.tree((TREE, b".git", inside)),
        "a directory called .GIT": trees.tree((TREE, b".GIT", inside)),
        "a directory called .git with a zero-width sign": trees.tree(
            (TREE, ".g\u200cit".encode(), inside)
        ),
        "a directory called git~1": trees.tree((TREE, b"git~1", inside)),
        "a directory called .git and a space": trees.tree((TREE, b".git ", inside)),
        "a file called .git::$INDEX_ALLOCATION": trees.tree(
            (FILE, b".git::$INDEX_ALLOCATION", blob)
        ),
        "an absolute link": trees.tree((LINK, b"l", link(b"/etc/passwd"))),
        "a link upwards": trees.tree((LINK, b"l", link(b"../outside"))),
        "a chain of links that leads upwards": trees.tree(
            (TREE, b"d", back), (LINK, b"y", link(b"d/x/.."))
        ),
        "a link and a directory of one name": trees.tree(
            (LINK, b"a", link(b"..")), (TREE, b"a", inside)
        ),
        "a harmless link and a directory of one name": trees.tree(
            (LINK, b"a", link(b"b")), (TREE, b"a", inside)
        ),
        "a file and a directory of one name": trees.tree((FILE, b"a", blob), (TREE, b"a", inside)),
        "two files of one name": trees.tree(
            (FILE, b"a", blob), (FILE, b"a", trees.put("blob", b"other"))
        ),
        "two links of one name": trees.tree((LINK, b"a", link(b"b")), (LINK, b"a", link(b"c"))),
        "a link with a NUL": trees.tree((LINK, b"l", link(b"a\0b"))),
        "an endless link": trees.tree((LINK, b"l", link(b"a/" * 5000))),
        "an empty link": trees.tree((LINK, b"l", link(b""))),
        "a name of 300 bytes": trees.tree((FILE, b"n" * 300, blob)),
        "200 directories deep": nested(b"d", 200),
        "a path of 5,000 bytes": nested(b"d" * 250, 20),
        "10 billion files out of a few trees": bomb,
        "60,000 files": trees.tree(*((FILE, f"f{n:05}".encode(), blob) for n in range(60_000))),
        "a blob that is not there": trees.tree((FILE, b"f", "1" * 40)),
        "a tree for a file": trees.tree((FILE, b"f", inside)),
    }
    return {name: trees.commit(tree) for name, tree in made.items()}
