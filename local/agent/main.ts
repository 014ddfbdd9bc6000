import { parseArgs } from 'node:util';
import { createKubeClient } from '../client/client.ts';
import { readKubeconfig } from '../client/kubeconfig.ts';
import { meshNames } from '../node/names.ts';
import { type Agent, startAgent } from './agent.ts';
import { startNodeServices } from './node-services.ts';
import type { AgentSettings } from './settings.ts';

const HELP = `The node agent: runs the pods of a Kubernetes API that are bound to this node, as processes of this machine.
It must run as root inside the mesh's node namespace.

  --kubeconfig <file>     how to reach the API
  --mesh <name>           name of the mesh (default "weft")
  --slot <0..15>          the mesh's slot, from which addresses and names follow
  --project <folder>      this project's folder, seen read-only by containers
  --logs <folder>         where container logs go
  --images <file>         the user's image table
  --cluster-domain <name> default "cluster.local"
  --resolver <socket>     Unix socket of the resolver for names outside the cluster
  --zone <name>           value of the node's topology.kubernetes.io/zone (default "local")
  --exit-with-stdin       stop everything when standard input ends (the starter has gone)
`;

function fail(message: string): never {
  process.stderr.write(`weft agent: ${message}\n`);
  process.exit(2);
}

const ERROR_REPEAT_MS = 10_000;

/** Errors come in floods while the API is away: the same one is written once in ten seconds. */
function errorPrinter(): (message: string) => void {
  const last = new Map<string, number>();
  return (message) => {
    const now = performance.now();
    if (now - (last.get(message) ?? Number.NEGATIVE_INFINITY) < ERROR_REPEAT_MS) return;
    if (last.size > 256) last.clear();
    last.set(message, now);
    process.stderr.write(`${new Date().toISOString()} agent: ${message}\n`);
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kubeconfig: { type: 'string' },
      mesh: { type: 'string', default: 'weft' },
      slot: { type: 'string', default: '0' },
      project: { type: 'string' },
      logs: { type: 'string' },
      images: { type: 'string', default: '.weft/images.json' },
      'cluster-domain': { type: 'string', default: 'cluster.local' },
      resolver: { type: 'string' },
      zone: { type: 'string', default: 'local' },
      'exit-with-stdin': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  if (values.kubeconfig === undefined || values.project === undefined || values.logs === undefined) {
    fail('--kubeconfig, --project and --logs are needed; see --help');
  }
  const named = meshNames(values.mesh, Number(values.slot));
  if (!named.ok) fail(named.message);
  const read = readKubeconfig(values.kubeconfig);
  if (!read.ok) fail(`${values.kubeconfig}: ${read.message}`);
  const settings: AgentSettings = {
    names: named.names,
    clusterDomain: values['cluster-domain'],
    projectRoot: values.project,
    logsRoot: values.logs,
    imagesFile: values.images,
    resolverSocket: values.resolver,
    zone: values.zone,
  };
  const client = createKubeClient(read.connection, 'weft-node-agent');
  const onError = errorPrinter();
  const starting = startAgent(client, settings, onError, (sources) => startNodeServices(settings, sources, onError));
  let agent: Agent | undefined;
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    // Before the first pod runs there is nothing to undo that the next start would not.
    if (agent === undefined) process.exit(0);
    void agent.close().then(
      () => process.exit(0),
      (error: unknown) => fail(String(error)),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (values['exit-with-stdin']) {
    process.stdin.resume();
    process.stdin.on('end', stop);
    process.stdin.on('error', stop);
  }
  agent = await starting;
  process.stdout.write('ready\n');
}

await main();
