# The one binary, built from source, in an image of its own.
#
# Mirrors are named in the usual ways: RUST_IMAGE and DEBIAN_IMAGE as build arguments, HTTP_PROXY and its like as Docker's own, Cargo's and apt's
# in the base images' configuration.
ARG RUST_IMAGE=rust:1-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates cmake g++ gcc libc6-dev make perl pkg-config libssl-dev python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /weir
# Runs the networks of models.
COPY scripts/fetch-onnxruntime.sh scripts/onnxruntime.txt scripts/
RUN scripts/fetch-onnxruntime.sh
COPY . .
# OpenSSL is Debian's, so that its security updates reach the image. What was built before is kept between builds.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/weir/target \
    OPENSSL_NO_VENDOR=1 cargo build --release --locked --package weir && strip --strip-debug -o /usr/local/bin/weir target/release/weir

FROM ${DEBIAN_IMAGE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin weir \
    && install --directory --owner weir --group weir --mode 0750 /keys/private /keys/shared /data
COPY --from=build /usr/local/bin/weir /usr/local/bin/weir
COPY --from=build /weir/.cache/onnxruntime/ /usr/local/lib/onnxruntime/
ENV ORT_DYLIB_PATH=/usr/local/lib/onnxruntime/libonnxruntime.so
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["weir"]
