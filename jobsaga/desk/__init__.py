"""The desk: where the requests of other services are carried out, beside each saga host.

It says everything to the site that the site's own code could say, through the very same functions: the job's message
meets the same codec, the same limits and the same concurrency key. ``desk`` takes a request and gives the answer,
``verbs`` says what each request means here; the queue is ``jobsaga.transport.rabbitmq.requests``.
"""
