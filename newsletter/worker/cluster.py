"""A worker among many: takes jobs that say "look at batch 7" from the shared queue, and sees to it that none is missed.

Every worker looks at the rows, too; so any queue may lose or repeat jobs. When the database goes, the worker ends, and
whatever supervises it starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import psycopg
from procrastinate import App, JobContext
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Status

from newsletter.base.errors import Unavailable
from newsletter.deliveries.models import LaneName
from newsletter.deliveries.sending import STOPPING, send_batch
from newsletter.operations.reconciling import EVERY, enqueue_due, take_back
from newsletter.operations.sending import TRANSACTIONAL, Postroom, sender_of
from newsletter.worker import queue
from newsletter.worker.pauses import Pauses

log = logging.getLogger(__name__)
LOOK_EVERY = 0.3  # seconds: a confirmation leaves within one
POLL_EVERY = {queue.TRANSACTIONAL_QUEUE: 0.4, queue.DIGEST_QUEUE: 2.0, queue.HOUSEKEEPING_QUEUE: 5.0}  # seconds
TURN = 60.0  # seconds after which a batch gives way to the next in line
GONE = "the database does not answer any more: the worker ends, for its supervisor to start it again"
_NOISY = ("procrastinate", "psycopg.pool", "asyncio")  # they tell with tracebacks what we tell in one line


class ClusterWorker:
    """One process of many; `stop` ends it in good order, trouble with the database ends it as well."""

    def __init__(self, postroom: Postroom, *, transactional: int, digests: int, stop: threading.Event) -> None:
        self._postroom = postroom
        self._hands = {queue.TRANSACTIONAL_QUEUE: transactional, queue.DIGEST_QUEUE: digests}
        self._stop = stop
        self._queue = queue.JobQueue()
        self._pauses = Pauses()
        self._turns: set[threading.Event] = set()
        self._trouble: Unavailable | None = None

    def run(self) -> None:
        """Work until told to stop.

        :raises Unavailable: if the database does not answer, or went away
        :raises ConfigError: if the database is none that many machines can share
        """
        queue.prepare(self._postroom.database)
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        beside = [
            threading.Thread(target=self._keep, args=(LOOK_EVERY, self._look), name="looking"),
            threading.Thread(target=self._keep, args=(EVERY, self._reconcile), name="reconciling"),
            threading.Thread(target=self._end_turns, name="stopping"),
        ]
        for thread in beside:
            thread.start()
        try:
            asyncio.run(self._fetch_jobs())
        except (ConnectorException, psycopg.Error) as error:
            self._end(Unavailable(GONE), error)
        finally:
            self._stop.set()
            for thread in beside:
                thread.join()
            self._pauses.end()
        if self._trouble is not None:
            raise self._trouble

    def look_at_batch(self, batch_id: int, lane: str) -> None:
        """Send what is due of a batch for one turn; what is left is enqueued again, behind the others."""
        name = LaneName(lane)
        if self._stop.is_set() or self._pauses.lasts(queue.queue_of(name)):
            return  # the rows say it again later
        turn = threading.Event()
        self._turns.add(turn)
        timer = threading.Timer(TURN, turn.set)
        timer.start()
        try:
            self._send(batch_id, name, turn)
        except Unavailable as error:
            self._end(error)
        except Exception:
            # A door's outermost wall: what nobody anticipated in one batch shall not keep the others waiting.
            log.exception("sending failed")
            self._pauses.begin(queue.queue_of(name), "sending failed")
        finally:
            timer.cancel()
            self._turns.discard(turn)

    def _send(self, batch_id: int, lane: LaneName, turn: threading.Event) -> None:
        postroom = self._postroom
        if self._stop.is_set():
            turn.set()
        sender = replace(sender_of(postroom), stop=turn)
        tally = send_batch(postroom.database, postroom.backend, postroom.lanes[lane], batch_id, sender=sender)
        if tally.stopped is None:
            self._pauses.forget(queue.queue_of(lane))
        elif tally.stopped == STOPPING:
            enqueue_due(postroom.database, self._queue, lanes=(lane,))
        else:
            self._pauses.begin(queue.queue_of(lane), tally.stopped)

    def _look(self) -> None:
        if not self._pauses.lasts(queue.TRANSACTIONAL_QUEUE):
            enqueue_due(self._postroom.database, self._queue, lanes=TRANSACTIONAL)

    def _reconcile(self) -> None:
        postroom = self._postroom
        take_back(postroom.database, postroom.lanes, in_doubt=postroom.in_doubt)
        awake = [lane for lane in LaneName if not self._pauses.lasts(queue.queue_of(lane))]
        enqueue_due(postroom.database, self._queue, lanes=awake)

    def _keep(self, every: float, step: Callable[[], None]) -> None:
        """Repeat a step until the end; a database that does not answer is the end."""
        wait = 0.0
        while not self._stop.wait(wait):
            wait = every
            try:
                step()
            except Unavailable as error:
                self._end(error)
            except Exception:
                log.exception("looking failed")
                wait = EVERY

    def _end_turns(self) -> None:
        self._stop.wait()
        for turn in list(self._turns):
            turn.set()

    def _end(self, trouble: Unavailable, cause: BaseException | None = None) -> None:
        if not self._stop.is_set():
            self._trouble = trouble
            trouble.__cause__ = trouble.__cause__ or cause
        self._stop.set()

    async def _fetch_jobs(self) -> None:
        loop = asyncio.get_running_loop()
        hands = sum(self._hands.values())
        loop.set_default_executor(ThreadPoolExecutor(max_workers=hands + 4, thread_name_prefix="sending"))
        app = queue.shared_app(self._postroom.database, hands=hands)
        _add_tasks(app, self.look_at_batch)
        async with app.open_async():
            kinds = {name: count for name, count in self._hands.items() if count} | {queue.HOUSEKEEPING_QUEUE: 1}
            workers = [asyncio.create_task(_work(app, name, count)) for name, count in kinds.items()]
            told = asyncio.create_task(self._told())
            await asyncio.wait([*workers, told], return_when=asyncio.FIRST_COMPLETED)
            if not told.done():  # no worker ends by itself while the database is there
                self._end(Unavailable(GONE), next(filter(None, map(_failure, workers)), None))
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, told, return_exceptions=True)

    async def _told(self) -> None:
        while not self._stop.is_set():  # noqa: ASYNC110 (set by signal handlers and threads, which wake no loop)
            await asyncio.sleep(0.1)


async def _work(app: App, name: str, count: int) -> None:
    await app.run_worker_async(
        queues=[name],
        name=name,
        concurrency=count,
        listen_notify=name == queue.TRANSACTIONAL_QUEUE,
        # Also where it listens: a notification that comes while it fetches is lost.
        fetch_job_polling_interval=POLL_EVERY[name],
        delete_jobs="always",
        install_signal_handlers=False,
        update_heartbeat_interval=queue.HEARTBEAT,
        stalled_worker_timeout=queue.STALLED_AFTER,
    )


def _failure(worker: asyncio.Task[None]) -> BaseException | None:
    return worker.exception() if worker.done() and not worker.cancelled() else None


def _add_tasks(app: App, look_at_batch: Callable[[int, str], None]) -> None:
    app.task(name=queue.LOOK)(look_at_batch)

    @app.periodic(cron="* * * * * */10")
    @app.task(
        name="newsletter:retry_stalled_jobs",
        queue=queue.HOUSEKEEPING_QUEUE,
        queueing_lock="retry stalled jobs",  # and no lock: that of a killed worker would never be given back
        pass_context=True,
    )
    async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 (given by name)
        jobs = context.app.job_manager
        for job in await jobs.get_stalled_jobs(seconds_since_heartbeat=queue.STALLED_AFTER):
            with suppress(ConnectorException):  # somebody else has seen to it
                try:
                    await jobs.retry_job(job)
                except UniqueViolation:  # the same look waits already
                    await jobs.finish_job(job, Status.FAILED, delete_job=True)
