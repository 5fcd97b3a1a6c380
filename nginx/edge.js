// Who asks, as nginx may count and remember it: a digest of the key, never the key.
import crypto from 'crypto';

function client(r) {
    const key = r.headersIn['X-API-Key'] || '';
    const bearer = r.headersIn['Authorization'] || '';
    if (!key && !bearer) {
        return r.remoteAddress;
    }
    return crypto.createHash('sha256').update(key + '\n' + bearer).digest('base64url');
}

// The public part, for the access log. Whether the key is good is not known here.
function keyId(r) {
    const text = r.headersIn['X-API-Key'] || r.headersIn['Authorization'] || '';
    const found = text.match(/(?:^|\s)wadm_([0-9a-f]{12})_/);
    return found ? found[1] : '';
}

export default { client, keyId };
