/** Sidecars that have joined a control plane by xDS, in a network of their own with it: their ports are fixed. */
import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { findEnvoy } from '../../support/envoy.ts';
import { typed } from '../../support/pair-bootstrap.ts';
import { Program } from '../../support/pair-process.ts';
import type { Context } from '../context.ts';
import { report, Samples } from '../field.ts';
import { rssAnonMb } from '../measure.ts';
import { imageCommand } from '../subjects/kinds.ts';

const run = promisify(execFile);
const bench = 'idle';
const settleMs = 2_000;
const controlPlane = 'weft-control-plane.weft-system.svc';
const controlPlanePort = 15_012;
const adminPort = 15_000;
const podIp = '10.1.0.3';
const token = 'web-token';

interface Joined {
  readonly folder: string;
  /** A command line that runs inside. */
  inside(command: string, args: readonly string[]): readonly [string, readonly string[]];
  start(command: string, args: readonly string[]): Program;
  answers(url: string, pattern: RegExp): Promise<boolean>;
  stop(): Promise<void>;
}

/** A network with the pod's address, in which the control plane has its name. */
async function makeNetwork(parent: string): Promise<Joined> {
  const folder = await mkdtemp(join(parent, 'joined-'));
  const hosts = join(folder, 'hosts');
  await writeFile(hosts, `127.0.0.1 localhost ${controlPlane}\n`);
  const setUp =
    'ip link set lo up && ip address add "$1/32" dev lo && mount --bind "$2" /etc/hosts && echo made && cat';
  const args = ['--net', '--mount', 'sh', '-c', setUp, 'sh', podIp, hosts];
  // It ends with its standard input, and so with the benchmark.
  const holder = new Program('unshare', args, { stdio: 'pipe' });
  await holder.until('made', () => holder.stdout.includes('made'));
  const programs: Program[] = [];
  const inside: Joined['inside'] = (command, rest) => [
    'nsenter',
    ['--target', String(holder.pid), '--net', '--mount', command, ...rest],
  ];
  return {
    folder,
    inside,
    start(command, rest) {
      const program = new Program(...inside(command, rest));
      programs.push(program);
      return program;
    },
    async answers(url, pattern) {
      try {
        const { stdout } = await run(...inside('curl', ['--silent', '--fail', '--max-time', '2', url]));
        return pattern.test(stdout);
      } catch {
        return false;
      }
    },
    async stop() {
      for (const program of [...programs.reverse(), holder]) await program.stop();
    },
  };
}

async function startControlPlane(network: Joined, built: string): Promise<string> {
  const { folder } = network;
  const [objects, tokens, ca] = [join(folder, 'objects.yaml'), join(folder, 'tokens.yaml'), join(folder, 'ca')];
  await writeFile(objects, shopObjects);
  await writeFile(tokens, shopTokens);
  const [node, ...args] = imageCommand(built, 'control-plane');
  const flags = ['--static', objects, '--tokens', tokens, '--ca-dir', ca];
  const places = ['--xds', `127.0.0.1:${controlPlanePort}`, '--monitoring', '127.0.0.1:0'];
  const program = network.start(node, [...args, ...flags, ...places]);
  await program.until('serving', () => program.stdout.includes('"serving"'));
  return join(ca, 'ca.crt');
}

async function startWeft(network: Joined, built: string, trustFile: string): Promise<Program> {
  const { folder } = network;
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, token, { mode: 0o600 });
  const environment = {
    POD_NAME: 'web-a',
    POD_NAMESPACE: 'shop',
    POD_UID: 'uid-web-a',
    POD_IPS: podIp,
    SERVICE_ACCOUNT: 'web',
    WEFT_CONTROL_PLANE: `${controlPlane}:${controlPlanePort}`,
    WEFT_TRUST_FILE: trustFile,
    WEFT_TOKEN_FILE: tokenFile,
    WEFT_STATE_DIR: await mkdtemp(join(folder, 'state-')),
    WEFT_STATE_ON_DISK: 'true',
  };
  const pairs = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  // As in a pod: authorities that this machine's own programs are told to trust are not read in besides.
  const environmentOfPod = ['--unset=NODE_EXTRA_CA_CERTS', ...pairs];
  const program = network.start('env', [...environmentOfPod, ...imageCommand(built, 'sidecar')]);
  await program.until('ready', () => network.answers('http://127.0.0.1:15020/healthz/ready', /^/));
  return program;
}

/** Envoy asks the same control plane for the same pod; what Weft's sidecars fill in for themselves is static here. */
function envoyBootstrap({ files }: Context, trustFile: string): string {
  const ads = { ads: {}, resource_api_version: 'V3' };
  const http2 = typed('extensions.upstreams.http.v3.HttpProtocolOptions', {
    explicit_http_config: { http2_protocol_options: {} },
  });
  const address = { socket_address: { address: '127.0.0.1', port_value: controlPlanePort } };
  const tls = typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni: controlPlane,
    common_tls_context: {
      alpn_protocols: ['h2'],
      validation_context: {
        trusted_ca: { filename: trustFile },
        match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: controlPlane } }],
      },
    },
  });
  const { certificateFile, keyFile } = files.client;
  return JSON.stringify({
    node: { id: `sidecar~${podIp}~web-a.shop~cluster.local`, cluster: 'web' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: adminPort } } },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [
          {
            envoy_grpc: { cluster_name: 'control-plane' },
            initial_metadata: [{ key: 'authorization', value: `Bearer ${token}` }],
          },
        ],
      },
      lds_config: ads,
      cds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'control-plane',
          type: 'STATIC',
          typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 },
          load_assignment: {
            cluster_name: 'control-plane',
            endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
          },
          transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
        },
      ],
      secrets: [
        {
          name: 'weft.dev/identity',
          tls_certificate: { certificate_chain: { filename: certificateFile }, private_key: { filename: keyFile } },
        },
        { name: 'weft.dev/trust', validation_context: { trusted_ca: { filename: trustFile } } },
      ],
    },
  });
}

async function startEnvoy(network: Joined, context: Context, trustFile: string): Promise<Program> {
  const file = join(network.folder, 'envoy.json');
  await writeFile(file, envoyBootstrap(context, trustFile));
  const flags = ['--config-path', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning'];
  const program = network.start(await findEnvoy(), flags);
  try {
    await program.until('its listeners', () =>
      network.answers(`http://127.0.0.1:${adminPort}/listeners`, /inbound.*outbound|outbound.*inbound/s),
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${program.stderr.slice(0, 2_000)}`);
  }
  return program;
}

export async function idleJoined(context: Context): Promise<void> {
  const { options, weft, envoy, built } = context;
  const samples = new Samples([weft, envoy]);
  for (let run = 0; run < options.runs; run++) {
    const starts = [
      [weft.key, (network: Joined, trust: string) => startWeft(network, built, trust)],
      [envoy.key, (network: Joined, trust: string) => startEnvoy(network, context, trust)],
    ] as const;
    for (const [key, startOne] of starts) {
      if (samples.failure(key) !== undefined) continue;
      const network = await makeNetwork(context.folder);
      try {
        const { pid } = await startOne(network, await startControlPlane(network, built));
        await sleep(options.quick ? settleMs / 10 : settleMs);
        samples.add(key, { rss_anon_mb: rssAnonMb(pid) });
      } catch (error) {
        samples.fail(key, error);
      } finally {
        await network.stop();
      }
    }
  }
  const what = { bench, metric: 'rss_anon_mb', subject: 'weft', peer: 'envoy' };
  report(context.report, samples, [{ ...what, load: 'ready, joined by xDS', note: context.note }]);
}
