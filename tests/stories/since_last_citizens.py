"""What readers do, done in the house and in the rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from since_last_house import House
from since_last_rules import Rules
from since_last_things import Reader

from newsletter.base.errors import Conflict, ExpiredToken


class Citizens:
    """The readers of the house and of the rules, side by side."""

    house: House
    rules: Rules
    topic_of: dict[str, int]
    moved: int

    @property
    def now(self) -> datetime:
        raise NotImplementedError

    def publish(self, new: Sequence[Any]) -> None:
        raise NotImplementedError

    def sign_up(self, person: int, languages: Sequence[str], topics: Sequence[str], frequency: str) -> None:
        number, is_mailed = self.house.sign_up(person, languages=languages, topics=topics, frequency=frequency)
        mine = [reader for reader in self.rules.readers if reader.person == person and reader.state != "ended"]
        assert (number is None) == any(reader.state == "active" for reader in mine)
        # A wish that waits stays as it is while no mail speaks of another.
        if number is not None and (is_mailed or not mine):
            wish = Reader(
                number,
                person,
                frequency,
                [(code, 0) for code in languages],
                {self.topic_of[slug]: 0 for slug in topics},
                self.now,
            )
            assert [reader.id for reader in mine] in ([], [number])
            self.rules.readers = [reader for reader in self.rules.readers if reader not in mine] + [wish]

    def confirm(self, person: int) -> None:
        waits = any(reader.person == person and reader.state == "pending" for reader in self.rules.readers)
        if waits and self.house.confirm(person):
            self.rules.confirm(person)

    def change(self, which: int, languages: Sequence[str], topics: Sequence[str], frequency: str, form: str) -> None:
        if reader := self._active(which):
            self.house.change(reader.id, topics=topics, languages=languages, frequency=frequency, form=form)
            chosen = [self.topic_of[slug] for slug in topics]
            self.rules.change(reader, topics=chosen, languages=languages, frequency=frequency, form=form)

    def turn_away(self, which: int, kind: str) -> None:
        reader = self._active(which)
        if reader is None:
            return
        match kind:
            case "leave":
                self.house.leave(reader.id)
                self.rules.leave(reader, self.now)
            case "leave and undo":
                self.turn_away(which, "leave")
                self._take_back(reader)
            case "suppress":
                self.house.suppress(reader.person)
                self.rules.suppressed.add(reader.person)
            case "erase":
                self.house.erase(reader.person)
                self.house.addresses.pop(reader.person, None)
                self.rules.erase(reader.person)
            case "move":
                self._move(reader.person)

    def pause(self, which: int, length: timedelta, *, catches_up: bool, new: Sequence[Any], comes_back: bool) -> None:
        """A reader pauses; something comes, and some are back before the end."""
        if reader := self._active(which):
            self._pause(reader, length, catches_up=catches_up)
            self.publish(new)
            if comes_back:
                self._resume(reader)

    def _pause(self, reader: Reader, length: timedelta, *, catches_up: bool) -> None:
        now, until = self.now, self.now + length
        if catches_up and not reader.catches_up and not reader.is_paused(now):
            with pytest.raises(Conflict):
                self.house.rest(reader.id, until=until, catches_up=catches_up)
            self.house.end_readers_pauses()
            self.rules.end_pauses(self.rules.readers, now)
        self.house.rest(reader.id, until=until, catches_up=catches_up)
        reader.paused_until, reader.catches_up = until, catches_up

    def resume(self, which: int) -> None:
        paused = [reader for reader in self.rules.active() if reader.paused_until is not None]
        if paused:
            self._resume(paused[which % len(paused)])

    def _resume(self, reader: Reader) -> None:
        self.house.resume(reader.id)
        self.rules.resume(reader, self.now)

    def undo(self, which: int) -> None:
        """Somebody who left in the last hour takes it back, if that can be."""
        lately = [each for each in self.rules.readers if each.left_at and each.left_at > self.now - timedelta(hours=1)]
        if lately:
            self._take_back(lately[-1 - which % len(lately)])

    def _take_back(self, reader: Reader) -> None:
        assert reader.left_at is not None
        present = self.rules.in_place_of(reader)
        if present is None and not self.rules.can_undo(reader, self.now):
            with pytest.raises((Conflict, ExpiredToken)):
                self.house.undo(reader.id, left_at=reader.left_at)
            return
        number = self.house.undo(reader.id, left_at=reader.left_at)
        if present is None:
            self.rules.undo(reader, number, self.now)
        assert present is None or number == present.id

    def _move(self, person: int) -> None:
        self.moved += 1
        may = self.rules.may_move(person, self.now)
        assert self.house.move(person, to=f"reader{person}@home{self.moved}.example.org") == may
        if may:
            self.rules.move(person, self.now)

    def _active(self, which: int) -> Reader | None:
        active = self.rules.active()
        return active[which % len(active)] if active else None
