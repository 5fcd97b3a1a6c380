#!/bin/sh
# Fills in the template and starts nginx; certificates that were renewed are read every six hours.
set -eu
here=$(dirname "$0")
# The environment wins over the defaults.
given=$(env | grep '^EDGE_' | sed "s/'/'\\\\''/g; s/=\(.*\)/='\1'/" || true)
set -a
. "${here}/edge.env"
eval "${given}"
set +a
names=$(sed -n 's/^\(EDGE_[A-Z_]*\)=.*/${\1}/p' "${here}/edge.env" | tr '\n' ' ')
mkdir -p "${EDGE_RUN}"
envsubst "${names}" < "${here}/nginx.conf.template" > "${EDGE_RUN}/nginx.conf"
nginx -t -c "${EDGE_RUN}/nginx.conf"
(while sleep 21600; do nginx -c "${EDGE_RUN}/nginx.conf" -s reload; done) &
exec nginx -c "${EDGE_RUN}/nginx.conf" -g 'daemon off;'
