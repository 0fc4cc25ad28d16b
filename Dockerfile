# The site and the worker in one image: docker compose starts it twice with different commands.
# Packages come in a layer of their own, so that a change of code does not download them again.

FROM python:3.12-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
RUN python requirements/install.py --venv /opt/venv
COPY migrations migrations
COPY static static
COPY core core
COPY training_jobs training_jobs
COPY app app
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim-trixie
# pg_dump: an older PostgreSQL database is copied before it is migrated.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home promptoscope \
    && install --directory --owner promptoscope --mode 0700 /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PROMPTOSCOPE_HOME=/data
USER promptoscope
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["promptoscope", "serve", "--host", "0.0.0.0", "--port", "8000"]
