"""What a person may do, read in one query instead of Django's two."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db.models import Model, Q


class PermissionsAtOnce(ModelBackend):
    """Answers permissions only, before `ModelBackend`, which finds them on the person then.

    Django's own stays in the settings and signs people in: the sessions that are open name it.
    """

    def authenticate(self, *_arguments: object, **_credentials: object) -> None:
        """Sign nobody in, so that a wrong password is hashed once."""
        return None

    def get_all_permissions(
        self, user_obj: User | AnonymousUser, obj: Model | None = None
    ) -> set[str]:
        """Return the person's own permissions and those of their groups, "app.codename"."""
        ordinary = isinstance(user_obj, User) and not user_obj.is_superuser
        if ordinary and user_obj.is_active and obj is None and not hasattr(user_obj, "_perm_cache"):
            own, of_groups = (
                Permission.objects.filter(whose)
                .values_list("content_type__app_label", "codename")
                .order_by()
                for whose in (Q(user=user_obj), Q(group__user=user_obj))
            )
            both = own.union(of_groups).order_by()
            # Django keeps them under this name, and looks there first.
            setattr(user_obj, "_perm_cache", {f"{app}.{name}" for app, name in both})  # noqa: B010
        return super().get_all_permissions(user_obj, obj)
