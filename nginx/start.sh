#!/bin/sh
# Fills in the template and starts nginx; a certificate that was renewed is read within a minute.
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
config="${EDGE_RUN}/nginx.conf"
envsubst "${names}" < "${here}/nginx.conf.template" > "${config}"
nginx -t -c "${config}"
pair() {
    cksum "${EDGE_CERTIFICATE}" "${EDGE_CERTIFICATE_KEY}" 2>&1 || true
}
read_now=$(pair)
# Between the two files of a new pair the test fails; the next round finds both.
(while sleep "${EDGE_CERTIFICATE_CHECK_S}"; do
    found=$(pair)
    if [ "${found}" != "${read_now}" ] && nginx -t -q -c "${config}"; then
        nginx -c "${config}" -s reload
        read_now="${found}"
    fi
done) &
exec nginx -c "${config}" -g 'daemon off;'
