"""How fast it is: real workers on a fresh database, from submit to recorded end. See ``python -m benchmarks -h``.

``__main__`` says which runs there are and prints their table. ``once`` is one run, in a process of its own:
its ``phases`` one after the other, then the ``checks`` of what must be true, whatever the speed. ``workers``
are the processes that are measured, ``settings`` and ``jobs`` the site that they run.
"""
