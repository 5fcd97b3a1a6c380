#!/bin/sh
# Folders, secrets and a first, self-signed certificate. What exists is left as it is.
# deploy/prepare.sh NAME [FOLDER [BROKERS]], as root, once the image wadm:local is built.
set -eu
host="${1:?the public name of this server}"
home="${2:-/srv/wadm}"
brokers="${3:-}"
umask 077
for name in nats nats2 nats3 mongo1 mongo2 mongo3 tls acme backup letsencrypt; do
    mkdir -p "${home}/${name}"
done
mkdir -p "${home}/acme/.well-known/acme-challenge"
: > "${home}/acme/.well-known/acme-challenge/alive"
run() {
    docker run --rm --network none --user 0:0 --volume "${home}:${home}" wadm:local "$@"
}
[ -e "${home}/secrets" ] || run secrets "${home}/secrets" --nats-nodes "${brokers}"
[ -e "${home}/secrets/backup.key" ] || run backup key "${home}/secrets/backup.key"
: >> "${home}/secrets/metrics.key"
# Secrets of an earlier version have none; a house of one server needs none.
: >> "${home}/secrets/valkey.uri"
[ -e "${home}/secrets/grafana.password" ] ||
    head -c 24 /dev/urandom | base64 > "${home}/secrets/grafana.password"
[ -e "${home}/tls/fullchain.pem" ] || run certificate "${host}" "${home}/tls"
chown -R 10001:10001 "${home}"
echo "ready in ${home}; keep ${home}/secrets/ca.key and backup.key somewhere else as well"
