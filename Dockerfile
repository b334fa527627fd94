# One image for web server and worker. Everything is installed from the hash-pinned lock.
FROM python:3.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PORTAL_VAR_DIR=/data

# git reads repositories, ssh those behind deploy keys; Debian keeps one version of each release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /app portal \
    && install --directory --owner=portal --mode=0700 /data

WORKDIR /app
COPY requirements.lock ./
RUN pip install --require-hashes --no-deps --requirement requirements.lock
COPY manage.py pyproject.toml LICENSE ./
COPY portal portal
COPY environments environments
COPY releases releases
COPY templates templates
RUN python -m compileall -q portal environments releases

# By number, so that a platform can see that it is not root.
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT', '8000')}/health/live\", timeout=4)"]
CMD ["python", "manage.py", "web"]
