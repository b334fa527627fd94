"""Kinds of findings about what a service runs and which pushes deploy it."""

from environments.finding_kinds.registry import Repair, Situation, kind


def _follow(at: Situation) -> Repair | None:
    if at.instance.repository.lower() != at.repository.lower() or not at.wanted:
        return None
    question = f"Railway will deploy {at.instance} from {at.wanted} from now on."
    return Repair(
        "environments:branch-repair", "Repair", at.wanted, question, f"Follow {at.wanted}"
    )


def _deploy_on_push(at: Situation) -> Repair:
    question = f"Every push to {at.instance.branch} will deploy {at.instance}."
    return Repair("environments:push-repair", "Repair", "on", question, "Deploy on push")


def _deploy_head(at: Situation) -> Repair | None:
    if not at.head:
        return None
    question = f"Railway will deploy {at.head[:7]} on {at.instance}."
    return Repair(
        "environments:head-deploy", "Deploy this commit", at.head, question, f"Deploy {at.head[:7]}"
    )


BRANCH = kind("branch", "follows another branch", repair=_follow)
PUSH = kind("push", "does not deploy on push", repair=_deploy_on_push)
BEHIND = kind("behind", "the branch's head is not live", repair=_deploy_head)
UPLOADED = kind("uploaded", "uploaded without a commit")
ROLLED_BACK = kind("rolled_back", "rolled back on Railway", blocks=False)
