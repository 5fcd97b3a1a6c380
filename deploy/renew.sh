#!/bin/sh
# Renews certificates twice a day and hands new ones to nginx, which reads them within a minute.
set -eu
umask 077
letsencrypt="${LETSENCRYPT_DIR:-/etc/letsencrypt}"
webroot="${ACME_DIR:-/acme}"
tls="${TLS_DIR:-/tls}"
while :; do
    certbot renew --quiet --webroot --webroot-path "${webroot}" || echo "renewal failed; trying again later"
    live="${letsencrypt}/live/${EDGE_HOST}"
    if [ -f "${live}/fullchain.pem" ] && ! cmp -s "${live}/fullchain.pem" "${tls}/fullchain.pem"; then
        for name in privkey fullchain; do
            cp -L "${live}/${name}.pem" "${tls}/${name}.new"
            mv "${tls}/${name}.new" "${tls}/${name}.pem"
        done
    fi
    sleep "${RENEW_EVERY_S:-43200}" &
    wait $!
done
