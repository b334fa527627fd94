"""Commits and pull requests that a sentence names lead to GitHub's pages of them."""

import pytest

from portal.templatetags.formatting import linked


@pytest.fixture(autouse=True)
def github(settings):
    settings.GITHUB_GIT_URL = "https://github.test"
    linked.cache_clear()
    yield
    linked.cache_clear()


def link(path, words):
    address = f"https://github.test/acme/shop/{path}"
    return f'<a class="thing" href="{address}" rel="noopener noreferrer">{words}</a>'


def test_a_commit_and_a_pull_request_are_links():
    found = linked("Pull request #12 merged as 3f2a1c9.", "acme/shop")

    assert found == (
        f"Pull request {link('pull/12', '#12')} merged as {link('commit/3f2a1c9', '3f2a1c9')}."
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "1234567 rows",  # a count
        "The wall was defaced",  # a word
        "revision 3f2a1c9b04d1",  # Alembic's
        "branch fix-3f2a1c9",
        "https://example.test/3f2a1c9",
        "item #12 of the list",
    ],
)
def test_what_only_looks_like_one_is_text(sentence):
    assert linked(sentence, "acme/shop") == sentence


def test_without_a_repository_nothing_is_a_link_and_text_stays_text():
    assert linked("at 3f2a1c9 & <b>", "") == "at 3f2a1c9 &amp; &lt;b&gt;"
