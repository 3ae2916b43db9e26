# The official NATS on Alpine, with a health check. A volume at /data takes its owner from the image.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN mkdir -p /data && chown 10001:10001 /data
USER 10001:10001
HEALTHCHECK --interval=3s --timeout=2s --start-period=5s CMD ["nc", "-z", "-w", "1", "127.0.0.1", "4222"]
