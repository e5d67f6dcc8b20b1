"""The socket of the live pages, over Channels. It is for looking only: whatever changes a job is a POST.

A page says which jobs it shows and the number of the event up to which it knows; it is told what looks different
since, and when to read itself again. Who may not see jobs is refused at the door, and asked again every minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings as site_settings

from jobsaga.conf import settings
from jobsaga.live import access, scope
from jobsaga.live.feed import AGAIN, WATCHED, Listener, encoded, feed
from jobsaga.live.tail import newest

logger = logging.getLogger(__name__)

#: Seconds between two looks at whether the user may still see jobs.
CHECK_EVERY = 60.0
NOT_PERMITTED, NOT_UNDERSTOOD, NOT_KNOWN = 4403, 4400, 1011
LARGEST = 20_000


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """One page that is open somewhere."""

    check_every = CHECK_EVERY

    async def connect(self) -> None:
        """Let in who may see jobs."""
        self._tasks: list[asyncio.Task[None]] = []
        self._listener = Listener()
        self._greeted = False
        if not self._is_from_here() or not await self._may_see():
            await self.close(NOT_PERMITTED)
            return
        self._listener.watched = await self._seen(())
        await self.accept()
        await feed.join(self._listener)
        self._tasks = [asyncio.create_task(self._tell()), asyncio.create_task(self._check())]

    async def disconnect(self, code: int) -> None:
        """Forget the page."""
        feed.leave(self._listener)
        for task in self._tasks:
            task.cancel()

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        """The one thing a page may say: what it shows, and up to where it knows."""
        if text_data is None or len(text_data) > LARGEST:
            await self.close(NOT_UNDERSTOOD)
            return
        try:
            said = await self.decode_json(text_data)
            watched = frozenset(map(UUID, said["watch"][:WATCHED]))
            after = int(said["after"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            await self.close(NOT_UNDERSTOOD)
            return
        self._listener.watched = await self._seen(watched)
        has_missed = not self._greeted and time.monotonic() < feed.late_until
        if has_missed or await database_sync_to_async(newest)(settings.DATABASE) > after:
            self._listener.tell(AGAIN)
        self._greeted = True
        self._listener.tell({"t": "hello"})

    async def _seen(self, jobs: Collection[UUID]) -> frozenset[UUID]:
        """Those of the jobs that the user may see. Who does not see all is told of no others."""
        user: Any = self._user

        def find() -> tuple[frozenset[UUID], bool]:
            with scope.seen_by(scope.Viewer(user)):
                return frozenset(scope.visible(settings.DATABASE, jobs)), scope.sees_everything(
                    settings.DATABASE
                )

        seen, self._listener.sees_everything = await database_sync_to_async(find)()
        return seen

    async def _tell(self) -> None:
        while True:
            await self.send(text_data=encoded(await self._listener.queue.get()))

    async def _check(self) -> None:
        """Until the right is withdrawn. Who cannot be asked for now is let go: the page comes back, and is asked."""
        code = NOT_PERMITTED
        try:
            await asyncio.sleep(self.check_every)
            while await self._may_see():
                self._listener.watched = await self._seen(self._listener.watched)
                await asyncio.sleep(self.check_every)
        except Exception:
            logger.exception("Whether somebody may still see jobs cannot be found out at the moment")
            code = NOT_KNOWN
        await self.close(code)

    def _is_from_here(self) -> bool:
        """Whether a page of this very site opens it: a browser sends the user's cookie from any page. Behind a proxy
        that changes the host, the site's origin has to be in CSRF_TRUSTED_ORIGINS, as for its forms.
        """
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        return bool(origin) and (
            urlsplit(origin).netloc == host or origin in site_settings.CSRF_TRUSTED_ORIGINS
        )

    async def _may_see(self) -> bool:
        """Asked of the session and the database anew: people log out, and rights are withdrawn."""
        session = self.scope.get("session")
        if session is None or not session.session_key:
            return False
        store = import_module(site_settings.SESSION_ENGINE).SessionStore(session.session_key)
        found: Any = {"session": store}
        user: Any = await get_user(found)
        self._user = user
        return bool(await database_sync_to_async(lambda: user.is_active and user.has_perm(access.VIEW))())
