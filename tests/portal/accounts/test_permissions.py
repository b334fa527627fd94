"""What a person may do is read in one query, and is what Django alone would say."""

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User

pytestmark = pytest.mark.django_db

OWN, OF_GROUP = "releases.cut_release", "releases.tick_checklistitem"


@pytest.fixture
def person():
    """Somebody with one permission of their own and one of a group."""
    user = User.objects.create_user("pat")
    group = Group.objects.create(name="tickers")
    user.groups.add(group)
    found = {name: Permission.objects.get(codename=name.split(".")[1]) for name in (OWN, OF_GROUP)}
    user.user_permissions.add(found[OWN])
    group.permissions.add(found[OF_GROUP])
    return User.objects.get(pk=user.pk)


def test_the_persons_own_and_their_groups_permissions_are_read_in_one_query(
    person, django_assert_num_queries
):
    with django_assert_num_queries(1):
        assert person.has_perm(OWN)
        assert person.has_perm(OF_GROUP)
        assert not person.has_perm("releases.promote_release")
        assert not person.has_perm("no.such")
        assert person.has_module_perms("releases")
        assert person.get_all_permissions() == {OWN, OF_GROUP}


def test_everybody_may_do_what_django_alone_says(person):
    person.groups.add(*Group.objects.all())
    alone = User.objects.get(pk=person.pk)

    assert person.get_all_permissions() == ModelBackend().get_all_permissions(alone) != set()


def test_whoever_is_switched_off_may_do_nothing(person):
    person.is_active = False

    assert not person.has_perm(OWN)
    assert person.get_all_permissions() == set()


def test_a_superuser_may_do_everything(db):
    root = User.objects.create_superuser("root")

    assert root.has_perm(OWN)
    assert OWN in root.get_all_permissions()
