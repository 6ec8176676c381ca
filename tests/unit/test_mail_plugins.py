"""Mail backends that other distributions bring along."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.base.errors import ConfigError, InvalidInput
from newsletter.base.plugins import plugin_names
from newsletter.mail.in_turn import send_all
from newsletter.mail.port import Message, Outcome
from newsletter.mail.registry import PLUGINS, backend_from_url

HOME = Path("/home/of/it")
CODE = """
from newsletter.base.errors import InvalidInput
from newsletter.mail.providers.memory.backend import MemoryBackend

class Pigeons(MemoryBackend):
    name = "pigeon"
    def __init__(self, parts, home):
        super().__init__()
        self.parts, self.home = parts, home
    def describe(self):
        return f"pigeons from {self.parts.hostname}"

class Egg:
    name = "egg"

def hatch(parts, home):
    return Egg()

def refuse(parts, home):
    raise InvalidInput("pigeons do not fly there")

def stumble(parts, home):
    raise RuntimeError(f"cannot use {parts.password}")
"""


class Installed:
    """Distributions that a test puts onto the path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.syspath_prepend(str(folder))
        (folder / "pigeon_post.py").write_text(CODE)

    def add(self, name: str, *entries: str) -> None:
        info = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join([f"[{PLUGINS}]", *entries, ""]))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    return Installed(tmp_path, monkeypatch)


def test_a_scheme_of_another_distribution_is_found_by_its_entry_point(installed: Installed) -> None:
    installed.add("pigeon-post", "pigeon = pigeon_post:Pigeons")
    assert plugin_names(PLUGINS) == ["pigeon"]
    backend = backend_from_url("pigeon://roof.example.ma/cage?food=corn", home=HOME)
    assert backend.describe() == "pigeons from roof.example.ma"
    with backend.open() as channel:
        (verdict,) = send_all(channel, [Message(1, "", "r@example.org", (b"a: b\r\n\r\n",))])
    assert verdict.outcome is Outcome.ACCEPTED
    inside = backend_from_url("failover:(pigeon://a|memory://)", home=HOME)
    assert "pigeons from a" in inside.describe()


def test_a_scheme_of_ours_cannot_be_taken_over(installed: Installed) -> None:
    schemes = ("smtp", "memory", "failover", "maildir", "ses")
    installed.add("taker", *(f"{scheme} = no_such_module:take" for scheme in schemes))
    assert backend_from_url("smtp://relay", home=HOME).name == "smtp"
    assert backend_from_url("memory://", home=HOME).name == "memory"
    assert backend_from_url("failover:(memory://|maildir://)", home=HOME).name == "failover"


def test_an_unknown_scheme_is_answered_with_all_that_there_are(installed: Installed) -> None:
    installed.add("pigeon-post", "pigeon = pigeon_post:Pigeons")
    with pytest.raises(ConfigError, match=r"smtp://.*ses://.*pigeon://.*failover:\(…\|…\)"):
        backend_from_url("dove://x", home=HOME)


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        ("no_such_module:make", "cannot be loaded .ModuleNotFoundError"),
        ("pigeon_post:no_such_name", "cannot be loaded .AttributeError"),
        ("pigeon_post:CODE_IS_NOT_HERE.x", "cannot be loaded"),
        ("pigeon_post:__name__", "not made by a function"),
        ("pigeon_post:stumble", "cannot be made .RuntimeError"),
        ("builtins:max", "cannot be made .TypeError"),
        ("pigeon_post:hatch", "lacks something of the port"),
    ],
)
def test_what_does_not_work_is_laid_at_the_door_of_its_distribution(
    installed: Installed, entry: str, cause: str
) -> None:
    installed.add("pigeon-post", f"pigeon = {entry}")
    with pytest.raises(ConfigError, match=cause) as refused:
        backend_from_url("pigeon://u:hunter2@roof", home=HOME)
    assert "pigeon-post 1.0" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_module_that_fails_in_any_way_when_it_is_imported_is_a_matter_of_the_set_up(installed: Installed) -> None:
    (installed.folder / "sick_post.py").write_text("raise ZeroDivisionError('sick')")
    installed.add("sick-post", "sick = sick_post:make")
    with pytest.raises(ConfigError, match=r"sick-post 1\.0 cannot be loaded \(ZeroDivisionError: sick\)"):
        backend_from_url("sick://", home=HOME)


def test_its_own_words_about_its_url_are_kept(installed: Installed) -> None:
    installed.add("pigeon-post", "pigeon = pigeon_post:refuse")
    with pytest.raises(InvalidInput, match="do not fly there"):
        backend_from_url("pigeon://x", home=HOME)


def test_two_distributions_cannot_offer_the_same_scheme(installed: Installed) -> None:
    installed.add("pigeon-post", "pigeon = pigeon_post:Pigeons")
    installed.add("other-post", "pigeon = pigeon_post:refuse")
    with pytest.raises(ConfigError, match=r"other-post 1\.0 and pigeon-post 1\.0"):
        backend_from_url("pigeon://x", home=HOME)
