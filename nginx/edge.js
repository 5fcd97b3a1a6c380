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

export default { client };
