"""Branches that differ are ahead, behind, diverged or alike; an empty release is refused."""

from dataclasses import asdict, replace

import pytest

from environments.github import Overview
from environments.github.overview import Compared
from portal.ui.actions import Refused
from releases.github_mirror.relation import Relation, settle
from releases.lifecycle import actions
from releases.models.pull_requests import GitHubSync
from releases.models.releases import Release
from tests.factory import BASE, CANDIDATE, make_people, make_project
from tests.reading import squeezed
from tests.releases.pages.test_views import signed_in


@pytest.mark.parametrize(
    ("known", "words", "brings"),
    [
        (Relation("a", "b", ahead=3), "3 commits ahead of main", True),
        (Relation("a", "b", behind=1), "1 commit behind main", False),
        (
            Relation("a", "b", ahead=2, behind=1),
            "diverged from main: 2 commits ahead, 1 commit behind",
            True,
        ),
        (Relation("a", "b", 2, 1, same_files=True), "staging and main hold the same files", False),
        (Relation("a", "a", same_files=True), "staging equals main", False),
    ],
)
def test_each_relation_has_its_words(known, words, brings):
    assert (known.words("staging", "main"), known.brings) == (words, brings)
    assert Relation.of(asdict(known), known.staging, known.main) == known


def test_what_was_read_of_other_heads_is_not_known():
    assert Relation.of(asdict(Relation("a", "b", 3)), "c", "b") is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("known", "words"),
    [
        (Relation(CANDIDATE, BASE, 2, 0, same_files=True), "would be empty"),
        (Relation(CANDIDATE, BASE, 0, 2), "2 commits behind main"),
        (Relation("other", BASE, 2), "Comparing staging with main"),
    ],
)
def test_an_empty_release_is_refused_before_anything_is_written(known, words):
    people, project = make_people(), make_project()
    GitHubSync.objects.update(relation=asdict(known))

    with pytest.raises(Refused, match=words):
        actions.cut(project, actor=people["alice"], seen=CANDIDATE)

    assert not Release.objects.exists()


@pytest.mark.django_db
def test_the_board_calls_diverged_what_has_diverged_and_compares_before_it_says_so():
    people, _ = make_people(), make_project()
    client = signed_in(people["alice"])

    assert "comparing with main…" in squeezed(client.get("/"))
    GitHubSync.objects.update(relation=asdict(Relation(CANDIDATE, BASE, 2, 1)))
    html = squeezed(client.get("/"))

    assert "branches diverged" in html and "2 commits ahead, 1 commit behind" in html
    assert "ahead of main" not in html


NOTHING_SEEN = Overview()
HEADS = {"staging_head": CANDIDATE, "production_head": BASE}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "heads", "kept"),
    [
        (Compared(2, 1, same_files=False), HEADS, Relation(CANDIDATE, BASE, 2, 1)),
        (Compared(0, 3, same_files=True), HEADS, Relation(CANDIDATE, BASE, 0, 3, True)),
        (Compared(2, 1, same_files=False), HEADS | {"staging_head": "later"}, None),
        (None, HEADS, None),
    ],
)
def test_what_github_compared_counts_for_its_own_heads_and_else_git_is_asked(said, heads, kept):
    make_project()
    job = GitHubSync.objects.get()
    answer = replace(NOTHING_SEEN, comparison=said, **heads)

    settle(job, answer)  # no git repository is there to be asked

    known = Relation.of(GitHubSync.objects.get().relation, CANDIDATE, BASE)
    assert known == kept
