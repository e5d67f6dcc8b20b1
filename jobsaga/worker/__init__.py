"""The doing: one worker process (the instance), and the children in which its jobs run.

``executor`` says what an instance asks of whatever runs user code. ``inline`` runs it in the caller, ``children``
in processes of its own.
"""
