# The real Toxiproxy server, as a binary that was found or built on this machine.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY toxiproxy-server /usr/local/bin/toxiproxy-server
USER 10001:10001
EXPOSE 8474
HEALTHCHECK --interval=3s --timeout=2s --start-period=5s \
  CMD ["python3", "-IS", "-c", "import socket; s = socket.create_connection(('127.0.0.1', 8474), 1); s.sendall(b'GET /version HTTP/1.0\\r\\nHost: here\\r\\n\\r\\n'); assert b' 200 ' in s.recv(99)"]
ENTRYPOINT ["/usr/local/bin/toxiproxy-server"]
