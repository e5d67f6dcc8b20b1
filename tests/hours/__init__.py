"""Jobs that run for hours: what makes them safe, resumable, stoppable and understandable."""
