"""The test site under ASGI: its pages, its static files and its socket.

JOBSAGA_TEST_CHECK_EVERY: seconds between two looks at whether a user may still see jobs.
"""

import os

from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

django = get_asgi_application()

from jobsaga.live.consumers import LiveConsumer  # noqa: E402 - it needs the apps
from jobsaga.live.routing import live_socket  # noqa: E402

LiveConsumer.check_every = float(os.environ.get("JOBSAGA_TEST_CHECK_EVERY", LiveConsumer.check_every))
application = ProtocolTypeRouter({"http": ASGIStaticFilesHandler(django), "websocket": live_socket()})
