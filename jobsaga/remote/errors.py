"""How a request to a site can fail."""

from __future__ import annotations

from uuid import UUID

from jobsaga.exceptions import JobSagaError


class RemoteError(JobSagaError):
    """The base of what ``JobClient`` raises. ``request_id`` is the request's: repeated with the same one it is carried
    out at most once.
    """

    def __init__(self, text: str, request_id: UUID | None = None, job_id: UUID | None = None) -> None:
        super().__init__(text, request_id, job_id)
        self.text, self.request_id, self.job_id = text, request_id, job_id

    def __str__(self) -> str:
        return self.text


class RemoteFault(RemoteError):
    """The site refused: nothing was done. ``code`` is one of ``jobsaga.remote.contract.CODES``, ``field`` the field
    that is wrong, ``near`` what may have been meant.
    """

    def __init__(
        self,
        code: str,
        text: str,
        field: str = "",
        near: list[str] | None = None,
        request_id: UUID | None = None,
        job_id: UUID | None = None,
    ) -> None:
        super().__init__(text, request_id, job_id)
        self.args = (code, text, field, near, request_id, job_id)
        self.code, self.field, self.near = code, field, near or []

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class RemoteTimeout(RemoteError, TimeoutError):
    """There was no answer in time. If it was ``sent``, the broker may have it, and the site may still carry it out."""

    def __init__(
        self, text: str, request_id: UUID | None = None, job_id: UUID | None = None, sent: bool = True
    ) -> None:
        super().__init__(text, request_id, job_id)
        self.args = (text, request_id, job_id, sent)
        self.sent = sent


class RemoteUnavailable(RemoteError, ConnectionError):
    """The request cannot be made: the broker refuses this user, or the site takes no requests."""
