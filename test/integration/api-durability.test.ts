import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { asNumber, asString, at, isObject, type JsonObject, parseJson } from '@weft/local/api/json';
import { Store } from '@weft/local/api/store/store';
import { clientOf, send } from '@weft/local/api/testing';

/** A server in a process of its own is killed in the middle of writes: everything that it acknowledged is there when it comes back. */
const fixture = fileURLToPath(new URL('./api-durability.fixture.ts', import.meta.url));
let directory = '';

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-api-kill-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly kubeconfig: string;
}

function startServer(): Promise<Running> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fixture, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (!text.includes('\n')) return;
      const ready = parseJson(text);
      assert.ok(isObject(ready));
      resolve({ child, port: asNumber(ready['port']) ?? 0, kubeconfig: asString(ready['kubeconfig']) });
    });
  });
}

const killed = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });

test('kill -9 loses no acknowledged write', async () => {
  const acknowledged = new Map<string, string>();
  let revision = 0;
  for (let round = 0; round < 3; round++) {
    const { child, port, kubeconfig } = await startServer();
    const credentials = clientOf(kubeconfig);
    const call = (method: string, path: string, body?: JsonObject) =>
      send({ ...credentials, port, method, path, headers: {}, ...(body === undefined ? {} : { body }) });
    for (const [name, version] of acknowledged) {
      const answer = await call('GET', `/api/v1/namespaces/default/configmaps/${name}`);
      assert.equal(at(answer.body, 'metadata', 'resourceVersion'), version, `${name} after round ${round}`);
    }
    let dead = false;
    const write = async (lane: number): Promise<void> => {
      for (let i = 0; !dead; i++) {
        const name = `r${round}-l${lane}-${i}`;
        const body: JsonObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { i: String(i) } };
        const answer = await call('POST', '/api/v1/namespaces/default/configmaps', body).catch(() => undefined);
        if (answer === undefined) return;
        assert.equal(answer.status, 201, answer.text);
        const version = asString(at(answer.body, 'metadata', 'resourceVersion'));
        acknowledged.set(name, version);
        revision = Math.max(revision, Number(version));
        if (acknowledged.size >= (round + 1) * 60) break;
      }
    };
    const lanes = [0, 1, 2, 3].map(write);
    await Promise.race(lanes);
    await killed(child);
    dead = true;
    await Promise.all(lanes);
  }
  const store = new Store({ path: join(directory, 'api.db'), eventsKeptMax: 10 });
  try {
    assert.ok(acknowledged.size >= 180);
    assert.ok(store.revision >= revision, 'revisions never go back');
    for (const [name, version] of acknowledged)
      assert.equal(String(store.get('/configmaps', 'default', name)?.revision), version);
  } finally {
    store.close();
  }
});
