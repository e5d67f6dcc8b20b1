"""The pages on which people watch and steer their jobs: server-rendered, and live where scripts run.

    wording, icons, svg   how a state, a time, a number and a chart are said
    search                what people type, as a condition
    explain               why a job waits, or may be stuck: a pure function
    queries               every question to the rows, with a number of statements that does not grow
    access                who may see and do what
    views, urls           the pages
    templatetags          the same words in every template

Nothing here writes a saga's row: to steer is the client's business.
"""
