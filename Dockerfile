# Two stages: the binary, and an image that holds nothing else. `make image` builds the binary the same way where no engine runs.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile image

# glibc, libgcc and nothing more: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/image/portcullis /usr/local/bin/portcullis
USER 65532:65532
# The root file system may be read-only: state lives in a volume, and only where the embedded store is used.
VOLUME ["/var/lib/portcullis"]
EXPOSE 6443
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/portcullis", "health"]
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["serve", "--config", "/etc/portcullis/portcullis.yaml"]
