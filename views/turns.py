"""Who is listened to, of all visitors at once: some at a time, others wait, and not too many."""

import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import limits
from views.text import Page

Item = TypeVar("Item")


class BusyError(Exception):
    """More visitors are waiting than would be served soon; the message is for the next one."""


class Turns:
    """First come, first served. What is in a `with` of it is a turn; make turns short.

    Streamlit stops a script by an exception in it, which ends the turn like any other.
    """

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._most = waiting
        self._change = threading.Condition()
        self._taken = 0  # turns that were asked for
        self._begun = at_once  # turns that may begin

    def __enter__(self) -> None:
        with self._change:
            number = self._taken
            self._taken += 1
            self._change.wait_for(lambda: number < self._begun)

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._begun += 1
            self._change.notify_all()

    def check(self) -> None:
        """Raise a `BusyError` where too many are waiting for somebody else to come."""
        if self._taken - self._begun >= self._most:
            raise BusyError(Page.BUSY)

    def share(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items, each of which is made in a turn: others have theirs in between."""
        made = iter(items)
        while True:
            with self:
                item = next(made, None)
            if item is None:
                return
            yield item


listening = Turns(at_once=limits.LISTENING, waiting=limits.WAITING)
