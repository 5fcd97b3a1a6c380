# Two stages: wheels are made in the first, the second holds Python, wadm and nothing to build with.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/wadm
COPY requirements.deploy.lock ./
RUN /opt/wadm/bin/pip install --require-hashes --only-binary :all: -r requirements.deploy.lock
COPY pyproject.toml README.md LICENSE ./
COPY orderflow orderflow
COPY backbone backbone
COPY collectors collectors
COPY processor processor
COPY mcp_server mcp_server
COPY simulator simulator
COPY alerts alerts
COPY wadm wadm
# The build backend comes from the same hashed list: nothing is fetched without a hash.
RUN /opt/wadm/bin/pip install --no-build-isolation --no-deps . \
    && /opt/wadm/bin/pip list --format json > /opt/wadm/packages.json \
    && /opt/wadm/bin/pip uninstall --yes pip

FROM python:3.11-slim
LABEL org.opencontainers.image.title="wadm" org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/wadm/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN groupadd --gid 10001 wadm && useradd --uid 10001 --gid 10001 --no-create-home wadm
COPY --from=build /opt/wadm /opt/wadm
USER 10001:10001
ENTRYPOINT ["wadm"]
CMD ["--help"]
