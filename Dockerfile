# The dashboard site with jobsaga, for every role: the command says which (docker-compose.yml has them all).
# For a site of your own, replace `manage.py` and `dashboard/` by yours and keep the rest: see docs/deploying.md.
ARG PYTHON=3.13-slim

# What is only needed to install stays here.
FROM python:${PYTHON} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY jobsaga ./jobsaga
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-compile '.[postgres,site]'

FROM python:${PYTHON}
# The first process of a container has to wait for orphans and to pass signals on: tini does, Python does not.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install --directory --owner app --group app /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH DJANGO_SETTINGS_MODULE=dashboard.settings PYTHONUNBUFFERED=1 DEBUG=off
WORKDIR /app
COPY manage.py ./
COPY dashboard ./dashboard
# Written now, since the user cannot write here later. The key is for this command alone.
RUN SECRET_KEY=build python manage.py collectstatic --noinput && python -m compileall -q /opt/venv /app
USER 10001:10001
# Numbers, so that Kubernetes sees that it is not root.
ENTRYPOINT ["tini", "--"]
CMD ["uvicorn", "dashboard.asgi:application", "--host", "0.0.0.0", "--port", "8000"]
EXPOSE 8000
