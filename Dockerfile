# syntax=docker/dockerfile:1

# The same Debian release in both stages: the program runs with the C library that it was linked against.
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# Without default features: the embedded GitHub of the tests has no business in the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked --no-default-features --bin tenantry

# glibc, libgcc and CA certificates; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Tenantry" \
      org.opencontainers.image.description="A GitHub App that turns one file, tenants.yaml, into isolated tenants on GitHub and Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/target/release/tenantry /usr/local/bin/tenantry
# As a number, because Kubernetes cannot tell that a name is not root.
USER 65532:65532
EXPOSE 3000 9090
ENTRYPOINT ["/usr/local/bin/tenantry"]
CMD ["serve"]
