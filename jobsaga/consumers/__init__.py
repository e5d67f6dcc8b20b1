"""Job consumers, and the registry that knows them.

A consumer registers itself by being defined. Nothing is looked at then: its message class may be a forward
reference, and Django's apps are not loaded yet. Message class and type name are worked out when somebody
first asks. What is wrong with a consumer does not break the import of its module: it is collected, and
reported by ``manage.py check``.
"""

from jobsaga.consumers.consumer import JobConsumer, consumers, job_consumer
from jobsaga.consumers.declarations import RecurringDeclaration, recurring
from jobsaga.consumers.registry import ConsumerProblem, ConsumerRegistry, JobConsumerDefinition

__all__ = [
    "ConsumerProblem",
    "ConsumerRegistry",
    "JobConsumer",
    "JobConsumerDefinition",
    "RecurringDeclaration",
    "consumers",
    "job_consumer",
    "recurring",
]
