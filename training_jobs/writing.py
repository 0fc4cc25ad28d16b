"""Writing sentences, class by class, whoever works on it: the process of a job, or a terminal.

Several classes are asked about at once; each is recorded, with its sentences as drafts, in one transaction. What is
recorded is not asked for again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from core.errors import PromptoscopeError
from core.records import description_tasks as tasks
from core.records.description_tasks import Task, TaskPart
from core.records.sentence_writing import NewSentence, add_sentences
from core.records.session import Database
from core.records.types import iso, now
from core.settings import Settings
from training_jobs.patience import patiently

if TYPE_CHECKING:
    from core.descriptions.writing.writer import ClassWriting, Spent, Writer

LOOK_EVERY_S = 0.1
NAMED = 3
MOST_AWAY_IN_A_ROW = 2
"""So many classes in a row for which the model gave no answer at all: the next would meet the same."""


class Listener:
    """Hears how the writing goes. Any of these may raise, which ends the work: what is under way is asked again."""

    def check(self, session: Session) -> None:
        """Called in each transaction that records something."""

    def stands(self, counts: dict[str, int], label: str | None) -> None:
        """How many parts are done, failed and waiting; the class that was begun last."""

    def ended(self, label: str, sentences: int, dropped: int, error: PromptoscopeError | None) -> None:
        """A class is recorded, with so many drafts."""

    def waiting(self) -> None:
        """Called many times a second while answers are awaited."""

    def told(self, line: str) -> None:
        """A remark for the log."""


@dataclass
class Ended:
    """What came of one class. error: why there are no sentences; stop: all others would meet the same."""

    part: TaskPart
    writing: ClassWriting
    error: Exception | None = None
    stop: bool = False
    away: bool = False
    recorded: threading.Event = field(default_factory=threading.Event)


class WritingWork:
    """One process at work on a writing task. folders: whether the folder of a local model may be named."""

    def __init__(
        self, database: Database, settings: Settings, task_id: str, listener: Listener, *, folders: bool
    ) -> None:
        self._database, self._settings, self._listener, self._folders = database, settings, listener, folders
        with database.reading() as session:
            self._task: Task = tasks.find_task(session, task_id)
        # stop: what is under way ends at once; halt: no further class is begun
        self._stop, self._halt, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._results: queue.Queue[Ended | str | BaseException] = queue.Queue()
        self._away = 0

    def run(self) -> dict[str, Any]:
        """Write about all waiting classes and give the result of the whole task, see `_result`.

        Raises PartsFailed where classes have no sentences, and what the writer raises before it begins.
        """
        parts = patiently(self._waiting)
        if parts:
            self._stand(None)
            with self._opened() as writer:
                self._write(writer, parts)
        return self._result()

    def _waiting(self) -> list[TaskPart]:
        with self._database.reading() as session:
            return tasks.waiting_parts(session, self._task.id)

    @contextmanager
    def _opened(self) -> Iterator[Writer]:
        from core.descriptions.writing.order import open_writer

        with self._database.reading() as session:
            spent = _spent(tasks.answers_of_parts(session, self._task.id))
        writer = open_writer(
            self._settings,
            self._task.request,
            spent,
            folders=self._folders,
            stopped=self._stop.is_set,
            told=self._listener.told,
        )
        self._listener.told(f"model {writer.model}")
        try:
            yield writer
        finally:
            # whatever ended the work, nobody waits for answers any more
            self._stop.set()
            writer.close()

    def _write(self, writer: Writer, parts: Sequence[TaskPart]) -> None:
        todo: queue.SimpleQueue[TaskPart] = queue.SimpleQueue()
        for part in parts:
            todo.put(part)
        at_once = 1 if self._task.request.get("folder") else min(self._settings.llm_at_once, len(parts))
        # daemons, so that a process that is told to end need not wait for an answer
        threads = [
            threading.Thread(target=self._ask_on, args=(writer, todo), name=f"writer-{number}", daemon=True)
            for number in range(at_once)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) or not self._results.empty():
            self._listener.waiting()
            try:
                found = self._results.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            if isinstance(found, str):
                self._stand(found)
            else:
                self._take(found, writer)

    def _take(self, ended: Ended, writer: Writer) -> None:
        patiently(lambda: self._record(ended, writer))
        ended.recorded.set()
        self._stand(None)

    def _ask_on(self, writer: Writer, todo: queue.SimpleQueue[TaskPart]) -> None:
        from core.descriptions.writing.writer import Stopped

        try:
            while not (self._stop.is_set() or self._halt.is_set()):
                try:
                    part = todo.get_nowait()
                except queue.Empty:
                    return
                self._results.put(part.label)
                ended = self._ask(writer, part)
                self._judge(ended)
                self._results.put(ended)
                # an answer that was paid for is kept before the next is asked for
                while not (ended.recorded.wait(LOOK_EVERY_S) or self._stop.is_set()):
                    continue
        except Stopped:
            return
        except BaseException as error:  # a thread's end must be heard by the work
            self._results.put(error)

    def _judge(self, ended: Ended) -> None:
        """Begin no further class where it would meet the same: before the next is taken, not when this is recorded."""
        with self._lock:
            self._away = self._away + 1 if ended.away else 0
            if (ended.stop or self._away >= MOST_AWAY_IN_A_ROW) and not self._halt.is_set():
                self._halt.set()
                self._listener.told("no further class is begun: it would meet the same")

    def _ask(self, writer: Writer, part: TaskPart) -> Ended:
        from core.descriptions.writing.messages import ClassRequest
        from core.descriptions.writing.writer import ClassWriting, WriterAway, write_class

        ended = Ended(part, ClassWriting(spent=_spent([part.answer or {}])))
        request = ClassRequest.from_dict(part.request)
        known = patiently(self._known)
        try:
            write_class(writer, request, ended.writing, known=known, told=self._listener.told)
        except WriterAway as error:
            ended.error, ended.stop, ended.away = error, error.stop, True
        except PromptoscopeError as error:
            ended.error = error
        return ended

    def _known(self) -> list[str]:
        with self._database.reading() as session:
            return tasks.texts_of_set(session, self._task.description_set_id)

    def _record(self, ended: Ended, writer: Writer) -> None:
        """The part, its drafts and the action that adds them, all of it or nothing."""
        error = ended.error if isinstance(ended.error, PromptoscopeError) else None
        answer = ended.writing.as_dict() | {"model": writer.model, "settings": writer.settings}
        with self._database.writing() as session:
            self._listener.check(session)
            kept = [] if error else self._new(session, answer)
            if error is not None:
                tasks.fail_part(session, self._task.id, ended.part.position, error.as_dict(), answer)
            elif tasks.finish_part(session, self._task.id, ended.part.position, answer):
                self._add(session, ended.part, kept, writer, answer)
        self._listener.ended(ended.part.label, len(kept), len(answer["dropped"]), error)

    def _new(self, session: Session, answer: dict[str, Any]) -> list[str]:
        """The sentences that no other class, or person, has added while this one was written; the answer says which."""
        from core.descriptions.writing.answers import same_words

        known = {same_words(text) for text in tasks.texts_of_set(session, self._task.description_set_id)}
        late = [text for text in answer["sentences"] if same_words(text) in known]
        answer["sentences"] = [text for text in answer["sentences"] if text not in late]
        answer["dropped"] = [*answer["dropped"], *({"text": text, "reason": "repeats another one"} for text in late)]
        return list(answer["sentences"])

    def _add(
        self, session: Session, part: TaskPart, texts: Sequence[str], writer: Writer, answer: dict[str, Any]
    ) -> None:
        if not texts:
            return
        asked = self._task.request
        origin = {
            "model": writer.model,
            "settings": answer["settings"],
            "prompt": asked["prompt"],
            "messages": part.request["messages"],
            "task_id": self._task.id,
            "at": iso(now()),
        }
        new = [NewSentence(part.label, text, "model", writer.model, origin) for text in texts]
        note = f"{len(new)} sentences about {part.label} by {writer.model}"
        add_sentences(session, self._task.description_set_id, asked["actor"], new, kind=tasks.WRITE, note=note)

    def _stand(self, label: str | None) -> None:
        with self._database.reading() as session:
            counts = tasks.count_parts(session, self._task.id)
        self._listener.stands(counts, label)

    def _result(self) -> dict[str, Any]:
        """{classes: {class: drafts}, sentences, dropped, spent}. Raises PartsFailed."""
        with self._database.reading() as session:
            parts = tasks.list_parts(session, self._task.id)
        unfinished = [part for part in parts if part["state"] != "done"]
        if unfinished:
            raise PartsFailed(parts)
        answers = [part["answer"] or {} for part in parts]
        drafts = {part["label"]: len(answer.get("sentences", [])) for part, answer in zip(parts, answers, strict=True)}
        return {
            "classes": drafts,
            "sentences": sum(drafts.values()),
            "dropped": sum(len(answer.get("dropped", [])) for answer in answers),
            "spent": _spent(answers).as_dict(),
        }


class PartsFailed(PromptoscopeError):
    """Some classes have no sentences; those that have keep them."""

    code = "classes_not_written"
    status = 502

    def __init__(self, parts: Sequence[dict[str, Any]]) -> None:
        failed = [part for part in parts if part["state"] == "failed"]
        left = [part for part in parts if part["state"] == "waiting"]
        reasons = "; ".join(
            f"'{part['label']}': {(part['error'] or {}).get('found', 'unknown')}" for part in failed[:3]
        )
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        rest = f"; {len(left)} {'was' if len(left) == 1 else 'were'} not asked about" if left else ""
        super().__init__(
            f"Sentences about {len(parts)} class{'' if len(parts) == 1 else 'es'}",
            f"{len(failed)} failed: {reasons}{more}{rest}",
            (failed[0]["error"] or {}).get("remedy", "") if failed else "Try again.",
        )


def _spent(answers: Sequence[dict[str, Any]]) -> Spent:
    from core.descriptions.writing.writer import Spent

    total = Spent()
    for answer in answers:
        own = answer.get("spent") or {}
        total = total + Spent(
            own.get("requests", 0), own.get("tokens_in", 0), own.get("tokens_out", 0), own.get("cost", 0.0)
        )
    return total
