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

// deploy/mongo-roles.json says who may do what: nobody changes or removes an entry of the audit,
// and the server adds what it counts and nothing else. No collection ('') means all of them.
const wanted = JSON.parse(fs.readFileSync('/deploy/mongo-roles.json', 'utf8'));
const db = 'wadm';
for (const [role, rights] of Object.entries(wanted.roles)) {
    const privileges = rights.flatMap(({ collections, actions }) =>
        collections.map((collection) => ({ resource: { db, collection }, actions })));
    if (admin.getRole(role)) {
        admin.updateRole(role, { privileges, roles: [] });
    } else {
        admin.createRole({ role, privileges, roles: [] });
    }
}
for (const [user, roles] of Object.entries(wanted.users)) {
    const pwd = secret(`mongo-${user}.password`);
    if (admin.getUser(user)) {
        admin.updateUser(user, { pwd, roles });
    } else {
        admin.createUser({ user, pwd, roles });
    }
}
print('the set and its users are ready');
