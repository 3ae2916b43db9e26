# The embedded Toxiproxy-compatible server, where no real one was found; its base is the image of the services.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY runtimes /opt/app/runtimes
USER 10001:10001
EXPOSE 8474
HEALTHCHECK NONE
ENTRYPOINT ["python3", "-m", "runtimes.toxiproxy"]
