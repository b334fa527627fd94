"""Pull requests, reviews and comments as REST objects."""

from typing import TYPE_CHECKING

from . import judging, merging, pulls
from .shapes import Shape, label, repository, user
from .state import node_id

if TYPE_CHECKING:
    from .standin import GitHubStandIn


def simple(hub: "GitHubStandIn", pull: Shape) -> Shape:
    """Return a pull request as lists show it: without `mergeable`, `merged` and counts."""
    number = pull["number"]
    url, issue = f"{hub.api}/pulls/{number}", f"{hub.api}/issues/{number}"
    statuses = f"{hub.api}/statuses/{pull['head_sha']}"
    html = f"{hub.web}/pull/{number}"
    repo = repository(hub)
    links = {
        "self": url,
        "html": html,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{hub.api}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": statuses,
    }

    def side(branch: str, sha: str) -> Shape:
        label_ = f"{hub.owner}:{branch}"
        return {"label": label_, "ref": branch, "sha": sha, "user": repo["owner"], "repo": repo}

    return {
        "url": url,
        "id": pull["id"],
        "node_id": node_id("PullRequest", pull["id"]),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        "number": number,
        "state": pull["state"],
        "locked": False,
        "title": pull["title"],
        "user": user(hub, pull["user"]),
        "body": pull["body"] or None,
        "created_at": pull["created_at"],
        "updated_at": pull["updated_at"],
        "closed_at": pull["closed_at"],
        "merged_at": pull["merged_at"],
        "merge_commit_sha": pull["merge_commit_sha"] or merging.trial_merge(hub, pull),
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [label(hub, name) for name in pull["labels"]],
        "milestone": None,
        "draft": pull["draft"],
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": statuses,
        "head": side(pull["head"], pull["head_sha"]),
        "base": side(pull["base"], pull["base_sha"]),
        "_links": {name: {"href": href} for name, href in links.items()},
        "author_association": "COLLABORATOR",
        "auto_merge": None,
        "active_lock_reason": None,
    }


def full(hub: "GitHubStandIn", pull: Shape) -> Shape:
    """Return a pull request as it is shown alone."""
    mergeable = judging.mergeable(hub, pull)
    files, added, removed = pulls.totals(hub, pull)
    comments = sum(comment["number"] == pull["number"] for comment in hub.state["comments"])
    return simple(hub, pull) | {
        "merged": pull["merged_at"] is not None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": judging.merge_state(hub, pull).lower(),
        "merged_by": user(hub, pull["merged_by"]) if pull["merged_by"] else None,
        "comments": comments,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": pulls.commit_count(hub, pull),
        "additions": added,
        "deletions": removed,
        "changed_files": files,
    }


def review(hub: "GitHubStandIn", shape: Shape) -> Shape:
    pull = f"{hub.api}/pulls/{shape['number']}"
    html = f"{hub.web}/pull/{shape['number']}#pullrequestreview-{shape['id']}"
    return {
        "id": shape["id"],
        "node_id": node_id("PullRequestReview", shape["id"]),
        "user": user(hub, shape["user"]),
        "body": shape["body"],
        "state": shape["state"],
        "html_url": html,
        "pull_request_url": pull,
        "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
        "submitted_at": shape["at"],
        "commit_id": shape["sha"],
        "author_association": "COLLABORATOR",
    }


def comment(hub: "GitHubStandIn", shape: Shape) -> Shape:
    return {
        "id": shape["id"],
        "node_id": node_id("IssueComment", shape["id"]),
        "url": f"{hub.api}/issues/comments/{shape['id']}",
        "html_url": f"{hub.web}/pull/{shape['number']}#issuecomment-{shape['id']}",
        "issue_url": f"{hub.api}/issues/{shape['number']}",
        "body": shape["body"],
        "user": user(hub, shape["user"]),
        "created_at": shape["created_at"],
        "updated_at": shape["updated_at"],
        "author_association": "COLLABORATOR",
        "performed_via_github_app": None,
    }
