"""The proof of “since last”: whatever happens in whatever order, the house does what the rules say.

STATE_MACHINE_STEPS sets how many steps are made in all (a long run: 100000).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from since_last_both import Both
from since_last_carrier import Script, write_plain_templates
from since_last_house import House

from newsletter.base.clock import SetClock
from newsletter.db.database import Database
from newsletter.mail.rendering import MailTemplates

MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "0"))
STEPS_OF_A_STORY = 40

numbers = st.integers(0, 30)
people = st.integers(0, 7)
frequencies = st.sampled_from(["immediate", "immediate", "daily", "weekly", "monthly"])
forms = st.sampled_from(["digest", "digest", "light"])
pauses = st.sampled_from([timedelta(minutes=20), timedelta(hours=30), timedelta(days=5), timedelta(days=9)])
recent = st.integers(0, 6)
# Few choices, so that readers share them and versions meet.
several_topics = st.sampled_from([["health", "work", "schools"], ["schools", "work"], ["health"]])
several_languages = st.sampled_from([["fr", "ar"], ["ar", "fr"], ["fr"], ["en", "ar", "fr"]])
pieces = st.tuples(several_topics, st.sampled_from(["fr", "ar", "en"]), st.none() | recent, st.integers(0, 5))
news = st.lists(pieces, max_size=3)
outcomes = st.lists(st.sampled_from(["accepted", "deferred", "failed", "uncertain"]), max_size=5)
outcomes_and_stops = st.lists(st.sampled_from(["accepted", "deferred", "failed", "uncertain", "stop"]), max_size=6)
policies = st.sampled_from(["resend", "resend", "hold"])
lapses = st.sampled_from(["now", "lease", "retry", "hours", "daily", "daily", "weekly", "monthly", "late", "far"])
desk_work = st.sampled_from(["topic", "pair", "unpair", "withdraw", "withdraw", "reinstate", "correct"])
farewells = st.sampled_from(["leave", "leave", "leave and undo", "suppress", "erase", "move", "move"])
issue_steps = st.sampled_from(["cancel", "pause", "resume", "release"])


@dataclass(frozen=True)
class Ground:
    """What the machine's stories stand on: one database, emptied for each story, because a new one costs more."""

    database: Database
    clock: SetClock
    templates: MailTemplates
    folder: Path


GROUND: list[Ground] = []


