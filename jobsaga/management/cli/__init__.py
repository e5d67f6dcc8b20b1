"""``manage.py jobsaga``: a module for each verb, or for a few that are alike.

A verb reads its options, asks the client or the rows, and says what it found: as a table for a person, or
as JSON for a script. Both are made of the same records, so what one shows the other has too. It gives the
exit code. Errors are not its business: ``dispatch`` makes one clear line of each.
"""
