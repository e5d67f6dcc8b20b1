"""The rows behind a port: in the Django database, or in memory."""
