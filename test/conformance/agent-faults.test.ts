import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { LogFile } from '@weft/local/agent/log-file';
import { meshNamespaces } from '@weft/local/node/node';
import { isAlive, processesInNamespaces, processRef } from '@weft/local/node/processes';
import { readMeshState } from '@weft/local/node/state';
import { startTestMesh, type TestMesh, until } from '../support/local-mesh.ts';

describe('a node agent that is killed', () => {
  let mesh: TestMesh;
  before(async () => {
    mesh = await startTestMesh('t-revive');
  });
  after(() => mesh.close());

  test('another takes over: pods run again, what is deleted goes, DNS and ClusterIPs work', async () => {
    await mesh.apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web', namespace: 'default' },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' } },
            spec: {
              terminationGracePeriodSeconds: 0,
              containers: [{ name: 'c', image: 'nginx', readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1 } }],
            },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: 'default' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'once', namespace: 'default' },
        spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'busybox', command: ['sleep', '1000'] }] },
      },
    );
    const rollout = (): Promise<unknown> => mesh.kubectl(['rollout', 'status', 'deployment/web', '--timeout=20s']);
    await rollout();
    await mesh.podReady('once');
    const first = mesh.mesh.agentPid;
    const former = processesInNamespaces(meshNamespaces('t-revive').map((name) => `/run/netns/${name}`));
    process.kill(first, 'SIGKILL');
    // Gone while nobody looks after it.
    assert.equal((await mesh.kubectl(['delete', 'pod', '-l', 'app=web', '--wait=false'])).code, 0);
    await until('another agent', () => (mesh.mesh.agentPid === first ? undefined : true));
    await until('both pods are new and ready', async () => {
      const out = await mesh.kubectl([
        'get',
        'deployment',
        'web',
        '-o',
        'jsonpath={.status.readyReplicas}/{.status.replicas}',
      ]);
      return out.stdout === '2/2' ? true : undefined;
    });
    // The numbers may still be those of before, when the next agent has only begun to clear.
    await until('no process of the first agent is left', () => (former.some(isAlive) ? undefined : true));
    const ended = await until('a pod that must not run twice has failed', async () => {
      const pod = await mesh.pod('once');
      return pod?.status?.phase === 'Failed' ? pod : undefined;
    });
    assert.equal(ended.status?.reason, 'ContainerStatusUnknown');
    assert.ok(readMeshState('t-revive')?.processes.some((ref) => ref.pid === mesh.mesh.agentPid));
    assert.ok(
      mesh.errors.some((line) => /the node agent ended .* started again in \d+ ms; see .*agent\.log/.test(line)),
    );
    await mesh.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'client', namespace: 'default' },
      spec: {
        restartPolicy: 'Never',
        containers: [
          {
            name: 'c',
            image: 'curl',
            args: [
              '-s',
              '-m',
              '10',
              '--retry',
              '5',
              '--retry-all-errors',
              '-o',
              '/dev/null',
              '-w',
              '%{http_code}',
              'http://web.default/',
            ],
          },
        ],
      },
    });
    await until('the client is done', async () =>
      (await mesh.pod('client'))?.status?.phase === 'Succeeded' ? true : undefined,
    );
    assert.equal((await mesh.logs('client')).trim(), '200');
  });

  test('a program that is still starting when it is told to end does so as soon as it can hear it', async () => {
    const late =
      "console.log('up'); setTimeout(() => process.on('SIGTERM', () => process.exit(0)), 1500); setInterval(() => {}, 1000);";
    await mesh.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'late', namespace: 'default' },
      spec: { terminationGracePeriodSeconds: 60, containers: [{ name: 'c', image: 'node', args: ['-e', late] }] },
    });
    await until('it runs', async () => ((await mesh.logs('late')) === 'up\n' ? true : undefined));
    const startedMs = performance.now();
    const deleted = await mesh.kubectl(['delete', 'pod', 'late', '--timeout=30s']);
    assert.equal(deleted.code, 0, deleted.stderr);
    assert.ok(performance.now() - startedMs < 30_000);
  });

  test('a restarted container counts on, and its former log can be read', async () => {
    await mesh.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'kept', namespace: 'default' },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'c', image: 'busybox', command: ['sh', '-c', 'echo started; sleep 1000'] }],
      },
    });
    await mesh.podReady('kept');
    await until('its line', async () => ((await mesh.logs('kept')) === 'started\n' ? true : undefined));
    const agent = processRef(mesh.mesh.agentPid);
    process.kill(mesh.mesh.agentPid, 'SIGKILL');
    await until('the second run', async () => {
      const pod = await mesh.pod('kept');
      const status = pod?.status?.containerStatuses?.[0];
      return status?.restartCount === 1 && status.ready ? true : undefined;
    });
    assert.ok(agent !== undefined && !isAlive(agent));
    const previous = await mesh.kubectl(['logs', 'kept', '--previous']);
    assert.equal(previous.stdout, 'started\n', previous.stderr);
  });
});

test('a log on a full disk: the container goes on, and the gap is told when there is room again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-log-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  try {
    const log = new LogFile(join(directory, '0.log'));
    const stream = new Readable({ read: () => {} });
    log.follow(stream, 'stdout');
    stream.push('before\n');
    await until('the first line', () =>
      readFileSync(join(directory, '0.log'), 'utf8').includes('before') ? true : undefined,
    );
    const filler = join(directory, 'filler');
    const { bavail, bsize } = statfsSync(directory);
    writeFileSync(filler, Buffer.alloc(bavail * bsize));
    for (let i = 0; i < 200; i++) stream.push(`lost ${'x'.repeat(100)}\n`);
    await until('all of it was taken', () => (stream.readableLength === 0 ? true : undefined));
    rmSync(filler);
    stream.push('after\n');
    stream.push(null);
    await log.close();
    const lines = readFileSync(join(directory, '0.log'), 'utf8').trimEnd().split('\n');
    assert.match(lines.at(-1) ?? '', / stdout F after$/);
    assert.match(lines.at(-2) ?? '', / stderr F weft: about \d+ bytes of output are missing here: the disk was full$/);
    assert.match(lines[0] ?? '', / stdout F before$/);
    assert.deepEqual(readdirSync(directory), ['0.log']);
  } finally {
    execFileSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true });
  }
});
