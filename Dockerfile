# docker build --build-arg VERSION=v0.1.0 -t ghcr.io/keda-headroom/headroom:v0.1.0 .
#
# For several platforms: docker buildx build --platform linux/amd64,linux/arm64 …

FROM --platform=$BUILDPLATFORM golang:1.26.8-trixie AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X github.com/keda-headroom/headroom/internal/buildinfo.version=$VERSION" \
    -o /headroom ./cmd/headroom

# Certificate authorities, time zones, a user without rights; no shell.
FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=build /headroom /headroom
USER 65532:65532
EXPOSE 6000 8080
ENTRYPOINT ["/headroom"]
CMD ["serve"]
