"""REST objects as `openapi.json` describes them, built from git and the stand-in's state."""

from typing import TYPE_CHECKING, Any

from . import judging
from .git_objects import Change, Commit, Person
from .state import App, login_id, node_id, stamp

if TYPE_CHECKING:
    from .hub import Hub

Shape = dict[str, Any]

UNSIGNED = {
    "verified": False,
    "reason": "unsigned",
    "payload": None,
    "signature": None,
    "verified_at": None,
}
SIGNED = UNSIGNED | {"verified": True, "reason": "valid"}
USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
REPOSITORY_LINKS = {
    "forks_url": "/forks",
    "keys_url": "/keys{/key_id}",
    "collaborators_url": "/collaborators{/collaborator}",
    "teams_url": "/teams",
    "hooks_url": "/hooks",
    "issue_events_url": "/issues/events{/number}",
    "events_url": "/events",
    "assignees_url": "/assignees{/user}",
    "branches_url": "/branches{/branch}",
    "tags_url": "/tags",
    "blobs_url": "/git/blobs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "trees_url": "/git/trees{/sha}",
    "statuses_url": "/statuses/{sha}",
    "languages_url": "/languages",
    "stargazers_url": "/stargazers",
    "contributors_url": "/contributors",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "commits_url": "/commits{/sha}",
    "git_commits_url": "/git/commits{/sha}",
    "comments_url": "/comments{/number}",
    "issue_comment_url": "/issues/comments{/number}",
    "contents_url": "/contents/{+path}",
    "compare_url": "/compare/{base}...{head}",
    "merges_url": "/merges",
    "archive_url": "/{archive_format}{/ref}",
    "downloads_url": "/downloads",
    "issues_url": "/issues{/number}",
    "pulls_url": "/pulls{/number}",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "labels_url": "/labels{/name}",
    "releases_url": "/releases{/id}",
    "deployments_url": "/deployments",
}


def user(hub: "Hub", login: str) -> Shape:
    url = f"{hub.url}/users/{login}"
    return {
        "login": login,
        "id": login_id(login),
        "node_id": node_id("User", login),
        "avatar_url": f"{hub.url}/avatars/{login_id(login)}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{hub.url}/{login}",
        **{name: url + path for name, path in USER_LINKS.items()},
        "type": "Bot" if login.endswith("[bot]") else "User",
        "site_admin": False,
    }


SWITCHED_OFF = (
    *("has_projects", "has_wiki", "has_pages", "has_discussions"),
    *("archived", "disabled", "is_template", "web_commit_signoff_required"),
)


def repository(hub: "Hub") -> Shape:
    web, state = hub.web, hub.state
    issues = sum(pull["state"] == "open" for pull in state["pulls"])
    return {
        "id": hub.repository_id,
        "node_id": node_id("Repository", hub.repository_id),
        "name": hub.name,
        "full_name": hub.full_name,
        "private": True,
        "owner": user(hub, hub.owner),
        "html_url": web,
        "description": None,
        "fork": False,
        "url": hub.api,
        **{name: hub.api + path for name, path in REPOSITORY_LINKS.items()},
        "created_at": state["created_at"],
        "updated_at": state["pushed_at"],
        "pushed_at": state["pushed_at"],
        **dict.fromkeys(("git_url", "ssh_url", "clone_url"), f"{web}.git"),
        "svn_url": web,
        "mirror_url": None,
        "homepage": None,
        "size": 0,
        "language": None,
        "has_issues": True,
        "has_downloads": True,
        **dict.fromkeys(SWITCHED_OFF, False),
        "visibility": "private",
        "topics": [],
        "custom_properties": {},
        "license": None,
        "allow_forking": False,
        "default_branch": state["default_branch"],
        **dict.fromkeys(("open_issues", "open_issues_count"), issues),
        **dict.fromkeys(
            ("forks", "forks_count", "watchers", "watchers_count", "stargazers_count"), 0
        ),
    }


def full_repository(hub: "Hub") -> Shape:
    return repository(hub) | {
        "subscribers_count": 0,
        "network_count": 0,
        **hub.state["settings"],
        "permissions": {
            "admin": True,
            "maintain": True,
            "push": True,
            "triage": True,
            "pull": True,
        },
    }


def _git_user(person: Person) -> Shape:
    return {"name": person.name, "email": person.email, "date": stamp(person.at)}


def git_commit(hub: "Hub", commit: Commit) -> Shape:
    return {
        "author": _git_user(commit.author),
        "committer": _git_user(commit.committer),
        "message": commit.message,
        "tree": {"sha": commit.tree, "url": f"{hub.api}/git/trees/{commit.tree}"},
        "url": f"{hub.api}/git/commits/{commit.sha}",
        "comment_count": 0,
        "verification": SIGNED if judging.signed(hub, commit.sha) else UNSIGNED,
    }


def commit(hub: "Hub", found_commit: Commit) -> Shape:
    url = f"{hub.api}/commits/{found_commit.sha}"
    return {
        "sha": found_commit.sha,
        "node_id": node_id("Commit", found_commit.sha),
        "commit": git_commit(hub, found_commit),
        "url": url,
        "html_url": f"{hub.web}/commit/{found_commit.sha}",
        "comments_url": f"{url}/comments",
        "author": user(hub, hub.login_of(found_commit.author.email)),
        "committer": user(hub, hub.login_of(found_commit.committer.email)),
        "parents": [
            {"sha": sha, "url": f"{hub.api}/commits/{sha}", "html_url": f"{hub.web}/commit/{sha}"}
            for sha in found_commit.parents
        ],
    }


def change(hub: "Hub", file_change: Change, sha: str) -> Shape:
    shape = {
        "sha": file_change.sha,
        "filename": file_change.path,
        "status": file_change.status,
        "additions": file_change.additions,
        "deletions": file_change.deletions,
        "changes": file_change.additions + file_change.deletions,
        "blob_url": f"{hub.web}/blob/{sha}/{file_change.path}",
        "raw_url": f"{hub.web}/raw/{sha}/{file_change.path}",
        "contents_url": f"{hub.api}/contents/{file_change.path}?ref={sha}",
    }
    shape |= {"patch": file_change.patch} if file_change.patch else {}
    return shape | ({"previous_filename": file_change.previous} if file_change.previous else {})


def app(hub: "Hub", github_app: App) -> Shape:
    return {
        "id": github_app.id,
        "slug": github_app.slug,
        "node_id": node_id("App", github_app.id),
        "owner": user(hub, hub.owner),
        "name": github_app.name,
        "description": "",
        "external_url": f"{hub.url}/apps/{github_app.slug}",
        "html_url": f"{hub.url}/apps/{github_app.slug}",
        "created_at": hub.state["created_at"],
        "updated_at": hub.state["created_at"],
        "permissions": {
            "checks": "write",
            "contents": "write",
            "metadata": "read",
            "statuses": "write",
        },
        "events": ["push", "pull_request"],
    }


def status(hub: "Hub", shape: Shape) -> Shape:
    return {
        "url": f"{hub.api}/statuses/{shape['sha']}",
        "avatar_url": None,
        "id": shape["id"],
        "node_id": node_id("Status", shape["id"]),
        "state": shape["state"],
        "description": shape["description"],
        "target_url": shape["target_url"],
        "context": shape["context"],
        "created_at": shape["at"],
        "updated_at": shape["at"],
    }


def label(hub: "Hub", name: str) -> Shape:
    return {
        "id": login_id(f"label {name}"),
        "node_id": node_id("Label", name),
        "url": f"{hub.api}/labels/{name}",
        "name": name,
        "description": "",
        "color": "ededed",
        "default": False,
    }
