import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildPackage, finish, type Installed, installPackage, linkRuntime } from '../support/package.ts';
import { bootstrap, cluster, httpListener, route, typed } from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { type HttpOrigin, httpOrigin } from '../support/pair-origin.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';

/** Takes what has no token, and no token that there is. */
const tokens = {
  name: 'envoy.filters.http.jwt_authn',
  typed_config: typed('extensions.filters.http.jwt_authn.v3.JwtAuthentication', {
    providers: {
      one: {
        issuer: 'https://issuer.example',
        require_expiration: true,
        payload_in_metadata: 'jwt',
        from_headers: [{ name: 'authorization', value_prefix: 'Bearer ' }],
        local_jwks: { inline_string: '{"keys":[{"kty":"RSA","kid":"one","e":"AQAB","n":"AQAB"}]}' },
      },
    },
    rules: [
      {
        match: { prefix: '/' },
        requires: { requires_any: { requirements: [{ provider_name: 'one' }, { allow_missing: {} }] } },
      },
    ],
  }),
};

const folder = testFolder('package');
const built = join(folder, 'dist');

interface Served {
  readonly file: string;
  readonly port: number;
}

let origin: HttpOrigin;

async function bootstrapFile(name: string): Promise<Served> {
  const port = await freePort();
  const file = join(folder, name);
  writeFileSync(
    file,
    bootstrap({
      id: 'packaged',
      adminPort: await freePort(),
      listeners: [
        httpListener({
          name: 'outbound',
          at: { ip: '127.0.0.1', port },
          direction: 'OUTBOUND',
          routes: [route('any', '/', 'origin')],
        }),
      ],
      clusters: [cluster({ name: 'origin', endpoints: [{ ip: '127.0.0.1', port: origin.port }] })],
    }),
  );
  return { file, port };
}

interface Parts {
  readonly port: number;
  readonly adminPort: number;
  readonly protocol: 'grpc' | 'http';
  readonly collectorPort: number;
}

/** A bootstrap whose sidecar has to load what most have no need of. */
function withParts({ port, adminPort, protocol, collectorPort }: Parts): string {
  const listener = httpListener({
    name: 'outbound',
    at: { ip: '127.0.0.1', port },
    direction: 'OUTBOUND',
    filters: [tokens],
    routes: [route('any', '/', 'origin')],
  });
  const tracing = {
    otlp_endpoint: `http://127.0.0.1:${collectorPort}`,
    otlp_protocol: protocol,
    sampling_percent: 100,
  };
  return bootstrap({
    id: 'parts',
    adminPort,
    listeners: [{ ...listener, metadata: { filter_metadata: { 'weft.dev': { settings: { tracing } } } } }],
    clusters: [cluster({ name: 'origin', endpoints: [{ ip: '127.0.0.1', port: origin.port }] })],
  });
}

