"""Every question of the pages to the rows.

A page asks the same number of statements however many rows there are; each is answered by an index and reads a
bounded number of rows. What may be many is counted up to ``COUNTED`` and said as "10,000+". Rows come from
JOBSAGA's database, whatever the routers say.
"""

#: Nothing is counted further.
COUNTED = 10_000
