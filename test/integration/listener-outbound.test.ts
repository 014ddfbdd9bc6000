import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RequestRecord } from '@weft/sidecar/telemetry/record';
import { waitFor } from '../support/wait.ts';

/** Original destinations, as nf_tables redirection leaves them, in both families. */

const run = promisify(execFile);
const namespace = `weft-lo-${process.pid}`;
const FIXTURE = fileURLToPath(new URL('./listener-outbound.fixture.ts', import.meta.url));
let proxy: ChildProcess;

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const inside = (...command: string[]): string => ip('netns', 'exec', namespace, ...command);
const curl = async (...args: string[]): Promise<string> => {
  const command = ['netns', 'exec', namespace, 'curl', '-s', '--max-time', '5', ...args];
  const { stdout } = await run('ip', command).catch((error: { stdout?: string; code?: number }) => ({
    stdout: `${error.stdout ?? ''}curl exit ${error.code}`,
  }));
  return stdout;
};

interface Stats {
  readonly records: readonly RequestRecord[];
  readonly events: readonly string[];
}

async function stats(): Promise<Stats> {
  proxy.send('stats');
  const [message]: unknown[] = await once(proxy, 'message');
  assert.ok(typeof message === 'object' && message !== null && 'records' in message && 'events' in message);
  const { records, events } = message;
  assert.ok(Array.isArray(records) && Array.isArray(events));
  return { records, events };
}

before(async () => {
  ip('netns', 'add', namespace);
  inside('ip', 'link', 'set', 'lo', 'up');
  for (const address of ['10.99.0.1', '10.99.0.2', '10.99.0.3', '10.99.0.4', '10.99.0.5']) {
    inside('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
  }
  inside('ip', 'address', 'add', 'fd99::1/128', 'dev', 'lo');
  inside('nft', 'add', 'table', 'inet', 't');
  inside('nft', 'add chain inet t out { type nat hook output priority -100; }');
  inside('nft', 'add rule inet t out meta skuid != 1337 tcp dport { 8080, 2525 } redirect to :15001');
  proxy = spawn(
    'ip',
    [
      'netns',
      'exec',
      namespace,
      process.execPath,
      '--experimental-ffi',
      '--disable-warning=ExperimentalWarning',
      FIXTURE,
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  await once(proxy, 'message');
});

after(async () => {
  if (proxy !== undefined && proxy.exitCode === null) {
    proxy.kill('SIGKILL');
    await once(proxy, 'exit');
  }
  ip('netns', 'delete', namespace);
});

describe('outbound by original destination', () => {
  test('IPv4, declared http: the codec sees where it was going', async () => {
    assert.equal(await curl('-H', 'Host: other', 'http://10.99.0.1:8080/'), 'for 10.99.0.1 8080\n');
  });

  test('IPv6, detected http', async () => {
    assert.equal(await curl('http://[fd99::1]:8080/'), 'for fd99::1 8080\n');
  });

  test('declared tcp stays opaque, and names its Service', async () => {
    assert.equal(await curl('http://10.99.0.2:8080/'), 'for opaque\n');
    const record = await waitFor('the record', async () =>
      (await stats()).records.find((one) => one.destination === '10.99.0.2:8080'),
    );
    assert.deepEqual([record.cluster, record.destinationService, record.protocol], ['cart', 'shop/cart', 'tcp']);
  });

  test('an unknown destination passes through', async () => {
    assert.equal(await curl('http://10.99.0.4:8080/'), 'for opaque\n');
    const record = await waitFor('the record', async () =>
      (await stats()).records.find((one) => one.destination === '10.99.0.4:8080'),
    );
    assert.equal(record.cluster, 'passthrough');
  });

  test('a server that speaks first is heard by itself', async () => {
    const text = inside('timeout', '5', 'bash', '-c', 'exec 3<>/dev/tcp/10.99.0.5/2525; head -n 1 <&3');
    assert.match(text, /^220 ready/);
    const { events } = await stats();
    assert.ok(events.includes('listener.detect_server_first'));
    assert.ok(!events.includes('listener.detect_timeout'));
  });

  test('an address that is not known yet: waits, and fails with NC when nothing comes', async () => {
    assert.match(await curl('http://10.99.0.3:8080/'), /curl exit (52|56)/);
    const { records } = await stats();
    assert.equal(records.find((one) => one.destination === '10.99.0.3:8080')?.flag, 'NC');
    const answer = curl('http://10.99.0.3:8080/');
    proxy.send('answer-pending');
    assert.match(await answer, /for 10.99.0.3 8080|curl exit 5[26]/);
    assert.equal(await curl('http://10.99.0.3:8080/'), 'for 10.99.0.3 8080\n');
  });

  test('a direct hit on the proxy is refused, in both families', async () => {
    assert.match(await curl('http://127.0.0.1:15001/'), /curl exit (52|56)/);
    assert.match(await curl('http://[::1]:15001/'), /curl exit (52|56)/);
    const hits = (await stats()).events.filter((event) => event === 'listener.direct_hit');
    assert.equal(hits.length, 2);
  });
});
