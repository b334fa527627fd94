"""A register of declarations: gates, kinds of findings, conditions, roles, notifications, checks.

A declaration lies in a module of its own, beside the function it is about. The register names these
modules, one line each, and imports them when it is first looked at.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module


class Registry[T](Mapping[str, T]):
    """Declarations by name, in the order of their modules and, within one, of their declaration."""

    def __init__(self, modules: Callable[[], Iterable[str]]) -> None:
        self.declared: dict[str, T] = {}
        self._modules: Callable[[], Iterable[str]] | None = modules

    def add(self, name: str, declaration: T) -> T:
        """Add and return a declaration. Raise `ValueError` where the name is taken."""
        if name in self.declared:
            raise ValueError(f"{name} is declared twice: choose another name.")
        self.declared[name] = declaration
        return declaration

    def _load(self) -> dict[str, T]:
        if self._modules is not None:
            for module in self._modules():
                import_module(module)
            self._modules = None  # only once all could be imported
        return self.declared

    def __getitem__(self, name: str) -> T:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


def within(package: str, *modules: str) -> Callable[[], list[str]]:
    """Return where a register looks: these modules of `package`, in this order."""
    return lambda: [f"{package}.{module}" for module in modules]
