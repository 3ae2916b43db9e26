# What acts on packets and files of the other containers: nftables, tc and a shell. It never listens.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN { command -v nft && command -v tc; } >/dev/null \
 || { apt-get update -qq && apt-get install -qq -y --no-install-recommends nftables iproute2 \
      && rm -rf /var/lib/apt/lists/*; }
# The first process of a container takes only signals that it handles.
ENTRYPOINT ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"]
