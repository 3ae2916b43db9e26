# The official PostgreSQL, with a health check.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
USER 999:999
HEALTHCHECK --interval=3s --timeout=2s --start-period=15s CMD ["pg_isready", "-q", "-h", "127.0.0.1"]