/** Says which paths were asked for, by either protocol of OTLP; what it answers is of no interest. */
async function spanCollector() {
  const paths: string[] = [];
  const servers = { http: createServer(), grpc: createHttp2Server() };
  for (const server of Object.values(servers)) {
    server.on('request', (request: { readonly url?: string }, response: { end(): void }) => {
      paths.push(request.url ?? '');
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  return {
    paths,
    port: (protocol: 'grpc' | 'http'): number => (servers[protocol].address() as AddressInfo).port,
    close: () => Promise.all(Object.values(servers).map((server) => server[Symbol.asyncDispose]())),
  };
}

async function carriesRequest(program: Program, port: number): Promise<void> {
  try {
    await program.until('serving', () => program.stderr.includes(' serving '));
    const { stdout } = await curl('-i', `http://127.0.0.1:${port}/from/the/package`);
    assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(stdout, /GET \/from\/the\/package$/);
    program.child.kill('SIGTERM');
    assert.equal(await program.exitCode(), 0, program.stderr);
  } finally {
    await program.stop();
  }
}

before(async () => {
  origin = await httpOrigin((request, response) => {
    response.end(`${request.method} ${request.url}`);
  });
  await buildPackage(built);
});

after(async () => {
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the npm package, installed in an empty folder', { timeout: 240_000 }, () => {
  let installed: Installed;
  before(async () => {
    installed = await installPackage(built, join(folder, 'project'));
  });

  test('says what to do when the runtime was left out', async () => {
    const { code, stderr } = await finish(installed.weft, ['--help'], installed.folder);
    assert.equal(code, 69);
    assert.match(stderr, /the package node-linux-\w+ is missing: install weft without --omit=optional/);
    linkRuntime(installed);
  });

  test('weft --help, and the help of each command', async () => {
    const overview = await finish(installed.weft, ['--help'], installed.folder);
    assert.equal(overview.code, 0, overview.stderr);
    assert.equal(overview.stderr, '');
    const commands = [...overview.stdout.matchAll(/^ {2}(\w+) {2,}/gm)].map(([, name = '']) => name);
    assert.ok(
      ['up', 'down', 'check', 'status', 'sidecar'].every((name) => commands.includes(name)),
      overview.stdout,
    );
    for (const name of commands) {
      const help = await finish(installed.weft, [name, '--help'], installed.folder);
      assert.equal(help.code, 0, help.stderr);
      assert.match(help.stdout, new RegExp(`^Usage: weft ${name}`, 'm'));
    }
  });

  test('weft sidecar checks a bootstrap', async () => {
    const { file } = await bootstrapFile('good.yaml');
    const good = await finish(installed.weft, ['sidecar', '-c', file, '--check'], installed.folder);
    assert.equal(good.code, 0, good.stderr);
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(wrong, readFileSync(file, 'utf8').replace('"codec_type":"AUTO"', '"codec_type":"HTTP3"'));
    const refused = await finish(installed.weft, ['sidecar', '-c', wrong, '--check'], installed.folder);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /codec_type/);
  });

  test('weft sidecar carries a request and ends by SIGTERM', async () => {
    const { file, port } = await bootstrapFile('serve.yaml');
    await carriesRequest(new Program(installed.weft, ['sidecar', '-c', file], { cwd: installed.folder }), port);
  });

  test('every file that a program of the local mesh is started from is there', () => {
    const shipped = join(installed.folder, 'node_modules', 'weft');
    const agent = readFileSync(join(shipped, 'local', 'agent', 'main.js'), 'utf8');
    const images = [...agent.matchAll(/\{project\}\/([\w/-]+\.\w+)/g)].map(([, path = '']) => path);
    assert.ok(images.length >= 4, 'the image table is in the bundle');
    for (const path of [...images, 'local/agent/main.js', 'local/agent/launch.js', 'local/manifests/weft.yaml']) {
      assert.ok(existsSync(join(shipped, path)), path);
    }
    const neighbours = readFileSync(join(shipped, 'cli', 'main.js'), 'utf8');
    assert.match(neighbours, /new URL\("\.\.\/local\/agent\/process\.js",\s*import\.meta\.url\)/);
  });
});

interface Context {
  readonly folder: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** What may be read besides the image's own files and its mounts has to be said. */
const mayRead = (file: string): NodeJS.ProcessEnv => ({ ...process.env, NODE_OPTIONS: `--allow-fs-read=${file}` });

/** The entry point with the paths of the image turned into those of its build context. */
function context(name: string): Context {
  const here = join(built, 'images', name);
  const recipe = readFileSync(join(here, 'Dockerfile'), 'utf8');
  const entrypoint: readonly string[] = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(recipe)?.[1] ?? '[]');
  const copies = [...recipe.matchAll(/^COPY (\S+) (\S+)$/gm)].map(([, from = '', to = '']) => [from, to] as const);
  const [command = '', ...args] = entrypoint.map((part) => {
    // A flag that names a path in the image, or the path itself.
    const [, flag = '', path = ''] = /^(--[\w-]+=)?(.*)$/.exec(part) ?? [];
    const copy = copies.find(([, to]) => path === to || path.startsWith(`${to}/`));
    return copy === undefined ? part : flag + join(here, copy[0], path.slice(copy[1].length));
  });
  return { folder: here, command, args };
}

describe('the image contexts', { timeout: 120_000 }, () => {
  test('each has an executable Node and the program of its entry point', () => {
    const names = readdirSync(join(built, 'images'));
    assert.deepEqual(names.sort(), ['control-plane', 'injector', 'sidecar']);
    for (const name of names) {
      const { command, args, folder: here } = context(name);
      assert.equal(command, join(here, 'node'));
      assert.ok((statSync(command).mode & 0o111) !== 0, 'executable');
      assert.ok(existsSync(args.at(-1) ?? ''), `${args.at(-1)} is there`);
      const bom = JSON.parse(readFileSync(join(here, 'weft', 'bom.cdx.json'), 'utf8'));
      assert.equal(bom.bomFormat, 'CycloneDX');
      const listed = bom.components.map((one: { readonly name: string }) => one.name);
      const library = name === 'injector' ? 'client-node' : 'protobuf';
      assert.ok(listed.includes(`node-linux-${process.arch}`) && listed.includes(library), listed.join());
    }
  });

  test('sidecar: carries a request', async () => {
    const { file, port } = await bootstrapFile('image.yaml');
    const { command, args, folder: here } = context('sidecar');
    await carriesRequest(new Program(command, [...args, '-c', file], { cwd: here, env: mayRead(file) }), port);
  });

  for (const [protocol, threads] of [
    ['grpc', 2],
    ['http', 1],
  ] as const) {
    test(`sidecar: what is loaded when there is need of it; data threads: ${threads}, spans by ${protocol}`, async () => {
      const collector = await spanCollector();
      const [port, adminPort] = [await freePort(), await freePort()];
      const file = join(folder, `parts-${protocol}.json`);
      writeFileSync(file, withParts({ port, adminPort, protocol, collectorPort: collector.port(protocol) }));
      const { command, args, folder: here } = context('sidecar');
      const more = ['-c', file, '--concurrency', String(threads)];
      const program = new Program(command, [...args, ...more], { cwd: here, env: mayRead(file) });
      try {
        await program.until('serving', () => program.stderr.includes(' serving '));
        const { stdout: carried } = await curl(`http://127.0.0.1:${port}/without`);
        assert.equal(carried, 'GET /without');
        const token = [
          '{"alg":"RS256","kid":"other"}',
          '{"iss":"https://issuer.example","exp":4102444800}',
          'signature',
        ]
          .map((part) => Buffer.from(part).toString('base64url'))
          .join('.');
        const { stdout: refused } = await curl('-H', `authorization: Bearer ${token}`, `http://127.0.0.1:${port}/`);
        assert.match(refused, /names no key of https:\/\/issuer\.example/);
        const { stdout: page } = await curl(`http://127.0.0.1:${adminPort}/config_dump`);
        assert.match(page, /ListenersConfigDump/);
        await program.until('spans are exported', () => collector.paths.length > 0);
        const service = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
        assert.equal(collector.paths[0], protocol === 'grpc' ? service : '/v1/traces');
      } finally {
        await program.stop();
        await collector.close();
      }
    });
  }

  test("each is started with Node's permission model, and may start no process", () => {
    for (const name of ['control-plane', 'injector', 'sidecar']) {
      const { args } = context(name);
      assert.ok(args.includes('--permission'), name);
      for (const right of ['child-process', 'addons', 'inspector', 'wasi']) {
        assert.ok(!args.some((arg) => arg.startsWith(`--allow-${right}`)), `${name}: ${right}`);
      }
    }
  });

  test('sidecar: names what the injector would have set', async () => {
    const { command, args, folder: here } = context('sidecar');
    const { code, stderr } = await finish('env', ['-i', command, ...args], here);
    assert.equal(code, 64);
    assert.match(stderr, /POD_NAME is not set/);
  });

  test('control plane: serves static objects', async () => {
    const { command, args, folder: here } = context('control-plane');
    const objects = join(folder, 'objects.yaml');
    writeFileSync(objects, 'apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n');
    const listen = ['--xds', '127.0.0.1:0', '--monitoring', '127.0.0.1:0'];
    const program = new Program(command, [...args, '--static', objects, ...listen], {
      cwd: here,
      env: mayRead(objects),
    });
    try {
      await program.until('serving', () => program.stdout.includes('"message":"serving"'));
      program.child.kill('SIGTERM');
      assert.equal(await program.exitCode(), 0, program.stderr);
    } finally {
      await program.stop();
    }
  });

  test('control plane: asks the Kubernetes API of its kubeconfig', async () => {
    const { command, args, folder: here } = context('control-plane');
    const asked = await httpOrigin((_request, response) => {
      response.statusCode = 503;
      response.end();
    });
    const kubeconfig = join(folder, 'kubeconfig');
    const server = `http://127.0.0.1:${asked.port}`;
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'u', user: {} }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    const listen = ['--xds', '--webhook', '--monitoring'].flatMap((name) => [name, '127.0.0.1:0']);
    const paths: string[] = [];
    asked.server.on('request', ({ url }) => paths.push(url ?? ''));
    const env = { ...mayRead(kubeconfig), KUBECONFIG: kubeconfig };
    const program = new Program(command, [...args, ...listen], { cwd: here, env });
    try {
      await program.until('asks for services', () => paths.some((path) => path.startsWith('/api/v1/services')));
    } finally {
      await program.stop();
      await asked.close();
    }
  });

  test('injector: names what is not set; its init container writes the rules', async () => {
    const { command, args, folder: here } = context('injector');
    const webhook = await finish('env', ['-i', command, ...args], here);
    assert.equal(webhook.code, 2);
    assert.match(webhook.stderr, /WEFT_SIDECAR_IMAGE is not set/);
    // In a network namespace that ends with the process.
    const init = await finish('unshare', ['--net', command, ...args, 'init'], here);
    assert.equal(init.code, 0, init.stderr);
    assert.match(init.stdout + init.stderr, /redirecting: outbound to 15001, inbound to 15006/);
  });
});
