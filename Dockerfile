# One recipe for the three images. `npm run build` writes a context for each to dist/images/<name>:
# the Node binary, the bundles in weft/, and this file with program and flags filled in. Then, for example:
#   docker build -t weft/sidecar:0.1.0 dist/images/sidecar
# The base has glibc and libstdc++, which the Node binary needs, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY node /usr/local/bin/node
COPY weft /weft
WORKDIR /weft
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/node", @FLAGS@, "/weft/@PROGRAM@"]
