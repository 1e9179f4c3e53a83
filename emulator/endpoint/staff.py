"""The fate of an endpoint's workers: how they come and how they go."""

from __future__ import annotations

import logging

from emulator.endpoint.inside import Inside
from emulator.job import Job
from emulator.queue import Queue
from emulator.workers import Handle, Worker

log = logging.getLogger("emulator")


class Staff:
    """Receives workers, sends them away, and returns the jobs of those that are gone."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    @property
    def queue(self) -> Queue:
        """The jobs that the workers hold."""
        return self._inside.queue

    def attach(self, worker_id: str, handle: Handle) -> Worker:
        """Take in a worker that was started. From now on its end is noticed."""
        worker = self._inside.workers.add(worker_id, handle)
        self._inside.tasks.spawn(self._mind(worker, handle))
        self._inside.changes.wake()
        return worker

    def known(self, worker_id: str) -> Worker | None:
        """Return a worker, or None if it is a stranger, on its way out, or gone."""
        worker = self._inside.workers.get(worker_id)
        return None if worker is None or self._inside.closing or worker.draining else worker

    def arrive(self, worker_id: str) -> Worker | None:
        """Let a worker that comes for a job begin. Return None if it must end instead."""
        present = self._inside.workers.get(worker_id)
        if self._inside.closing or (present and present.draining):
            return None
        was_ready = present is not None and present.ready_at is not None
        worker = self._inside.workers.arrive(worker_id)
        if not was_ready:
            start_s = worker.cold_start_s or 0.0
            log.info("%s | worker %s is ready after %.1f s", self._inside.name, worker_id, start_s)
            self._inside.changes.wake()
        return worker

    def drain(self, worker: Worker) -> None:
        """Ask a worker to end: no more jobs, SIGTERM, and SIGKILL after the grace period."""
        if worker.draining:
            return
        worker.draining = True
        self._inside.changes.wake()
        if worker.handle is None:
            self._gone(worker, None, "it was sent away")
        else:
            worker.handle.terminate()
            self._inside.tasks.later(self._inside.rules.grace_s, self._kill_if_present, worker)

    def drain_holder(self, job: Job) -> None:
        """Ask the worker that holds a job to end."""
        if worker := self._inside.workers.get(job.worker or ""):
            self.drain(worker)

    def kill(self, worker_id: str) -> None:
        """End a worker at once."""
        worker = self._inside.workers.get(worker_id)
        if worker and worker.handle:
            worker.handle.kill()
        elif worker:
            self._gone(worker, None, "it was killed")

    def kill_holder(self, job: Job, after_s: float) -> None:
        """End the worker that holds a job a little later, if it then still has this attempt."""
        self._inside.tasks.later(after_s, self._kill_if_held, job.id, job.attempts)

    def bury_silent(self) -> None:
        """Give up the workers that no longer ping."""
        for worker in self._inside.workers.present():
            if self._is_silent(worker):
                log.warning("%s | worker %s is silent: given up", self._inside.name, worker.id)
                if worker.handle:
                    worker.handle.kill()
                self._gone(worker, None, "its worker missed its pings")

    def _is_silent(self, worker: Worker) -> bool:
        if worker.last_ping_at is None or worker.polls:
            return False
        silent_s = self._inside.clock() - worker.last_ping_at
        return silent_s >= self._inside.rules.ping_timeout_s

    def _kill_if_held(self, job_id: str, attempt: int) -> None:
        job = self._inside.queue.get(job_id)
        if job and job.worker and job.attempts == attempt and not job.status.final:
            self.kill(job.worker)

    def _kill_if_present(self, worker: Worker) -> None:
        if worker.gone_at is None and worker.handle:
            log.warning(
                "%s | worker %s did not end within %.0f s: killed",
                self._inside.name,
                worker.id,
                self._inside.rules.grace_s,
            )
            worker.handle.kill()

    async def _mind(self, worker: Worker, handle: Handle) -> None:
        code = await handle.wait()
        self._gone(worker, code, f"its worker ended with code {code}")

    def _gone(self, worker: Worker, code: int | None, cause: str) -> None:
        if worker.gone_at is not None:
            return
        self._inside.workers.remove(worker, code)
        lost = self._inside.queue.workers.lose_worker(worker.id, cause)
        log.info(
            "%s | worker %s ended%s%s",
            self._inside.name,
            worker.id,
            f" with code {code}" if code else "",
            f"; {len(lost)} back" if lost else "",
        )
        self._inside.changes.act()
