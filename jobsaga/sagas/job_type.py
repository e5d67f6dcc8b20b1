"""A job type: who can run its jobs, and who holds a slot.

The record's instances are the live ones, with the slots they hold counted by the engine after it has
locked the type's row; nothing is kept as a list that could drift. The engine asks the distribution
strategy and puts its answer into ``env.chosen``; the rule here decides whether it may be followed.
"""

from __future__ import annotations

from uuid import UUID

from jobsaga.messages import (
    AllocateJobSlot,
    JobSlotAllocated,
    JobSlotReleased,
    JobSlotUnavailable,
    LimitKind,
    Message,
    SetConcurrentJobLimit,
)
from jobsaga.sagas.machine import Effects, Env, Machine, On, Send, ignore
from jobsaga.sagas.records import JobType, TypeInstance
from jobsaga.sagas.states import JobTypeStates

S = JobTypeStates
Step = tuple[JobType, Effects]


# Conditions


def choice_has_room(job_type: JobType, message: AllocateJobSlot, env: Env) -> bool:
    instance = job_type.instances.get(env.chosen) if env.chosen else None
    return instance is not None and instance.has_room and below_global_limit(job_type)


def is_last_slot(job_type: JobType, message: JobSlotReleased, env: Env) -> bool:
    return job_type.active <= 1


def is_stopped(job_type: JobType, message: SetConcurrentJobLimit, env: Env) -> bool:
    return message.kind is LimitKind.STOPPED


# Verbs


def allocate(job_type: JobType, message: AllocateJobSlot, env: Env) -> Step:
    assert env.chosen is not None
    instance = job_type.instances[env.chosen]
    taken = instance.but(active=instance.active + 1, used_at=env.now)
    job_type = job_type.but(instances={**job_type.instances, env.chosen: taken}, active=job_type.active + 1)
    reply = JobSlotAllocated(job_id=message.job_id, attempt_id=message.attempt_id, instance_id=env.chosen)
    return job_type, [Send(reply)]


def refuse(job_type: JobType, message: AllocateJobSlot, env: Env) -> Step:
    return job_type, [Send(JobSlotUnavailable(job_id=message.job_id))]


def count_down(job_type: JobType, message: JobSlotReleased, env: Env) -> Step:
    instances = job_type.instances
    instance = instances.get(message.instance_id) if message.instance_id else None
    if instance is not None:
        instances = {**instances, instance.instance_id: instance.but(active=max(0, instance.active - 1))}
    return job_type.but(instances=instances, active=max(0, job_type.active - 1)), ()


def configure(job_type: JobType, message: SetConcurrentJobLimit, env: Env) -> Step:
    """The limit is the instance's own; the global limit and the type's properties are the last word's."""
    known = job_type.instances.get(message.instance_id)
    instance = (known or TypeInstance(job_type=job_type.name, instance_id=message.instance_id)).but(
        concurrent_job_limit=message.concurrent_job_limit, properties=message.instance_properties
    )
    job_type = job_type.but(
        concurrent_job_limit=message.concurrent_job_limit,
        global_concurrent_job_limit=message.global_concurrent_job_limit,
        properties={**job_type.properties, **message.job_type_properties},
        instances={**job_type.instances, message.instance_id: instance},
    )
    return job_type, ()


def remove_instance(job_type: JobType, message: SetConcurrentJobLimit, env: Env) -> Step:
    return job_type.but(instances=without(job_type, message.instance_id)), ()


# Small print


def below_global_limit(job_type: JobType) -> bool:
    limit = job_type.global_concurrent_job_limit
    return limit is None or job_type.active < limit


def without(job_type: JobType, instance_id: UUID) -> dict[UUID, TypeInstance]:
    return {key: value for key, value in job_type.instances.items() if key != instance_id}


def heard(job_type: JobType, message: Message) -> bool:
    return True


# The table

TABLE = {
    S.INITIAL: [
        ignore(SetConcurrentJobLimit, "it was never announced", given=is_stopped),
        On(SetConcurrentJobLimit, do=(configure,), to=S.IDLE),
        On(AllocateJobSlot, do=(refuse,)),
        ignore(JobSlotReleased, "no worker has ever announced the type: no slot was given"),
    ],
    S.IDLE: [
        On(AllocateJobSlot, given=choice_has_room, do=(allocate,), to=S.ACTIVE),
        On(AllocateJobSlot, do=(refuse,)),
        On(SetConcurrentJobLimit, given=is_stopped, do=(remove_instance,)),
        On(SetConcurrentJobLimit, do=(configure,)),
        ignore(JobSlotReleased, "no slot is held"),
    ],
    S.ACTIVE: [
        On(AllocateJobSlot, given=choice_has_room, do=(allocate,)),
        On(AllocateJobSlot, do=(refuse,)),
        On(JobSlotReleased, given=is_last_slot, do=(count_down,), to=S.IDLE),
        On(JobSlotReleased, do=(count_down,)),
        On(SetConcurrentJobLimit, given=is_stopped, do=(remove_instance,)),
        On(SetConcurrentJobLimit, do=(configure,)),
    ],
    S.FINAL: [
        ignore(AllocateJobSlot, "a job type is never finalized"),
        ignore(JobSlotReleased, "a job type is never finalized"),
        ignore(SetConcurrentJobLimit, "a job type is never finalized"),
    ],
}

JOB_TYPE: Machine[JobType] = Machine(JobTypeStates, TABLE, heard)
