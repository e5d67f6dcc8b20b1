"""A job type: who can run its jobs, who holds a slot, and what people have asked of it.

The record's instances are the live ones, with the slots they hold counted by the engine after it has
locked the type's row; nothing is kept as a list that could drift. The engine asks the distribution
strategy and puts its answer into ``env.chosen``; the rule here decides whether it may be followed.

A pause, an override of the limits and the drain of an instance take no slot from anybody: they say who
gets no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from jobsaga.messages import (
    AllocateJobSlot,
    DrainInstance,
    JobLimitOverrideElapsed,
    JobSlotAllocated,
    JobSlotReleased,
    JobSlotUnavailable,
    LimitKind,
    Message,
    OverrideJobLimit,
    PauseJobType,
    ResumeJobType,
    RevertJobLimit,
    SetConcurrentJobLimit,
    Steering,
    UndrainInstance,
)
from jobsaga.sagas.machine import Effects, Env, Machine, Note, On, Send, ignore
from jobsaga.sagas.records import JobType, TypeInstance
from jobsaga.sagas.states import JobTypeStates

S = JobTypeStates
Step = tuple[JobType, Effects]


# Conditions


def choice_has_room(job_type: JobType, message: AllocateJobSlot, env: Env) -> bool:
    instance = job_type.instances.get(env.chosen) if env.chosen else None
    return (
        instance is not None
        and job_type.paused_at is None
        and instance_has_room(job_type, instance)
        and below_global_limit(job_type)
        and key_has_room(job_type, message.concurrency_key)
    )


def is_last_slot(job_type: JobType, message: JobSlotReleased, env: Env) -> bool:
    return job_type.active <= 1


def is_stopped(job_type: JobType, message: SetConcurrentJobLimit, env: Env) -> bool:
    return message.kind is LimitKind.STOPPED


def is_paused(job_type: JobType, message: Message, env: Env) -> bool:
    return job_type.paused_at is not None


def is_not_paused(job_type: JobType, message: Message, env: Env) -> bool:
    return job_type.paused_at is None


def has_no_override(job_type: JobType, message: Message, env: Env) -> bool:
    return job_type.due_at is None


def override_lasts(job_type: JobType, message: Message, env: Env) -> bool:
    return job_type.due_at is None or job_type.due_at > env.now


def does_not_run_there(job_type: JobType, message: DrainInstance | UndrainInstance, env: Env) -> bool:
    return message.instance_id not in job_type.instances


# Verbs


def allocate(job_type: JobType, message: AllocateJobSlot, env: Env) -> Step:
    assert env.chosen is not None
    instance = job_type.instances[env.chosen]
    taken = instance.but(active=instance.active + 1, used_at=env.now)
    job_type = job_type.but(
        instances={**job_type.instances, env.chosen: taken},
        active=job_type.active + 1,
        keys=counted(job_type, message.concurrency_key, 1),
    )
    reply = JobSlotAllocated(job_id=message.job_id, attempt_id=message.attempt_id, instance_id=env.chosen)
    return job_type, [Send(reply)]


def refuse(job_type: JobType, message: AllocateJobSlot, env: Env) -> Step:
    return job_type, [Send(JobSlotUnavailable(job_id=message.job_id))]


def count_down(job_type: JobType, message: JobSlotReleased, env: Env) -> Step:
    instances = job_type.instances
    instance = instances.get(message.instance_id) if message.instance_id else None
    if instance is not None:
        instances = {**instances, instance.instance_id: instance.but(active=max(0, instance.active - 1))}
    keys = counted(job_type, message.concurrency_key, -1)
    return job_type.but(instances=instances, active=max(0, job_type.active - 1), keys=keys), ()


def configure(job_type: JobType, message: SetConcurrentJobLimit, env: Env) -> Step:
    """The limit is the instance's own; the global limit, that of the keys and the type's properties are the last
    word's.
    """
    known = job_type.instances.get(message.instance_id)
    instance = (known or TypeInstance(job_type=job_type.name, instance_id=message.instance_id)).but(
        concurrent_job_limit=message.concurrent_job_limit,
        concurrency_cap=message.concurrency_cap,
        properties=message.instance_properties,
        message_version=message.message_version,
    )
    job_type = job_type.but(
        concurrent_job_limit=message.concurrent_job_limit,
        global_concurrent_job_limit=message.global_concurrent_job_limit,
        concurrency_per_key=message.concurrency_per_key,
        properties={**job_type.properties, **message.job_type_properties},
        instances={**job_type.instances, message.instance_id: instance},
    )
    return job_type, ()


def remove_instance(job_type: JobType, message: SetConcurrentJobLimit, env: Env) -> Step:
    return job_type.but(instances=without(job_type, message.instance_id)), ()


def override(job_type: JobType, message: OverrideJobLimit, env: Env) -> Step:
    job_type = job_type.but(
        override_job_limit=message.concurrent_job_limit,
        override_global_limit=message.global_concurrent_job_limit,
        override_at=env.now,
        override_by=message.actor,
        override_reason=message.reason,
        due_at=env.now + timedelta(seconds=message.duration),
    )
    return job_type, [note(message, limits_in_words(job_type))]


def revert(job_type: JobType, message: RevertJobLimit | JobLimitOverrideElapsed, env: Env) -> Step:
    job_type = job_type.but(
        override_job_limit=None,
        override_global_limit=None,
        override_at=None,
        override_by="",
        override_reason="",
        due_at=None,
    )
    return job_type, [note(message)]


def pause(job_type: JobType, message: PauseJobType, env: Env) -> Step:
    job_type = job_type.but(paused_at=env.now, paused_by=message.actor, pause_reason=message.reason)
    return job_type, [note(message)]


def resume(job_type: JobType, message: ResumeJobType, env: Env) -> Step:
    return job_type.but(paused_at=None, paused_by="", pause_reason=""), [note(message)]


def drain(job_type: JobType, message: DrainInstance, env: Env) -> Step:
    return with_drained(job_type, message.instance_id, drained=True), ()


def undrain(job_type: JobType, message: UndrainInstance, env: Env) -> Step:
    return with_drained(job_type, message.instance_id, drained=False), ()


# Small print


def instance_has_room(job_type: JobType, instance: TypeInstance) -> bool:
    return instance.active < job_type.limit_of(instance)


def below_global_limit(job_type: JobType) -> bool:
    limit = job_type.global_limit
    return limit is None or job_type.active < limit


def key_has_room(job_type: JobType, key: str) -> bool:
    return job_type.room_of(key) != 0


def counted(job_type: JobType, key: str, change: int) -> Mapping[str, int]:
    """The slots by key, with one more or less of this one."""
    if not key:
        return job_type.keys
    return {**job_type.keys, key: max(0, job_type.keys.get(key, 0) + change)}


def without(job_type: JobType, instance_id: UUID) -> dict[UUID, TypeInstance]:
    return {key: value for key, value in job_type.instances.items() if key != instance_id}


def with_drained(job_type: JobType, instance_id: UUID, *, drained: bool) -> JobType:
    instance = job_type.instances[instance_id].but(drained=drained)
    return job_type.but(instances={**job_type.instances, instance_id: instance})


def limits_in_words(job_type: JobType) -> str:
    """What an override says, for the history."""
    words = [
        f"{title} {limit}"
        for title, limit in (
            ("per instance", job_type.override_job_limit),
            ("in all", job_type.override_global_limit),
        )
        if limit is not None
    ]
    return ", ".join([*words, f"until {job_type.due_at:%Y-%m-%d %H:%M:%S} UTC"])


def note(message: Message, details: str = "") -> Note:
    reason = message.reason if isinstance(message, Steering) else ""
    return Note(type(message).__name__, ": ".join(part for part in (details, reason) if part))


def heard(job_type: JobType, message: Message) -> bool:
    return True


# The table

TABLE = {
    S.INITIAL: [
        ignore(SetConcurrentJobLimit, "it was never announced", given=is_stopped),
        On(SetConcurrentJobLimit, do=(configure,), to=S.IDLE),
        On(AllocateJobSlot, do=(refuse,)),
        ignore(JobSlotReleased, "no worker has ever announced the type: no slot was given"),
        On(OverrideJobLimit, do=(override,)),
        ignore(RevertJobLimit, "it has no override", given=has_no_override),
        On(RevertJobLimit, do=(revert,)),
        ignore(JobLimitOverrideElapsed, "its override was ended, or has more time", given=override_lasts),
        On(JobLimitOverrideElapsed, do=(revert,)),
        ignore(PauseJobType, "it is paused already: who was first stands", given=is_paused),
        On(PauseJobType, do=(pause,)),
        ignore(ResumeJobType, "it is not paused", given=is_not_paused),
        On(ResumeJobType, do=(resume,)),
        ignore(DrainInstance, "no worker has ever announced the type: it runs nowhere"),
        ignore(UndrainInstance, "no worker has ever announced the type: it runs nowhere"),
    ],
    S.IDLE: [
        On(AllocateJobSlot, given=choice_has_room, do=(allocate,), to=S.ACTIVE),
        On(AllocateJobSlot, do=(refuse,)),
        On(SetConcurrentJobLimit, given=is_stopped, do=(remove_instance,)),
        On(SetConcurrentJobLimit, do=(configure,)),
        ignore(JobSlotReleased, "no slot is held"),
        On(OverrideJobLimit, do=(override,)),
        ignore(RevertJobLimit, "it has no override", given=has_no_override),
        On(RevertJobLimit, do=(revert,)),
        ignore(JobLimitOverrideElapsed, "its override was ended, or has more time", given=override_lasts),
        On(JobLimitOverrideElapsed, do=(revert,)),
        ignore(PauseJobType, "it is paused already: who was first stands", given=is_paused),
        On(PauseJobType, do=(pause,)),
        ignore(ResumeJobType, "it is not paused", given=is_not_paused),
        On(ResumeJobType, do=(resume,)),
        ignore(DrainInstance, "it does not run there", given=does_not_run_there),
        On(DrainInstance, do=(drain,)),
        ignore(UndrainInstance, "it does not run there", given=does_not_run_there),
        On(UndrainInstance, do=(undrain,)),
    ],
    S.ACTIVE: [
        On(AllocateJobSlot, given=choice_has_room, do=(allocate,)),
        On(AllocateJobSlot, do=(refuse,)),
        On(JobSlotReleased, given=is_last_slot, do=(count_down,), to=S.IDLE),
        On(JobSlotReleased, do=(count_down,)),
        On(SetConcurrentJobLimit, given=is_stopped, do=(remove_instance,)),
        On(SetConcurrentJobLimit, do=(configure,)),
        On(OverrideJobLimit, do=(override,)),
        ignore(RevertJobLimit, "it has no override", given=has_no_override),
        On(RevertJobLimit, do=(revert,)),
        ignore(JobLimitOverrideElapsed, "its override was ended, or has more time", given=override_lasts),
        On(JobLimitOverrideElapsed, do=(revert,)),
        ignore(PauseJobType, "it is paused already: who was first stands", given=is_paused),
        On(PauseJobType, do=(pause,)),
        ignore(ResumeJobType, "it is not paused", given=is_not_paused),
        On(ResumeJobType, do=(resume,)),
        ignore(DrainInstance, "it does not run there", given=does_not_run_there),
        On(DrainInstance, do=(drain,)),
        ignore(UndrainInstance, "it does not run there", given=does_not_run_there),
        On(UndrainInstance, do=(undrain,)),
    ],
    S.FINAL: [
        ignore(AllocateJobSlot, "a job type is never finalized"),
        ignore(JobSlotReleased, "a job type is never finalized"),
        ignore(SetConcurrentJobLimit, "a job type is never finalized"),
        ignore(OverrideJobLimit, "a job type is never finalized"),
        ignore(RevertJobLimit, "a job type is never finalized"),
        ignore(JobLimitOverrideElapsed, "a job type is never finalized"),
        ignore(PauseJobType, "a job type is never finalized"),
        ignore(ResumeJobType, "a job type is never finalized"),
        ignore(DrainInstance, "a job type is never finalized"),
        ignore(UndrainInstance, "a job type is never finalized"),
    ],
}

JOB_TYPE: Machine[JobType] = Machine(JobTypeStates, TABLE, heard)
