// Initiates the set, then makes the role and the users. Run again it changes nothing but passwords.
const fs = require('fs');
const secret = (name) => fs.readFileSync(`/run/secrets/${name}`, 'utf8').trim();
const members = process.env.MONGO_MEMBERS.split(',');
const options = 'tls=true&tlsCAFile=/run/secrets/ca.pem&authSource=admin&directConnection=true';
const root = encodeURIComponent(secret('mongo-root.password'));
const admin = new Mongo(`mongodb://root:${root}@${members[0]}:27017/?${options}`).getDB('admin');

try {
    if (!admin.runCommand({ replSetGetStatus: 1 }).ok) {
        throw new Error("not initiated");
    }
} catch (error) {
    const listed = members.map((host, id) => ({ _id: id, host: `${host}:27017` }));
    const made = admin.runCommand({ replSetInitiate: { _id: 'rs0', members: listed } });
    if (!made.ok) {
        throw new Error(`replSetInitiate: ${made.codeName}`);
    }
}
for (let waited = 0; !admin.hello().isWritablePrimary; waited += 1) {
    if (waited > 120) {
        throw new Error('this member did not become primary in two minutes');
    }
    sleep(1000);
}

// The server reads results and keys; it may add, never change, what it counts.
const read = ['find', 'collStats', 'listIndexes', 'listCollections', 'dbStats'];
const databases = ['wadm'];
const privileges = databases.flatMap((db) => [
    { resource: { db, collection: '' }, actions: read },
    ...['key_usage', 'system_metrics'].map((collection) => ({
        resource: { db, collection }, actions: ['find', 'insert', 'update'],
    })),
]);
const role = { privileges, roles: [] };
if (admin.getRole('wadmServer')) {
    admin.updateRole('wadmServer', role);
} else {
    admin.createRole({ role: 'wadmServer', ...role });
}
const users = {
    processor: [{ role: 'readWrite', db: 'wadm' }, { role: 'dbAdmin', db: 'wadm' }],
    server: ['wadmServer'],
};
for (const [user, roles] of Object.entries(users)) {
    const pwd = secret(`mongo-${user}.password`);
    if (admin.getUser(user)) {
        admin.updateUser(user, { pwd, roles });
    } else {
        admin.createUser({ user, pwd, roles });
    }
}
print('the set and its users are ready');
