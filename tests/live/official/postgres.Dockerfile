# Stands in for the official image of PostgreSQL where no registry can be reached: the same variables, the same
# folder of first scripts, a Unix socket at the same place, logins from every address by password.
FROM codeblue/postgres:current
USER root
RUN mkdir -p /var/run/postgresql && chown 999:999 /var/run/postgresql
COPY serve /usr/local/bin/serve
RUN chmod 755 /usr/local/bin/serve
ENV PGHOST=/var/run/postgresql
USER 999:999
CMD ["serve"]