@pytest.fixture(scope="module", autouse=True)
def ground(fresh_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("since_last")
    clock = SetClock(MONDAY)
    database = Database(fresh_database(folder), clock=clock)
    GROUND.append(Ground(database, clock, MailTemplates(write_plain_templates(folder / "templates")), folder))
    yield
    GROUND.clear()
    database.close()


class SinceLast(RuleBasedStateMachine):
    """Publishing, choosing, joining, leaving, running, failing: in any order, for ever."""

    def __init__(self) -> None:
        super().__init__()
        ground = GROUND[0]
        ground.clock.move_to(MONDAY)
        self.both = Both(House(ground.database, templates=ground.templates, home=ground.folder), clock=ground.clock)

    @initialize(
        readers=st.lists(st.tuples(several_languages, several_topics, frequencies), min_size=2, max_size=6),
        first=news,
    )
    def begin(self, readers: Sequence[tuple[list[str], list[str], str]], first: Sequence[Any]) -> None:
        self.both.publish(first)
        for person, (languages, topics, frequency) in enumerate(readers):
            self.both.sign_up(person, languages, topics, frequency)
            self.both.confirm(person)

    @rule(new=news)
    def publish(self, new: Sequence[Any]) -> None:
        self.both.publish(new)

    @rule(kind=desk_work, one=recent, other=recent, topics=several_topics)
    def work_at_the_desk(self, kind: str, one: int, other: int, topics: list[str]) -> None:
        self.both.work_at_the_desk(kind, one, other, topics)

    @rule(
        person=people,
        languages=several_languages,
        topics=several_topics,
        frequency=frequencies,
        is_confirmed=st.booleans(),
    )
    def join(self, person: int, languages: list[str], topics: list[str], frequency: str, *, is_confirmed: bool) -> None:
        self.both.sign_up(person, languages, topics, frequency)
        if is_confirmed:
            self.both.confirm(person)

    @rule(person=people)
    def confirm_later(self, person: int) -> None:
        self.both.confirm(person)

    @rule(which=numbers, languages=several_languages, topics=several_topics, frequency=frequencies, form=forms)
    def change(self, which: int, languages: list[str], topics: list[str], frequency: str, form: str) -> None:
        self.both.change(which, languages, topics, frequency, form)

    @rule(which=numbers, length=pauses, catches_up=st.booleans(), new=news, comes_back=st.booleans())
    def pause(self, which: int, length: timedelta, new: Sequence[Any], *, catches_up: bool, comes_back: bool) -> None:
        self.both.pause(which, length, catches_up=catches_up, new=new, comes_back=comes_back)

    @rule(which=numbers)
    def resume(self, which: int) -> None:
        self.both.resume(which)

    @rule(which=numbers, kind=farewells)
    def turn_away(self, which: int, kind: str) -> None:
        self.both.turn_away(which, kind)

    @rule(which=recent)
    def undo(self, which: int) -> None:
        self.both.undo(which)

    @rule(kind=issue_steps, which=numbers)
    def step_an_issue(self, kind: str, which: int) -> None:
        self.both.step_an_issue(kind, which)

    @rule(new=news, passed=lapses, script=outcomes_and_stops, in_doubt=policies)
    def run(self, new: Sequence[Any], passed: str, script: list[str], in_doubt: str) -> None:
        self._prepare(new, passed)
        self.both.cron(Script(script), in_doubt)

    @rule(new=news, passed=lapses, script=outcomes, second=outcomes)
    def run_twice_in_a_row(self, new: Sequence[Any], passed: str, script: list[str], second: list[str]) -> None:
        self._prepare(new, passed)
        self.both.cron(Script(script), "resend")
        self.both.cron(Script(second), "resend")

    @rule(new=news, passed=lapses, script=outcomes, dies_at=st.integers(1, 6), is_taken=st.booleans())
    def run_and_die(self, new: Sequence[Any], passed: str, script: list[str], *, dies_at: int, is_taken: bool) -> None:
        self._prepare(new, passed)
        self.both.cron(Script(script, dies_at=dies_at, dies_after_taking=is_taken), "resend")

    @rule(
        new=news,
        passed=lapses,
        script=outcomes,
        rests_at=st.integers(1, 4),
        meanwhile=st.sampled_from(
            ["run", "run", "desk", "desk", "step", "turn away", "turn away", "change", "publish"]
        ),
        farewell=farewells,
        inner=outcomes_and_stops,
        work=desk_work,
        step=issue_steps,
        one=recent,
        other=recent,
        languages=several_languages,
        topics=several_topics,
        frequency=frequencies,
        form=forms,
    )
    def run_and_fall_asleep(
        self, new: Sequence[Any], passed: str, script: list[str], *, rests_at: int, **drawn: Any
    ) -> None:
        """A sender sleeps while others go on; it wakes up as if nothing had been."""
        self._prepare(new, passed)
        self.both.cron(Script(script, rests_at=rests_at, then=partial(self._meanwhile, **drawn)), "resend")

    def _meanwhile(self, meanwhile: str, *, one: int, other: int, topics: list[str], **drawn: Any) -> None:
        match meanwhile:
            case "run":
                self.both.pass_time("lease")
                self.both.cron(Script(drawn["inner"]), "resend")
            case "desk":
                self.both.work_at_the_desk(drawn["work"], one, other, topics)
            case "step":
                self.both.step_an_issue(drawn["step"], one)
            case "turn away":
                self.both.turn_away(one, drawn["farewell"])
            case "change":
                self.both.change(one, drawn["languages"], topics, drawn["frequency"], drawn["form"])
            case "publish":
                self.both.publish([(topics, drawn["languages"][0], one, 0)])

    @rule(new=news, passed=lapses, script=outcomes, size=st.integers(1, 2), in_doubt=policies)
    def run_two_at_once(self, new: Sequence[Any], passed: str, script: list[str], size: int, in_doubt: str) -> None:
        self._prepare(new, passed)
        self.both.cron_at_once(Script(script), size, in_doubt)

    @rule(
        new=news,
        passed=lapses,
        size=st.integers(1, 2),
        works=st.lists(st.tuples(desk_work, recent, recent, several_topics), max_size=2),
        newcomers=st.lists(st.tuples(people, several_languages, several_topics, frequencies), max_size=1),
    )
    def plan_a_little(
        self, new: Sequence[Any], passed: str, size: int, works: Sequence[Any], newcomers: Sequence[Any]
    ) -> None:
        """A planner dies after a slice; readers join and the desk works on before another one goes on."""
        self._prepare(new, passed)
        self.both.plan_a_little(size)
        for newcomer in newcomers:
            self.both.sign_up(*newcomer)
            self.both.confirm(newcomer[0])
        for work in works:
            self.both.work_at_the_desk(*work)

    def _prepare(self, new: Sequence[Any], passed: str) -> None:
        self.both.publish(new)
        self.both.pass_time(passed)

    @invariant()
    def the_house_is_as_the_rules_say(self) -> None:
        self.both.compare()


def _run(stories: int, *, steps: int = STEPS_OF_A_STORY) -> None:
    run_state_machine_as_test(
        SinceLast,
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("part", range(3))
def test_every_reader_gets_what_the_rules_say_whatever_happens(part: int, database_kind: str) -> None:
    _run(7 if database_kind == "sqlite" else 3)  # a step on PostgreSQL takes three times as long


@pytest.mark.slow
def test_every_reader_gets_what_the_rules_say_whatever_happens_for_long(database_kind: str) -> None:
    steps = STEPS or (6_000 if database_kind == "sqlite" else 2_000)
    _run(max(steps // STEPS_OF_A_STORY, 1))
