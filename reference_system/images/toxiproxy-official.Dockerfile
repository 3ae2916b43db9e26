# The official Toxiproxy, which holds nothing but the server and its command line, with a health check.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
USER 10001:10001
HEALTHCHECK --interval=3s --timeout=2s --start-period=5s CMD ["/toxiproxy-cli", "list"]
