"""The demo: real workers, real jobs, one real `kill -9`, and a check of every claim at the end.

`manage.py demo` starts it as a process of its own (`python -m dashboard.demo`), on a database of its own:

    options, house  the command line; a fresh directory and database
    play            start the workers, tell the story, check it, stay up
    story           what happens, in order
    cast            the jobs of the story, and how each is doing
    workers         worker processes: start, kill, stop
    screen          what it looks like, in a terminal and elsewhere
    checks, report  what must be true afterwards, and the tables that say so
"""
