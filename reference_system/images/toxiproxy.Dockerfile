# The real Toxiproxy server, as a binary that was found or built on this machine.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY toxiproxy-server /usr/local/bin/toxiproxy-server
USER 10001:10001
EXPOSE 8474
ENTRYPOINT ["/usr/local/bin/toxiproxy-server"]
