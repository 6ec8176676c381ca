"""Parts that other distributions bring along, found by their entry points."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from newsletter.base.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a distribution offers under a name; nothing of it is imported before `load`."""

    entry: EntryPoint

    @property
    def distribution(self) -> str:
        """The distribution that brought it, with its version."""
        found = self.entry.dist
        return f"{found.name} {found.version}" if found is not None else "an unknown distribution"

    def load(self) -> object:
        """Import what it names.

        :raises ConfigError: naming the distribution, if that fails in any way
        """
        try:
            return self.entry.load()
        except Exception as error:  # whatever a stranger's module does when it is imported
            cause = f"cannot be loaded ({type(error).__name__}: {error})"
            raise ConfigError(f"the plugin “{self.entry.name}” of {self.distribution} {cause}") from error


def plugin_names(group: str) -> list[str]:
    """Return the names that the installed distributions offer in this group."""
    return sorted({entry.name for entry in entry_points(group=group)})


def find_plugin(group: str, name: str) -> Plugin | None:
    """Return what is offered in this group under this name, if anything is.

    :raises ConfigError: if two distributions offer different things under it
    """
    found = {entry.value: Plugin(entry) for entry in entry_points(group=group, name=name)}
    if len(found) > 1:
        rivals = " and ".join(sorted(each.distribution for each in found.values()))
        raise ConfigError(f"the plugin “{name}” is offered by {rivals}: uninstall one of them")
    return next(iter(found.values()), None)
