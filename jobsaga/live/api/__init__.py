"""The HTTP API: what happened, jobs, types, workers; submit and steer. JSON, and CSV or NDJSON for lists.

    path("api/", include("jobsaga.live.api.urls"))      # in a site's urls.py

``GET api/jobs`` and ``GET api/jobs/{jobId}`` give events; everything else is under ``api/v1/``. Whoever the site's
middleware has logged in is asked for the same permissions as on the pages. Ids and event numbers are texts: a
number of 64 bits does not survive JavaScript.

    records   what is answered, as types: the answers and the OpenAPI document are made from them
    answers   JSON, CSV, NDJSON, errors
    views     one function per address
    urls      the table of addresses
    openapi   the document, made from that table
"""
