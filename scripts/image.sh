# Read by scripts/dist: an OCI image of one static program, with tar, gzip and sha256sum alone. bash; needs need.sh and GNU tar.
# Nothing is in it but the program, the connectors, root certificates and four small files: no shell, no package manager.
#   image_write PROGRAM VERSION ARCH WORK-FOLDER FILE      SOURCE_DATE_EPOCH is the time that stands in it

IMAGE_UID=65532

# image_tree PROGRAM FOLDER: the root of the image, as files
image_tree() {
    local ca=${TIDEGATE_CA_FILE:-/etc/ssl/certs/ca-certificates.crt}
    [ -s "$ca" ] || fail "$ca is not here: root certificates are needed (apt-get install ca-certificates, or set TIDEGATE_CA_FILE)"
    mkdir -p "$2"/{usr/bin,usr/share/tidegate,usr/share/doc/tidegate,etc/ssl/certs,var/lib/tidegate/config,var/lib/tidegate/var,tmp}
    install -m 755 "$1" "$2/usr/bin/tidegate"
    cp -R connectors "$2/usr/share/tidegate/connectors"
    install -m 644 config/tidegate.toml LICENSE-APACHE LICENSE-MIT "$2/usr/share/doc/tidegate/"
    install -m 644 "$ca" "$2/etc/ssl/certs/ca-certificates.crt"
    install -m 644 deploy/nsswitch.conf "$2/etc/nsswitch.conf"
    printf 'root:x:0:0::/:/sbin/nologin\ntidegate:x:%s:%s::/var/lib/tidegate:/sbin/nologin\n' $IMAGE_UID $IMAGE_UID >"$2/etc/passwd"
    printf 'root:x:0:\ntidegate:x:%s:\n' $IMAGE_UID >"$2/etc/group"
    # The built-in settings look for connectors beside the folder that the program runs in.
    ln -s /usr/share/tidegate/connectors "$2/var/lib/tidegate/connectors"
    chmod -R u=rwX,go=rX "$2"
    chmod 1777 "$2/tmp"
}

# image_layer ROOT FILE: the tree as one layer; what the program may write belongs to its user
image_layer() {
    local same=(--sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner)
    local own=./var/lib/tidegate/var
    tar -C "$1" "${same[@]}" --owner=0 --group=0 --exclude="$own" -cf "$2" .
    tar -C "$1" "${same[@]}" --owner=$IMAGE_UID --group=$IMAGE_UID --no-recursion -rf "$2" "$own"
}

# image_blob FILE: moves it among the blobs; its digest and size are in DIGEST and SIZE
image_blob() {
    DIGEST=$(sha256sum "$1" | cut -d ' ' -f 1)
    SIZE=$(stat -c %s "$1")
    mv "$1" "$layout/blobs/sha256/$DIGEST"
}

image_write() {
    local program=$1 version=$2 arch=$3 work=$4 file=$5 created diff config config_size layer layer_size manifest manifest_size
    local layout=$work/layout
    created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
    mkdir -p "$layout/blobs/sha256" "$work/root"
    image_tree "$program" "$work/root"
    image_layer "$work/root" "$work/layer.tar"
    diff=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
    gzip -9n "$work/layer.tar"
    image_blob "$work/layer.tar.gz"
    layer=$DIGEST layer_size=$SIZE
    local labels="\"org.opencontainers.image.title\":\"tidegate\",\"org.opencontainers.image.version\":\"$version\",\"org.opencontainers.image.created\":\"$created\",\"org.opencontainers.image.licenses\":\"MIT OR Apache-2.0\""
    # `Healthcheck` is Docker's word and no part of the standard; engines that do not know it leave it out. Times are in nanoseconds.
    cat >"$work/config.json" <<JSON
{"created":"$created","architecture":"$arch","os":"linux","config":{"User":"$IMAGE_UID:$IMAGE_UID","Env":["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],"Entrypoint":["/usr/bin/tidegate"],"Cmd":["run"],"WorkingDir":"/var/lib/tidegate","StopSignal":"SIGTERM","Labels":{$labels},"Healthcheck":{"Test":["CMD","/usr/bin/tidegate","healthcheck"],"Interval":30000000000,"Timeout":5000000000,"StartPeriod":20000000000}},"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]},"history":[{"created":"$created","created_by":"scripts/dist"}]}
JSON
    image_blob "$work/config.json"
    config=$DIGEST config_size=$SIZE
    cat >"$work/manifest.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$config_size},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer","size":$layer_size}],"annotations":{$labels,"tidegate.healthcheck":"/usr/bin/tidegate healthcheck"}}
JSON
    image_blob "$work/manifest.json"
    manifest=$DIGEST manifest_size=$SIZE
    printf '{"imageLayoutVersion":"1.0.0"}\n' >"$layout/oci-layout"
    cat >"$layout/index.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$manifest_size,"platform":{"architecture":"$arch","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"$version","io.containerd.image.name":"localhost/tidegate:$version"}}]}
JSON
    tar -C "$layout" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf "$file" oci-layout index.json blobs
}
