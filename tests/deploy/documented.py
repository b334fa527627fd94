"""The commands that the documents print, and how each is run in a scratch portal, or why not."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/|\./)?"
# In a sentence a word such as `git` is often a name only; these are commands wherever they stand.
IN_SENTENCE = re.compile(
    rf"{PROGRAM}(?:(?:python3? )?manage\.py [a-z]|make [a-z]|python3? -m |portalctl [a-z]|curl )"
)
IN_BLOCK = re.compile(
    rf"{PROGRAM}(?:python3?|manage\.py|make|portalctl|curl|git|docker|cp|cd|chmod|install|api"
    r"|useradd|systemctl|pip)\b(?!/)"
)

# Why a command is not run by `test_running_docs.py`. The first pattern that is found counts.
NOT_RUN = {
    r"^(useradd|systemctl) ": "it changes users and services of this machine; systemd-analyze"
    " reads the units in test_hosting.py",
    r"^docker ": "no container engine is here; tests.deploy.image builds the image and starts"
    " the portal in it, and test_hosting.py holds compose.yaml to its schema",
    r"^python3 -m venv|^\.venv/bin/pip ": "tests.bench.startup and tests.deploy.image install from"
    " the lock; it takes a minute and a registry",
    r"\bmake (test|quick|lint)\b": "it is what runs this test, or runs beside it",
    r"^make (faults|bench)$": "it takes hours; tests/faults/test_scripts.py and the tests beside"
    " each script hold the scripts",
    r"^python -m tests\.": "it takes minutes to hours; the tests beside each script run it with"
    " small numbers",
    r"^make (shapes|cases)": "it takes minutes; tests/shapes and tests/cases ship each one",
    r"^make lock$": "it would change the lock",
    r"^make demo": "tests/deploy/test_demo.py runs it on a small repository, and"
    " tests.faults.foreign_shapes on repositories of every shape",
    r"^make migrate$": "it is a released project's own target",
    r"^manage\.py plan$|^portalctl task-log start$": "it is named without what it needs; the whole"
    " command is run",
    r"^manage\.py shell$": "it is named as what needs trust, and waits for a person",
}
# These serve until they are told to stop; each must serve, and end without a complaint.
SERVING = re.compile(r"manage\.py (web|worker|sandbox)\b|make run\b")
# Answers other than 0 that the documents give to the state of a fresh sandbox.
ANSWERS = {
    r"^portalctl sync-staging|sync_staging": {3},  # promote first: staging is ahead
    r"git_remote_check": {0, 1},
    r"check_connections": {0, 1},  # GitHub shows a token's write permissions only when it writes
    r"anchor_audit --accept": {1},  # nothing to accept: the anchors began with the chain
}

# What must be in the answer where a program such as curl ends with 0 whatever it was told.
SAYS = {
    "api pulls": '"state":"success"',
    "terminal/whoami": '"alice"',
    "terminal/sync-staging": '"address"',
    "portalctl whoami": "inspector",
    "verify_audit": "as it was written",
    "check_connections": "GITHUB_TOKEN",
    "revisions": "6f8b0d2e4a56",
}


def commands() -> list[str]:
    """Return each documented command once; the lines of one block together, as one."""
    found: dict[str, None] = {}
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.S | re.M):
            lines = [line for line in block.splitlines() if IN_BLOCK.match(line)]
            if lines:
                found |= dict.fromkeys(together(lines))
        rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
        for line in re.findall(r"`([^`\n]+)`", rest):
            if IN_SENTENCE.match(line):
                found[line] = None
    return list(found)


def plain(command: str) -> str:
    """Return the command without how Python is named, and with everything that may be left out."""
    return re.sub(
        r"[][]", "", re.sub(r"^(?:(?:\.venv/bin/)?python3? )?(?=manage\.py )", "", command)
    )


def together(lines: list[str]) -> list[str]:
    """Return lines that build on each other as one script, others one by one."""
    lines = [re.sub(r"\s+# .*", "", line) for line in lines]
    run = [line for line in lines if not reason(line)]
    joined = any(re.match(r"cd |curl --fail --output|git clone|api", line) for line in run)
    return [line for line in lines if reason(line)] + (["\n".join(run)] if joined else run)


def reason(line: str) -> str:
    """Return why this command is not run, or nothing."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), "")
