import { once } from 'node:events';
import { join, relative } from 'node:path';
import { createKubeClient } from '@weft/local/client/client';
import { parseKubeconfig } from '@weft/local/client/kubeconfig';
import { Installer, manifestFiles, readManifests } from '@weft/local/install';
import { type RunningMesh, UpError, upMesh } from '@weft/local/up';
import { type Command, parseOptions } from '../command.ts';
import { ExitCode, UsageError } from '../exit.ts';
import { projectRoot } from '../program.ts';

const AVAILABLE_TIMEOUT_MS = 60_000;

export const up: Command = {
  name: 'up',
  summary: 'run the whole mesh on this machine, without Kubernetes',
  help: `Usage: weft up [--demo] [--mesh <name>] [--port <port>]

Starts an embedded Kubernetes API, a node that runs pods as processes in network namespaces, and in it the mesh: control
plane and injector. Stays in the foreground; Ctrl-C ends it and leaves nothing behind. Needs Linux, root and iproute2.

      --demo          also run the demo shop (namespace shop) and its load generator (namespace load)
      --mesh <name>   name of this mesh, default weft; up to 16 run side by side
      --port <port>   port of the API on 127.0.0.1, default: the last one if free, else any

Writes .weft/kubeconfig in the current folder; state is kept in .weft/<name>.`,

  async run(args) {
    const options = parseOptions(args, {
      demo: { type: 'boolean', default: false },
      mesh: { type: 'string', default: 'weft' },
      port: { type: 'string', default: '0' },
    });
    const apiPort = Number(options.port);
    if (!Number.isInteger(apiPort) || apiPort < 0 || apiPort > 65_535)
      throw new UsageError(`--port is "${options.port}"`);
    const startedMs = performance.now();
    const step = (text: string): void => {
      console.log(`${((performance.now() - startedMs) / 1_000).toFixed(1).padStart(5)} s  ${text}`);
    };
    const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM'), once(process, 'SIGHUP')]);
    let mesh: RunningMesh;
    try {
      mesh = await upMesh({
        mesh: options.mesh,
        apiPort,
        onStep: step,
        onError: (message) => console.error(`weft: ${message}`),
      });
    } catch (error) {
      if (!(error instanceof UpError)) throw error;
      console.error(`weft: ${error.message}`);
      return ExitCode.unavailable;
    }
    try {
      const installed = install(mesh, options.demo, step).then(() => 'installed' as const);
      const first = await Promise.race([installed, interrupted, mesh.failed]);
      if (first !== 'installed') return typeof first === 'string' ? failed(first) : ExitCode.ok;
      sayNext(mesh, options.demo);
      const ended = await Promise.race([interrupted, mesh.failed]);
      return typeof ended === 'string' ? failed(ended) : ExitCode.ok;
    } finally {
      console.log('stopping');
      await mesh.close();
    }
  },
};

function failed(reason: string): number {
  console.error(`weft: ${reason}`);
  return ExitCode.failed;
}

async function install(mesh: RunningMesh, demo: boolean, step: (text: string) => void): Promise<void> {
  const connection = parseKubeconfig(mesh.adminKubeconfig);
  if (!connection.ok) throw new Error(connection.message);
  const client = createKubeClient(connection.connection, 'weft-up');
  try {
    const installer = new Installer(client);
    step(demo ? 'mesh and demo' : 'mesh');
    for (const file of manifestFiles(projectRoot, demo)) await installer.apply(readManifests(file));
    const namespaces = ['weft-system', ...(demo ? ['shop', 'load'] : [])];
    const waiting = await installer.available(namespaces, AVAILABLE_TIMEOUT_MS);
    if (waiting.length > 0) {
      throw new Error(
        `not available after ${AVAILABLE_TIMEOUT_MS / 1_000} s: ${waiting.join(', ')}; logs are in ${mesh.logsDir}`,
      );
    }
    step('all pods are ready');
  } finally {
    client.close();
  }
}

function sayNext(mesh: RunningMesh, demo: boolean): void {
  const kubeconfig = relative(process.cwd(), mesh.kubeconfigPath);
  const lines = [
    '',
    `The mesh is up. API: https://127.0.0.1:${mesh.apiPort}, kubeconfig: ${kubeconfig}`,
    `Pods reach this machine at ${mesh.names.hostIps.join(' and ')}.`,
    '',
    'Next, in another terminal:',
    `  export KUBECONFIG=${join(process.cwd(), kubeconfig)}`,
    '  kubectl get pods -A',
  ];
  if (demo) {
    lines.push(
      '  kubectl label namespace shop weft.dev/inject=enabled      # turn the mesh on',
      '  kubectl rollout restart deployment -n shop',
      '  kubectl logs -n load deployment/load -f                   # watch: no request fails',
      '  npx weft status                                           # every sidecar and its configuration',
    );
  } else {
    lines.push('  kubectl label namespace default weft.dev/inject=enabled');
  }
  lines.push('', 'Ctrl-C ends it.');
  console.log(lines.join('\n'));
}
