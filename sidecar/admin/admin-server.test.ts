import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AdminViews, startAdminServer } from './admin-server.ts';

const views = (config: unknown): AdminViews => ({
  configDump: () => config,
  stats: () => '',
  certs: () => ({}),
  clusters: () => config,
  listeners: () => [],
  notReady: () => undefined,
  quit: () => {},
});

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject).end();
  });
}

test('the socket is for its own user alone, whatever the umask, and shows no key', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-admin-'));
  const socketPath = join(folder, 'admin.sock');
  const umask = process.umask(0);
  const tls = {
    certificate: {
      kind: 'inline',
      certificateChain: { kind: 'pem', pem: 'CHAIN' },
      privateKey: { kind: 'pem', pem: 'THE-KEY' },
    },
  };
  const server = await startAdminServer({ socketPath }, views({ listeners: new Map([['in', { tls }]]) }));
  try {
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    for (const page of ['/config_dump', '/clusters']) {
      const text = await get(socketPath, page);
      assert.match(text, /CHAIN/);
      assert.doesNotMatch(text, /THE-KEY/);
    }
  } finally {
    process.umask(umask);
    server.close();
    rmSync(folder, { recursive: true });
  }
});
