import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { asString, at, type JsonObject } from '@weft/local/api/json';
import { startEmbeddedApi } from '@weft/local/api/server';
import { type Answer, clientOf, send, startTestApi, testOptions, until } from '@weft/local/api/testing';

const maps = '/api/v1/namespaces/default/configmaps';
const mapOf = (name: string, bytes = 10): JsonObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { fill: 'x'.repeat(bytes) },
});

/** A file system of a few megabytes that a test can fill. */
function smallDisk(): { readonly directory: string; fill(): void; free(): void; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'weft-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', directory]);
  const filler = join(directory, 'filler');
  return {
    directory,
    fill: () => {
      const { bavail, bsize } = statfsSync(directory);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
    },
    free: () => rmSync(filler),
    remove: () => {
      execFileSync('umount', ['-l', directory]);
      rmSync(directory, { recursive: true });
    },
  };
}

describe('faults around the embedded API', () => {
  test('a full disk: writes fail with the reason, reads go on, and nothing that was acknowledged is lost', async () => {
    const disk = smallDisk();
    try {
      const options = testOptions(join(disk.directory, 'data'));
      let api = await startEmbeddedApi(options);
      const call = (method: string, path: string, body?: JsonObject): Promise<Answer> =>
        send({
          ...clientOf(api.adminKubeconfig),
          port: api.port,
          method,
          path,
          headers: {},
          ...(body === undefined ? {} : { body }),
        });
      const acknowledged = new Map<string, string>();
      let refused: Answer | undefined;
      disk.fill();
      for (let i = 0; i < 2_000 && refused === undefined; i++) {
        const answer = await call('POST', maps, mapOf(`m${i}`, 4_000));
        if (answer.status === 201) acknowledged.set(`m${i}`, asString(at(answer.body, 'metadata', 'resourceVersion')));
        else refused = answer;
      }
      assert.equal(refused?.status, 500, 'the disk never became full');
      assert.match(asString(refused.body['message']), /nothing was written, .*full.* is there room on its disk\?/);
      const lost = `m${acknowledged.size}`;
      assert.equal((await call('GET', `${maps}/${lost}`)).status, 404);
      assert.equal((await call('POST', maps, mapOf('another', 200_000))).status, 500);
      assert.match((await call('GET', '/metrics')).text, /apiserver_storage_write_errors_total [1-9]/);
      // A definition is taken or refused as a whole, too, and the server lives.
      assert.equal((await call('GET', '/readyz')).status, 200);
      disk.free();
      const made = await call('POST', maps, mapOf(lost));
      assert.equal(made.status, 201, made.text);
      acknowledged.set(lost, asString(at(made.body, 'metadata', 'resourceVersion')));
      const versions = [...acknowledged.values()].map(Number);
      assert.deepEqual(
        versions,
        [...new Set(versions)].sort((a, b) => a - b),
        'revisions only grow',
      );
      await api.close();
      api = await startEmbeddedApi(options);
      for (const [name, version] of acknowledged) {
        const answer = await call('GET', `${maps}/${name}`);
        assert.equal(at(answer.body, 'metadata', 'resourceVersion'), version, name);
      }
      await api.close();
    } finally {
      disk.remove();
    }
  });

  test('a clock that is set back: revisions grow, leases renew, tokens and certificates hold, watches go on', async () => {
    let nowMs = Date.now();
    const server = await startTestApi({ now: () => nowMs });
    try {
      const must = async (method: string, path: string, body?: JsonObject): Promise<JsonObject> => {
        const answer = await server.call(method, path, body);
        assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
        return answer.body;
      };
      const versionOf = (object: JsonObject): number => Number(at(object, 'metadata', 'resourceVersion'));
      const accounts = '/api/v1/namespaces/default/serviceaccounts';
      await must('POST', accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'app' } });
      const token = asString(at(await must('POST', `${accounts}/app/token`, { spec: {} }), 'status', 'token'));
      const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
      const lease = (renewTime: string): JsonObject => ({
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'l' },
        spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime },
      });
      const micro = (): string => new Date(nowMs).toISOString().replace('Z', '000Z');
      const before = await must('POST', leases, lease(micro()));
      nowMs -= 6 * 3600_000;
      const renewed = await must('PUT', `${leases}/l`, lease(micro()));
      assert.ok(versionOf(renewed) > versionOf(before));
      const list = await must('GET', `${maps}?limit=1`);
      const made = await must('POST', maps, mapOf('after'));
      assert.ok(versionOf(made) > versionOf(renewed));
      const watched = await server.call(
        'GET',
        `${maps}?watch=1&timeoutSeconds=1&resourceVersion=${at(list, 'metadata', 'resourceVersion')}`,
      );
      assert.match(watched.text, /"type":"ADDED".*"name":"after"/);
      const asApp = await server.call('GET', '/api', undefined, { authorization: `Bearer ${token}` });
      assert.equal(asApp.status, 200, 'a token of the future is still a token of ours');
      await must('DELETE', `${maps}/after`);
    } finally {
      await server.close();
    }
  });

  test('a client that vanishes without a word: its watch is reaped', async () => {
    // A network of its own for the client, so that it can be cut off without either end being told.
    const name = `weft-halfopen-${process.pid}`;
    const ip = (...args: string[]): void => void execFileSync('ip', args);
    const [host, guest] = ['169.254.217.1', '169.254.217.2'];
    ip('netns', 'add', name);
    try {
      ip('link', 'add', 'weft-half', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      ip('addr', 'add', `${host}/30`, 'dev', 'weft-half');
      ip('link', 'set', 'weft-half', 'up');
      ip('-n', name, 'addr', 'add', `${guest}/30`, 'dev', 'eth0');
      ip('-n', name, 'link', 'set', 'eth0', 'up');
      const server = await startTestApi({
        listen: [
          { host: '127.0.0.1', port: 0 },
          { host, port: 0 },
        ],
        limits: { tcpKeepAliveMs: 1_000, tcpUserTimeoutMs: 5_000 },
      });
      try {
        const kubeconfig = join(server.directory, 'guest.kubeconfig');
        writeFileSync(
          kubeconfig,
          server.api.kubeconfigFor('admin', ['system:masters'], `https://${host}:${server.api.port}`),
        );
        const args = ['netns', 'exec', name, 'kubectl', '--kubeconfig', kubeconfig];
        const home = join(server.directory, 'home');
        mkdirSync(home);
        const child = spawn('ip', [...args, 'get', 'configmaps', '--watch-only', '-o', 'name'], {
          env: { PATH: process.env['PATH'], HOME: home },
          stdio: 'ignore',
        });
        const watches = async (): Promise<number> =>
          Number(/^apiserver_watches (\d+)/m.exec((await server.call('GET', '/metrics')).text)?.[1] ?? 0);
        try {
          await until('the watch is open', async () => ((await watches()) === 1 ? true : undefined), 20_000);
          ip('-n', name, 'link', 'set', 'eth0', 'down');
          // Something to send, so that it is not an idle connection either.
          assert.equal((await server.call('POST', maps, mapOf('unheard'))).status, 201);
          await until('the watch is gone', async () => ((await watches()) === 0 ? true : undefined), 40_000);
        } finally {
          child.kill('SIGKILL');
          await once(child, 'exit');
        }
      } finally {
        await server.close();
      }
    } finally {
      ip('netns', 'del', name);
      try {
        ip('link', 'del', 'weft-half');
      } catch {
        // It went with the namespace.
      }
    }
  });

  test('a reader that stops reading loses its watch, not the server its memory', async () => {
    const server = await startTestApi({ limits: { watchBufferBytesMax: 256 * 1024 } });
    try {
      const sent = request({
        ...clientOf(server.api.adminKubeconfig),
        host: '127.0.0.1',
        port: server.api.port,
        path: `${maps}?watch=1`,
        agent: false,
      });
      sent.on('error', () => {});
      const answered = once(sent, 'response');
      sent.end();
      const [response] = await answered;
      response.on('error', () => {});
      response.pause();
      await until(
        'the watch is ended',
        async () => {
          const name = `big-${Math.random().toString(36).slice(2)}`;
          assert.equal((await server.call('POST', maps, mapOf(name, 500_000))).status, 201);
          return (
            (await server.call('GET', '/metrics')).text.includes('apiserver_watch_closed_total{reason="slow"} 1') ||
            undefined
          );
        },
        30_000,
      );
      sent.destroy();
    } finally {
      await server.close();
    }
  });
});
