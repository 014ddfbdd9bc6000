/** curl over HTTP/1.1 and HTTP/2 -> two sidecars -> nginx over HTTP/1.1 and HTTP/2, in all directions of translation. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { curl, curlStatus } from '../support/pair-curl.ts';
import { freePort } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { type PeerPair, type Spoken, startPeerPair } from '../support/peers/pair.ts';

const MIB = 1_048_576;

const PAIRS: readonly { readonly wire: Spoken; readonly application: Spoken }[] = [
  { wire: 'http2', application: 'http1' },
  { wire: 'http2', application: 'http2' },
  { wire: 'http1', application: 'http2' },
];

const CLIENTS = [
  { flag: '--http1.1', version: '1.1' },
  { flag: '--http2-prior-knowledge', version: '2' },
  // Asks for an upgrade to h2c, which RFC 9113 section 3.1 has done away with: the answer is one of HTTP/1.1.
  { flag: '--http2', version: '1.1' },
] as const;

const folder = testFolder('peers-curl');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
let nginx: Nginx;
const pairs: PeerPair[] = [];

before(async () => {
  const authority = await CertificateFolder.make(folder);
  const ports = { http1: await freePort(), http2: await freePort() };
  nginx = await startNginx(folder, ports.http1, ports.http2);
  writeFileSync(join(folder, 'www', '1m'), randomBytes(MIB));
  for (const ends of PAIRS) {
    pairs.push(await startPeerPair(folder, authority, { ...ends, applicationPort: ports[ends.application] }));
  }
});

after(async () => {
  await Promise.all(pairs.map((pair) => pair.stop()));
  await nginx?.program.stop();
  rmSync(folder, { recursive: true, force: true });
});

PAIRS.forEach(({ wire, application }, index) => {
  for (const { flag, version } of CLIENTS) {
    describe(`curl ${flag}, ${wire} between the sidecars, nginx over ${application}`, () => {
      const url = (path: string): string => `http://127.0.0.1:${pairs[index]?.port}${path}`;
      const uploadName = (what: string): string => `${what}-${index}${flag}`;
      const wholeFile = join(folder, 'www', '1m');

      test('a file of 1 MB down, over the version of the client', async () => {
        const out = join(folder, `down-${index}${flag}`);
        const { stdout } = await curl(flag, '-o', out, '-w', '%{http_code} %{http_version}', url('/1m'));
        assert.equal(stdout, `200 ${version}`);
        assert.equal(sha256(readFileSync(out)), sha256(readFileSync(wholeFile)));
      });

      for (const [framing, ...headers] of [
        ['with Expect', '-H', 'Expect: 100-continue'],
        ['chunked', '-H', 'Transfer-Encoding: chunked'],
      ] as const) {
        test(`a file of 1 MB up, ${framing}`, async () => {
          const name = uploadName(framing.replace(' ', '-'));
          assert.equal(await curlStatus(flag, '-T', wholeFile, ...headers, url(`/upload/${name}`)), 201);
          assert.equal(sha256(readFileSync(nginx.uploaded(name))), sha256(readFileSync(wholeFile)));
        });
      }

      test('HEAD, 304, ranges, errors', async () => {
        const head = await curl(flag, '-I', url('/1m'));
        assert.match(head.stdout, /^HTTP\/(1\.1|2) 200[\s\S]*\r\ncontent-length: 1048576\r\n/i);
        const etag = /\r\netag: (.*)\r\n/i.exec(head.stdout)?.[1] ?? '';
        assert.equal(await curlStatus(flag, '-H', `If-None-Match: ${etag}`, url('/1m')), 304);
        const range = await curl(flag, '-r', '10-19', url('/1m'));
        assert.equal(range.stdout, readFileSync(wholeFile).subarray(10, 20).toString('latin1'));
        assert.equal(await curlStatus(flag, url('/unknown')), 404);
        assert.equal(await curlStatus(flag, url('/teapot')), 418);
      });

      test('method, target, authority and fields pass', async () => {
        const fields = ['-H', 'X-MiXed: Value', '-H', 'Host: shop.example:8080'];
        const { stdout } = await curl(flag, '-X', 'PURGE', ...fields, url('/echo/a%20b?q=1&r=%2F'));
        assert.equal(stdout, 'PURGE /echo/a%20b?q=1&r=%2F shop.example:8080 Value\n');
      });

      // As many as go at once: curl 7.88 fails any that reuse a connection of HTTP/2 in parallel, also with nginx alone.
      test('50 transfers at once', async () => {
        const urls = Array.from({ length: 50 }, () => ['-o', '/dev/null', url('/1m')]).flat();
        const parallel = ['--parallel', '--parallel-max', '50', '--parallel-immediate'];
        const { stdout, exitCode, stderr } = await curl(
          flag,
          ...parallel,
          '-w',
          '%{http_code}:%{size_download}\n',
          ...urls,
        );
        assert.equal(exitCode, 0, stderr);
        assert.deepEqual(
          stdout.trim().split('\n'),
          Array.from({ length: 50 }, () => `200:${MIB}`),
        );
      });
    });
  }
});
