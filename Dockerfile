# The static program on an empty base. Built from the same scripts as `make build`:
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t kvsframes .
#   docker run --rm kvsframes version
#   docker run --rm -v "$PWD:/data" -u "$(id -u):$(id -g)" kvsframes run pipeline.yaml

FROM golang:1.26-trixie AS build
ENV KVSFRAMES_CACHE=/var/cache/kvsframes
WORKDIR /src

# What changes rarely comes first: packages, then libav, then the Go modules, then the sources.
COPY build/setup.sh build/
RUN build/setup.sh build
COPY build/libav.sh build/
RUN build/libav.sh
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN make build VERSION="$VERSION" && build/licences.sh /final/licences && mkdir /final/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /final/licences /licences
COPY --from=build /src/bin/kvsframes /usr/bin/kvsframes
# A number, so that a cluster can tell that it is not root. The folder is its own, so that a run needs no mount to write out/ and checkpoints.
COPY --from=build --chown=65532:65532 /final/data /data
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["/usr/bin/kvsframes"]
