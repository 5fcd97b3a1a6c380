#!/bin/sh
# Renews certificates twice a day and hands new ones to nginx, which reads them within six hours.
set -eu
while :; do
    certbot renew --quiet --webroot --webroot-path /acme || echo "renewal failed; trying again later"
    live="/etc/letsencrypt/live/${EDGE_HOST}"
    if [ -f "${live}/fullchain.pem" ] && ! cmp -s "${live}/fullchain.pem" /tls/fullchain.pem; then
        cp -L "${live}/privkey.pem" /tls/privkey.pem
        cp -L "${live}/fullchain.pem" /tls/fullchain.pem
    fi
    sleep 43200 &
    wait $!
done
