import pytest
from django.contrib.auth.models import Group, Permission, User

from portal import roles

pytestmark = pytest.mark.django_db


def test_an_auditor_may_read_the_trail_and_do_nothing():
    roles.ensure()
    charlie = User.objects.create_user("charlie")
    charlie.groups.add(Group.objects.get(name="Auditors"))

    assert charlie.has_perm("portal.view_auditevent")
    assert all(".view_" in permission for permission in charlie.get_all_permissions())


def test_nobody_approves_and_promotes_by_one_role():
    both = {"releases.approve_release", "releases.promote_release"}

    assert not any(both <= set(permissions) for permissions in roles.ROLES.values())


def test_it_may_run_again_and_mends_a_changed_role():
    roles.ensure()
    group = Group.objects.get(name="Auditors")
    before = set(group.permissions.all())
    group.permissions.set(Permission.objects.filter(codename="delete_user"))

    roles.ensure()

    assert set(group.permissions.all()) == before
    assert Group.objects.count() == len(roles.ROLES)


def test_it_leaves_the_people_of_a_role_alone():
    roles.ensure()
    alice = User.objects.create_user("alice")
    alice.groups.add(Group.objects.get(name="Approvers"))

    roles.ensure()

    assert alice.groups.get().name == "Approvers"
