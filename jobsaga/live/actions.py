"""What people can do to a job: which buttons there are, why one is not, and what came of it.

What a state accepts is read from the job's own table, so a button is there exactly when the saga would do
something. Nothing is decided here: the client's verbs are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobsaga.client.commands import who
from jobsaga.client.patience import Patience
from jobsaga.client.site import LEFT, JobChanged, Site
from jobsaga.exceptions import JobBusy, JobNotFound
from jobsaga.live import scope
from jobsaga.live.wording import look
from jobsaga.messages import CancelJob, FinalizeJob, RetryJob, RunJob
from jobsaga.models import JobSaga
from jobsaga.sagas import JOB, JobStates

#: So many jobs can be steered at once; Django takes no form of more than 1,000 fields.
MOST = 500
#: So many seconds a request waits, for all of its jobs together, while somebody's transaction holds them.
PATIENCE = 1.0


@dataclass(frozen=True)
class Action:
    """One verb: its button, who may press it, and what it says to a job."""

    name: str
    label: str
    icon: str
    permission: str
    message: type[CancelJob | RetryJob | RunJob | FinalizeJob]
    done: str

    @property
    def said(self) -> str:
        """Its button in the reader's language."""
        return _(self.label)

    def refusal(self, state: JobStates) -> str:
        """Why it would do nothing in this state; empty where it does something."""
        rows = JOB.rows.get((state, self.message), [])
        if any(not row.ignored for row in rows):
            return ""
        return _(rows[0].because) if rows else _("there is no such thing to do")


ACTIONS: dict[str, Action] = {
    each.name: each
    for each in (
        Action(
            "cancel", gettext_noop("Cancel"), "stop", "jobsaga.cancel_job", CancelJob,
            gettext_noop("was asked to stop"),
        ),
        Action(
            "retry", gettext_noop("Retry"), "retry", "jobsaga.retry_job", RetryJob, gettext_noop("is tried again"),
        ),
        Action(
            "run", gettext_noop("Run now"), "play", "jobsaga.run_job", RunJob,
            gettext_noop("does not wait for its time any more"),
        ),
        Action(
            "finalize", gettext_noop("Remove"), "trash", "jobsaga.finalize_job", FinalizeJob,
            gettext_noop("was removed; its history is left"),
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Button:
    """An action on one job; with a *refusal*, why it cannot be used."""

    action: Action
    refusal: str = ""


def buttons(job: JobSaga, user: Any) -> list[Button]:
    """The actions that this user may do at all, those that the job's state accepts first."""
    state = JobStates(job.state)
    found = [Button(each, each.refusal(state)) for each in ACTIONS.values() if user.has_perm(each.permission)]
    return sorted(found, key=lambda button: bool(button.refusal))


@dataclass
class Outcome:
    """What came of an action on some jobs: those that it changed, and why it left others alone."""

    changed: list[UUID] = field(default_factory=list)
    #: Those that somebody's transaction holds: it was left to the saga hosts.
    postponed: list[UUID] = field(default_factory=list)
    left: dict[str, list[UUID]] = field(default_factory=dict)

    @property
    def left_count(self) -> int:
        """How many were left alone."""
        return sum(map(len, self.left.values()))

    def leave(self, job_id: UUID, why: str) -> None:
        """Nothing was done to this one."""
        self.left.setdefault(why, []).append(job_id)


def perform(
    action: Action, jobs: Iterable[UUID], *, by: str, reason: str = "", expected_version: int | None = None,
    alias: str = "default", patience: Patience | None = None,
) -> Outcome:  # fmt: skip
    """Do it to each of them, in the order of their ids, each in a transaction of its own.

    With *expected_version* a job that has changed since someone looked at it is left alone. Somebody's transaction
    that holds a job is waited for as long as there is *patience*.
    """
    patience = patience or Patience(PATIENCE)
    outcome = Outcome()
    chosen = sorted(jobs)[:MOST]
    known = scope.visible(alias, chosen)
    for job_id in chosen:
        if job_id not in known:
            outcome.leave(job_id, _("it is gone"))
            continue
        try:
            message = action.message(job_id=job_id, **who(reason, by))
            state = Site().command(message, wait=patience, expected_version=expected_version)
        except JobNotFound:
            outcome.leave(job_id, _("it is gone"))
            continue
        except JobChanged as changed:
            said = look(changed.state.value).said
            outcome.leave(
                job_id, _("it has changed since you looked, and is %(state)s now") % {"state": said}
            )
            continue
        except JobBusy:
            outcome.leave(job_id, _("somebody's transaction holds the job: try again in a moment"))
            continue
        if state.refused:
            outcome.leave(job_id, state.refused)
        elif state.remark == LEFT:
            outcome.postponed.append(job_id)
        else:
            outcome.changed.append(job_id)
    return outcome


def sentences(action: Action, outcome: Outcome) -> Sequence[tuple[str, str]]:
    """The outcome in words, each with its level."""
    said = []
    if len(outcome.changed) == 1:
        said.append(("success", _("The job %(done)s.") % {"done": _(action.done)}))
    elif outcome.changed:
        said.append(
            (
                "success",
                _("%(count)s jobs: each %(done)s.") % {"count": len(outcome.changed), "done": _(action.done)},
            )
        )
    if outcome.postponed:
        alone = len(outcome.postponed) == 1 and not outcome.changed and not outcome.left
        whom = _("Not yet") if alone else _("%(count)s not yet") % {"count": len(outcome.postponed)}
        said.append(("warning", f"{whom}: {_(LEFT)}."))
    for why, ids in outcome.left.items():
        whom = (
            _("Nothing was done")
            if outcome.left_count == 1 and not outcome.changed and not outcome.postponed
            else _("%(count)s left alone") % {"count": len(ids)}
        )
        said.append(("warning", f"{whom}: {why}."))
    return said
