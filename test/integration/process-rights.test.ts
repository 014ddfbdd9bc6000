/** Node's permission model, as `weft sidecar` sets it up: what a proxy that carries traffic can still not do. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { nodeFlags, projectCode } from '../../local/images/node-flags.ts';
import { CertificateFolder } from '../support/certs.ts';
import { bootstrap, cluster, downstreamTls, httpListener, route } from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { type HttpOrigin, httpOrigin } from '../support/pair-origin.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const weft = join(root, 'cli/main.ts');
/** As an address: the proxy may not read the file. */
const probe = `data:text/javascript,${encodeURIComponent(
  readFileSync(new URL('../support/rights-probe.mjs', import.meta.url), 'utf8'),
)}`;
const folder = testFolder('rights');

let origin: HttpOrigin;

before(async () => {
  origin = await httpOrigin((_request, response) => response.end('served'));
});

after(async () => {
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Running {
  readonly program: Program;
  readonly port: number;
}

/** A proxy with files of its own for TLS, started as a user does. */
async function start(concurrency: number): Promise<Running> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  // The tests run at once, and files of the other one must not take the place of these.
  const own = mkdtempSync(join(folder, 'proxy-'));
  const authority = await CertificateFolder.make(own);
  const files = await authority.issue('server', 'spiffe://cluster.local/ns/shop/sa/server');
  const routes = [route('any', '/', 'origin')];
  const file = join(own, 'bootstrap.yaml');
  const listeners = [
    httpListener({ name: 'plain', at: { ip: '127.0.0.1', port }, direction: 'OUTBOUND', routes }),
    httpListener({
      name: 'tls',
      at: { ip: '127.0.0.1', port: tlsPort },
      direction: 'INBOUND',
      routes,
      tls: downstreamTls(files),
    }),
  ];
  const clusters = [cluster({ name: 'origin', endpoints: [{ ip: '127.0.0.1', port: origin.port }] })];
  writeFileSync(file, bootstrap({ id: 'rights', adminPort: await freePort(), listeners, clusters }));
  const args = ['--disable-warning=ExperimentalWarning', weft, 'sidecar', '-c', file];
  const program = new Program(process.execPath, [...args, '--concurrency', String(concurrency)], {
    env: { ...process.env, NODE_OPTIONS: `--import=${probe}` },
  });
  try {
    await program.until('serving', () => program.stderr.includes(' serving '));
  } catch (error) {
    await program.stop();
    throw error;
  }
  return { program, port };
}

/** What came of each attempt inside the proxy. */
async function attempts({ program }: Running): Promise<Readonly<Record<string, string>>> {
  const said = (): string | undefined => /^rights: (.*)\n/m.exec(program.stderr)?.[1];
  process.kill(program.pid, 'SIGUSR2');
  await program.until('its attempts', () => said() !== undefined);
  return JSON.parse(said() ?? '{}');
}

const DENIED = {
  'read /etc/passwd': 'ERR_ACCESS_DENIED',
  'read the environment of others': 'ERR_ACCESS_DENIED',
  'read its own environment anew': 'ERR_ACCESS_DENIED',
  'read /etc/passwd by the root of a thread': 'ERR_ACCESS_DENIED',
  'read /etc/passwd by a descriptor': 'ERR_ACCESS_DENIED',
  'write a file': 'ERR_ACCESS_DENIED',
  'start a process': 'ERR_ACCESS_DENIED',
  'become another program': 'ERR_ACCESS_DENIED',
  'load a native addon': 'ERR_DLOPEN_DISABLED',
  'call native functions': 'ERR_ACCESS_DENIED',
  'start a thread': 'ERR_ACCESS_DENIED',
  'be debugged': 'ERR_ACCESS_DENIED',
};

describe('rights of a proxy', { timeout: 30_000, concurrency: true }, () => {
  test('a proxy that serves reads no file but its own, writes none, starts no process, thread or native code', async () => {
    const running = await start(1);
    try {
      assert.deepEqual(await attempts(running), DENIED);
      assert.equal((await curl(`http://127.0.0.1:${running.port}/`)).stdout, 'served');
      const command = readFileSync(`/proc/${running.program.pid}/cmdline`, 'utf8').split('\0');
      assert.ok(command.includes('--permission'));
    } finally {
      await running.program.stop();
    }
  });

  test('its guard of descriptors counts them and knows their limit, with native functions and without', async () => {
    const all = nodeFlags('sidecar', { code: projectCode(root, 'sidecar'), root });
    const readings = JSON.stringify(pathToFileURL(join(root, 'sidecar/overload/readings.ts')));
    const script = `import(${readings}).then(({ descriptorReader }) => {
      const read = descriptorReader();
      const [before] = read();
      const sockets = Array.from({ length: 20 }, () => new (require('node:net').Server)().listen(0));
      const [after] = read();
      console.log(JSON.stringify({ more: after.used - before.used, max: before.max }));
      process.exit(0);
    })`;
    for (const flags of [all, all.filter((flag) => flag !== '--allow-ffi')]) {
      const { stdout } = await run(process.execPath, [...flags, '--input-type=commonjs', '-e', script]);
      const { more, max } = JSON.parse(stdout);
      assert.ok(more >= 20 && more < 40, `${more} more for 20 sockets`);
      assert.ok(max > 0);
    }
  });

  test('with data threads it keeps the right to start them again, and no other', async () => {
    const running = await start(2);
    try {
      assert.deepEqual(await attempts(running), {
        ...DENIED,
        'call native functions': 'done',
        'start a thread': 'done',
      });
      assert.equal((await curl(`http://127.0.0.1:${running.port}/`)).stdout, 'served');
    } finally {
      await running.program.stop();
    }
  });
});
