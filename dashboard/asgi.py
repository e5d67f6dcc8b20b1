"""The site as an ASGI application: pages that follow what happens over a socket, in any number of processes.

    uvicorn dashboard.asgi:application

Static files are served by Django while DEBUG is on; otherwise by WhiteNoise, after `manage.py collectstatic`.
"""

import os

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
django = get_asgi_application()

from dashboard.health import with_probes  # noqa: E402 - it needs the settings
from jobsaga.live.routing import live_socket  # noqa: E402 - it needs the apps

http = with_probes(ASGIStaticFilesHandler(django) if settings.DEBUG else django)
application = ProtocolTypeRouter({"http": http, "websocket": live_socket()})
