import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { checkEndpointFiles, EndpointFiles } from './endpoint-files.ts';

function testFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-endpoints-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const eds = (serviceName: string, file: string) => ({
  discovery: { kind: 'eds', serviceName, source: { kind: 'file', path: file } } as const,
});

const yaml = (...services: readonly (readonly [name: string, port: number])[]): string =>
  `resources:\n${services
    .map(
      ([name, port]) => `- "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
  cluster_name: ${name}
  endpoints:
  - lb_endpoints:
    - endpoint: { address: { socket_address: { address: 10.0.0.1, port_value: ${port} } } }
`,
    )
    .join('')}`;

function followed(...clusters: readonly ReturnType<typeof eds>[]) {
  const clock = new ManualClock();
  const [lines, told, counted]: [string[], string[], string[]] = [[], [], []];
  const files = new EndpointFiles(clusters, {
    clock,
    log: (line) => lines.push(line),
    count: (event) => counted.push(event),
  });
  void files.follow({
    publish(changes) {
      for (const change of changes) {
        assert.ok(change.kind === 'endpoints' && change.entry !== undefined && 'value' in change.entry);
        told.push(`${change.name} ${change.entry.value.endpoints.map(({ address }) => address.port)}`);
      }
    },
    whenApplied: (done) => done([]),
  });
  return { files, clock, lines, told, counted };
}

test('endpoints are read at the start, and told when they have changed and stand still', (t) => {
  const file = join(testFolder(t), 'eds.yaml');
  writeFileSync(file, yaml(['cart', 1], ['web', 2]));
  const { files, clock, told, counted } = followed(eds('cart', file), eds('web', file), eds('cart', file));
  assert.deepEqual(
    files.assignments().map(({ clusterName }) => clusterName),
    ['cart', 'web'],
  );
  clock.advance(1_000);
  assert.deepEqual(told, [], 'nothing has changed');
  const whole = yaml(['cart', 31], ['web', 4]);
  writeFileSync(file, whole.slice(0, whole.indexOf('31') + 1));
  clock.advance(250);
  assert.deepEqual(told, [], 'seen, and perhaps still being written');
  writeFileSync(file, whole);
  clock.advance(250);
  assert.deepEqual(told, []);
  clock.advance(250);
  assert.deepEqual(told, ['cart 31', 'web 4']);
  assert.deepEqual(
    files.assignments().map(({ endpoints }) => endpoints[0]?.address.port),
    [31, 4],
  );
  assert.deepEqual(new Set(counted), new Set(['eds.update_success']));
  files.close();
  writeFileSync(file, yaml(['cart', 5], ['web', 6]));
  clock.advance(1_000);
  assert.equal(told.length, 2, 'closed');
});

test('what is refused, or gone, leaves the last good ones, and is said once', (t) => {
  const file = join(testFolder(t), 'eds.yaml');
  writeFileSync(file, yaml(['cart', 1]));
  const { files, clock, lines, told, counted } = followed(eds('cart', file));
  const held = files.assignments();
  writeFileSync(file, yaml(['cart', 70_000]));
  clock.advance(1_000);
  rmSync(file);
  clock.advance(1_000);
  assert.deepEqual(told, []);
  assert.deepEqual(files.assignments(), held);
  assert.equal(lines.length, 2, lines.join('\n'));
  assert.match(
    lines[0] ?? '',
    /^endpoints of cart: .*eds\.yaml: resources\[0\].*port_value: .*; the last good ones hold$/,
  );
  assert.match(lines[1] ?? '', /cannot be read: .*ENOENT.*; the last good ones hold$/);
  assert.equal(counted.filter((event) => event === 'eds.update_rejected').length, 2);
  writeFileSync(file, yaml(['cart', 7]));
  clock.advance(1_000);
  assert.deepEqual(told, ['cart 7']);
});

test('a link that is turned to another folder is a change, as in a mounted ConfigMap', (t) => {
  const folder = testFolder(t);
  for (const [name, port] of [['first', 1] as const, ['second', 2] as const]) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'eds.yaml'), yaml(['cart', port]));
  }
  symlinkSync('first', join(folder, '..data'));
  symlinkSync(join('..data', 'eds.yaml'), join(folder, 'eds.yaml'));
  const { clock, told } = followed(eds('cart', join(folder, 'eds.yaml')));
  symlinkSync('second', join(folder, '..new'));
  renameSync(join(folder, '..new'), join(folder, '..data'));
  clock.advance(500);
  assert.deepEqual(told, ['cart 2']);
});

test('without one good file there are no endpoints until it is good; one that is not there is an error', (t) => {
  const folder = testFolder(t);
  const file = join(folder, 'eds.yaml');
  writeFileSync(file, yaml(['web', 1]));
  const { files, clock, lines, told } = followed(eds('cart', file));
  assert.deepEqual(files.assignments(), []);
  assert.match(
    lines[0] ?? '',
    /there is no ClusterLoadAssignment of cluster_name "cart"; there are none until it is good$/,
  );
  writeFileSync(file, yaml(['cart', 1]));
  clock.advance(500);
  assert.deepEqual(told, ['cart 1']);
  const clusters = [eds('cart', file), eds('web', join(folder, 'other.yaml')), eds('folder', folder)];
  assert.deepEqual(checkEndpointFiles(clusters), [
    {
      path: 'static_resources.clusters[1].eds_cluster_config.eds_config',
      message: `${folder}/other.yaml is not there`,
    },
    { path: 'static_resources.clusters[2].eds_cluster_config.eds_config', message: `${folder} is no file` },
  ]);
});

test('links in a circle are a file that cannot be read, at the start and later', (t) => {
  const folder = testFolder(t);
  const file = join(folder, 'eds.yaml');
  writeFileSync(file, yaml(['cart', 1]));
  const { files, clock, lines, told } = followed(eds('cart', file));
  const held = files.assignments();
  rmSync(file);
  symlinkSync('eds.yaml', file);
  clock.advance(1_000);
  assert.deepEqual(files.assignments(), held);
  assert.match(lines.join('\n'), /^endpoints of cart: .*cannot be read: .*ELOOP.*; the last good ones hold$/);
  const [wrong] = checkEndpointFiles([eds('cart', file)]);
  assert.match(wrong?.message ?? '', /eds\.yaml cannot be found: .*ELOOP/);
  rmSync(file);
  writeFileSync(file, yaml(['cart', 2]));
  clock.advance(1_000);
  assert.deepEqual(told, ['cart 2']);
});

test('nothing is read of what is no file, or too long', (t) => {
  const file = join(testFolder(t), 'eds.yaml');
  writeFileSync(file, yaml(['cart', 1]));
  const { files, clock, lines } = followed(eds('cart', file));
  const held = files.assignments();
  // Without bytes on the disk, and longer than a string may be.
  truncateSync(file, 2 ** 32);
  clock.advance(1_000);
  rmSync(file);
  symlinkSync('/dev/zero', file);
  clock.advance(1_000);
  assert.deepEqual(files.assignments(), held);
  assert.match(lines[0] ?? '', /eds\.yaml: is longer than 4194304 bytes; the last good ones hold$/);
  assert.match(lines[1] ?? '', /eds\.yaml: is no file; the last good ones hold$/);
});
