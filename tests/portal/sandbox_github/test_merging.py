"""Pull requests, refs and rules, driven as the portal drives them: with PyGithub."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from github import GithubException, UnknownObjectException

from portal.sandbox.sample import CI, VERDICT
from portal.sandbox.server import Request

from .conftest import ADMIN, serve


def refusal(call, *arguments, **named) -> tuple[int, str]:
    with pytest.raises(GithubException) as caught:
        call(*arguments, **named)
    errors = "".join(e.get("message", "") for e in caught.value.data.get("errors", []))
    return caught.value.status, caught.value.data["message"] + errors


def test_a_promotion_is_a_real_merge_commit_that_staging_can_follow(world):
    repo = world.repo()
    staging, main = (repo.get_branch(name).commit.sha for name in ("staging", "main"))
    pull = repo.get_pull(world.promotion())

    merged = pull.merge(sha=staging, merge_method="merge", commit_title="Release 1")

    commit = world.hub.git.commit(merged.sha)
    assert commit.parents == (main, staging)
    assert commit.message.startswith("Release 1\n")
    assert repo.get_pull(pull.number).merge_commit_sha == merged.sha
    assert repo.compare("staging", "main").behind_by == 0
    repo.get_git_ref("heads/staging").edit(merged.sha, force=False)
    assert repo.compare("staging", "main").status == "identical"


def test_mergeability_is_unknown_on_the_first_look_after_a_change_and_known_on_the_second(world):
    repo = world.repo()

    looks = [repo.get_pull(129).mergeable for _ in range(2)]
    world.hub.push_commit("feature/test-connection", {"x": "1\n"}, "More")
    looks += [repo.get_pull(129).mergeable for _ in range(2)]

    assert looks == [None, True, None, True]


def test_it_refuses_a_merge_of_a_head_that_moved(world):
    number = world.promotion()

    assert refusal(world.repo().get_pull(number).merge, sha="0" * 40) == (
        409,
        "Head branch was modified. Review and try the merge again.",
    )


def test_it_refuses_a_merge_that_conflicts_and_a_second_one(world):
    world.hub.push_commit("feature/a", {"same.txt": "a\n"}, "A")
    world.hub.push_commit("feature/b", {"same.txt": "b\n"}, "B")
    repo = world.repo()
    pulls = [repo.create_pull(base="main", head=f"feature/{x}", title=x) for x in "ab"]
    world.hub.state["protections"].clear()

    pulls[0].merge()

    assert refusal(pulls[0].merge)[0] == 405
    assert refusal(pulls[1].merge) == (405, "Pull Request is not mergeable")
    repo.get_pull(pulls[1].number)
    assert repo.get_pull(pulls[1].number).mergeable_state == "dirty"


def test_it_names_the_required_status_that_is_missing_until_it_is_there(world):
    number = world.hub.open_pull("staging", "main", "Promote")
    repo = world.repo()
    head = repo.get_branch("staging").commit.sha

    first = refusal(repo.get_pull(number).merge)
    repo.get_commit(head).create_status("failure", context=VERDICT, description="No")
    second = refusal(repo.get_pull(number).merge)
    repo.get_commit(head).create_status("success", context=VERDICT, description="Yes")

    assert first == (405, f'Required status check "{VERDICT}" is expected.')
    assert second == (405, f'Required status check "{VERDICT}" is failing.')
    assert repo.get_pull(number).mergeable_state in ("clean", "unknown")
    assert repo.get_pull(number).merge().merged


def test_a_commit_without_statuses_is_pending_and_says_that_there_are_none(world):
    combined = world.repo().get_commit("main").get_combined_status()

    assert (combined.state, combined.total_count) == ("pending", 0)


def test_it_refuses_approval_short_of_the_number_asked_for(world):
    world.hub.protect("staging", approvals=1)
    pull = world.repo().get_pull(129)

    before = refusal(pull.merge)
    world.hub.add_review(129, "jonas", "APPROVED")
    world.hub.add_review(129, "aylin", "CHANGES_REQUESTED")
    disputed = refusal(pull.merge)
    world.hub.add_review(129, "aylin", "APPROVED")

    assert before[1] == "At least 1 approving review is required by reviewers with write access."
    assert disputed[1] == "Changes have been requested by a reviewer."
    assert pull.merge().merged


@pytest.mark.parametrize(("method", "parents"), [("squash", 1), ("rebase", 1)])
def test_squash_and_rebase_rewrite_so_that_the_head_is_not_an_ancestor(world, method, parents):
    world.hub.push_commit("feature/csv-export", {"one.txt": "1\n"}, "One more")
    head = world.hub.heads()["feature/csv-export"]

    made = world.repo().get_pull(130).merge(merge_method=method).sha

    assert len(world.hub.git.commit(made).parents) == parents
    assert not world.hub.git.is_ancestor(head, made)
    assert world.hub.git.totals(head, made)[0] == 0
    assert world.repo().get_pull(130).merged


def test_it_opens_a_pull_request_once_and_none_without_commits(world):
    repo = world.repo()
    opened = repo.create_pull(base="main", head="staging", title="Promote")

    assert [p.number for p in repo.get_pulls(head="acme:staging", base="main")] == [opened.number]
    assert refusal(repo.create_pull, base="main", head="staging", title="x") == (
        422,
        "Validation FailedA pull request already exists for acme:staging.",
    )
    assert refusal(repo.create_pull, base="staging", head="main", title="x") == (
        422,
        "Validation FailedNo commits between staging and main",
    )


def test_a_ref_moves_forward_only_and_past_no_rule(world):
    repo = world.repo()
    main, staging = (repo.get_git_ref(f"heads/{name}") for name in ("main", "staging"))

    assert refusal(staging.edit, main.object.sha) == (422, "Update is not a fast forward")
    status, words = refusal(main.edit, staging.object.sha)
    assert status == 422
    assert "Changes must be made through a pull request." in words
    assert f'Required status check "{VERDICT}" is expected.' in words


def test_an_administrator_passes_a_protection_that_spares_administrators_only(world):
    tip = world.hub.heads()["staging"]
    main = world.repo(ADMIN).get_git_ref("heads/main")
    world.hub.protect("main", checks=(CI, VERDICT), pull_request=True, enforce_admins=True)

    enforced = refusal(main.edit, tip)
    world.hub.protect("main", checks=(CI, VERDICT), pull_request=True, enforce_admins=False)
    main.edit(tip)

    assert enforced[0] == 422
    assert world.hub.heads()["main"] == tip


def test_a_ruleset_binds_all_but_the_app_that_may_bypass_it(world):
    rule = {
        "type": "required_status_checks",
        "parameters": {
            "required_status_checks": [{"context": "never"}],
            "strict_required_status_checks_policy": False,
        },
    }
    ruleset = {
        "name": "r",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["refs/heads/staging"]}},
        "rules": [rule],
    }
    kept = world.http.post(world.path("/rulesets"), json=ruleset).json()
    pull = world.repo().get_pull(129)

    bound = refusal(pull.merge)
    actor = {"actor_type": "Integration", "actor_id": 1001, "bypass_mode": "always"}
    world.http.put(world.path(f"/rulesets/{kept['id']}"), json={"bypass_actors": [actor]})

    assert bound[1].startswith('Repository rule violations found\n\nRequired status check "never"')
    assert pull.merge().merged


def test_protection_is_read_back_as_it_was_written(world):
    branch = world.repo().get_branch("main")

    required = branch.get_required_status_checks()

    assert (required.contexts, required.strict) == ([CI, VERDICT], False)
    assert branch.get_protection().enforce_admins is False
    branch.remove_protection()
    assert refusal(branch.get_protection) == (404, "Branch not protected")


@pytest.mark.parametrize(
    ("base", "head", "status", "ahead", "behind"),
    [
        ("main", "staging", "ahead", 10, 0),
        ("staging", "main", "behind", 0, 10),
        ("feature/csv-export", "feature/test-connection", "diverged", 1, 1),
        ("main", "main", "identical", 0, 0),
    ],
)
def test_comparing_counts_both_ways(world, base, head, status, ahead, behind):
    found = world.repo().compare(base, head)

    assert (found.status, found.ahead_by, found.behind_by) == (status, ahead, behind)
    assert len(list(found.commits)) == ahead


def test_a_comparison_lists_its_files_on_the_first_page_only(world):
    pages = [
        world.http.get(world.path("/compare/main...staging"), params={"per_page": 4, "page": page})
        for page in (1, 2, 3)
    ]

    assert [len(page.json()["commits"]) for page in pages] == [4, 4, 2]
    assert [bool(page.json()["files"]) for page in pages] == [True, False, False]
    assert 'rel="next"' in pages[0].headers["link"]
    assert 'rel="next"' not in pages[2].headers["link"]


def test_a_pull_request_is_closed_as_merged_when_its_head_arrives_by_any_way(world):
    tip = world.hub.heads()["feature/csv-export"]

    world.repo().get_git_ref("heads/staging").edit(tip)

    pull = world.repo().get_pull(130)
    assert (pull.state, pull.merged, pull.merge_commit_sha) == ("closed", True, tip)


def test_a_kill_between_branch_and_book_is_found_out_at_the_next_start(world, tmp_path):
    number = world.promotion()
    head, main = world.hub.heads()["staging"], world.hub.heads()["main"]
    tree = world.hub.git.merged_tree(main, head)
    person = world.hub.person("x")
    made = world.hub.git.commit_tree(tree, [main, head], "Merged", person, person)
    world.hub.git.move("refs/heads/main", made, main)  # and killed before anything else was written

    again, server = serve(tmp_path / "github")
    pushes = []
    again.on_push.append(lambda *move: pushes.append(move))
    status = json.loads(again(_get(world.path(f"/pulls/{number}"))).encoded())
    again.set_status(head, "any", "success")
    server.stop()

    assert (status["merged"], status["merge_commit_sha"]) == (True, made)
    assert pushes == [("main", main, made)]


def _get(path):
    return Request("GET", path, {}, {"authorization": "Bearer sandbox-github-token"}, b"")


def test_a_restart_keeps_everything(world, tmp_path):
    number = world.promotion()
    world.hub.add_review(number, "jonas")

    again, server = serve(tmp_path / "github")

    server.stop()
    assert again.state == world.hub.state
    assert again.heads() == world.hub.heads()


def test_a_tree_lists_the_files_of_a_branch_and_contents_gives_one(world):
    repo = world.repo()

    paths = [entry.path for entry in repo.get_git_tree("staging", recursive=True).tree]
    ini = repo.get_contents("backend/alembic.ini", ref="staging").decoded_content.decode()

    assert sum(path.startswith("backend/alembic/versions/") for path in paths) == 6
    assert "script_location" in ini
    with pytest.raises(UnknownObjectException):
        repo.get_contents("no/such/file", ref="staging")


def test_a_status_description_too_long_is_refused(world):
    commit = world.repo().get_commit("staging")

    assert refusal(commit.create_status, "success", context="c", description="x" * 141)[0] == 422


def test_listeners_hear_of_every_movement_and_may_call_back(world):
    heard = []
    world.hub.on_push.append(lambda branch, before, after: heard.append((branch, after)))
    world.hub.on_push.append(
        lambda branch, before, after: world.hub.set_status(after, "deploy", "pending")
    )

    first = world.hub.push_commit("staging", {"a": "1\n"}, "One")
    second = world.repo().get_pull(129).merge().sha

    assert heard == [("staging", first), ("staging", second)]
    assert world.repo().get_commit(second).get_combined_status().total_count == 1


def test_nothing_written_at_once_is_lost(world):
    tip = world.hub.heads()["staging"]
    url = world.path(f"/statuses/{tip}")

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda n: world.http.post(url, json={"state": "success", "context": f"c{n}"}),
                range(40),
            )
        )

    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 40
    assert len([row for row in world.hub.state["statuses"] if row["sha"] == tip]) == 40


def test_only_one_of_many_merges_at_once_succeeds(world):
    number = world.promotion()

    with ThreadPoolExecutor(4) as pool:
        merge = world.path(f"/pulls/{number}/merge")
        codes = list(pool.map(lambda _: world.http.put(merge, json={}).status_code, range(4)))

    assert sorted(codes) == [200, 405, 405, 405]
