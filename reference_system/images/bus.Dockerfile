# NATS from its wheel, for machines that reach no container registry; started with `--config FILE` as the official one.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY nats-server /usr/local/bin/nats-server
RUN mkdir /data && chown 10001:10001 /data
USER 10001:10001
EXPOSE 4222
HEALTHCHECK --interval=3s --timeout=2s --start-period=5s \
  CMD ["python3", "-IS", "-c", "import socket; s = socket.create_connection(('127.0.0.1', 4222), 1); assert s.recv(4) == b'INFO'"]
ENTRYPOINT ["/usr/local/bin/nats-server"]
