import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { bootstrapFiles } from './bootstrap-files.ts';

test('the files of a bootstrap are those of its data sources, endpoints, file logs and admin socket, and no path of a route', () => {
  const { read, write } = bootstrapFiles(`
admin: { address: { pipe: { path: /run/x/admin.sock } } }
a: { match: { path: /etc/shadow }, tls: [{ private_key: { filename: /etc/x/key.pem } }, { trusted_ca: { filename: ca.pem } }] }
b: { "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /var/log/x.log }
c: { pipe: { path: "@abstract" } }
d: { eds_config: { path_config_source: { path: /etc/x/eds.yaml, watched_directory: { path: /etc/x } } } }
e: { edsConfig: { path: old.yaml } }
`);
  assert.deepEqual(read, ['/etc/x/key.pem', resolve('ca.pem'), '/etc/x/eds.yaml', resolve('old.yaml')]);
  assert.deepEqual(write, ['/run/x/admin.sock', '/var/log/x.log']);
});

test('what is no YAML names nothing', () => {
  assert.deepEqual(bootstrapFiles('a: [b'), { read: [], write: [] });
});
