import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User

from portal.accounts import roles

pytestmark = pytest.mark.django_db

# Their models are still to come.
EXPECTED_LATER = {"environments.manage_preview"}


def person(role: str) -> User:
    roles.ensure()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def test_a_role_has_exactly_its_permissions_and_a_second_run_changes_nothing():
    roles.ensure()
    group = Group.objects.get(name="Approvers")
    group.permissions.set(Permission.objects.filter(codename__startswith="delete_"))

    roles.ensure()
    roles.ensure()

    held = {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in group.permissions.all()
    }
    assert held == set(roles.ROLES["Approvers"].permissions)
    assert Group.objects.count() == len(roles.ROLES)


def test_the_queries_grow_with_roles_and_not_with_their_permissions(django_assert_max_num_queries):
    roles.ensure()

    with django_assert_max_num_queries(4 + 8 * len(roles.ROLES)):
        roles.ensure()


def test_every_permission_named_exists():
    known = {
        f"{object_.content_type.app_label}.{object_.codename}"
        for object_ in Permission.objects.all()
    }
    named = {code for role in roles.ROLES.values() for code in role.permissions}

    assert named - known <= EXPECTED_LATER


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("Release managers", "releases.promote_release", "releases.approve_release"),
        ("Approvers", "releases.approve_release", "releases.promote_release"),
        ("Auditors", "portal.view_auditevent", "releases.tick_checklistitem"),
        ("Administrators", "environments.change_project", "releases.promote_release"),
    ],
)
def test_a_role_may_do_its_own_work_and_not_another_ones(role, may, may_not):
    user = person(role)

    assert user.has_perm(may)
    assert not user.has_perm(may_not)


def test_an_auditor_changes_nothing_at_all():
    held = person("Auditors").get_all_permissions()

    assert held and all(".view_" in code for code in held)


def test_nobody_may_write_the_audit_trail():
    names = {
        object_.codename for object_ in Permission.objects.filter(content_type__model="auditevent")
    }

    assert names == {"view_auditevent"}
    assert not any(
        model._meta.default_permissions for model in [apps.get_model("portal", "AuditHead")]
    )
