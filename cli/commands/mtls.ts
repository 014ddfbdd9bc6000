import { type Command, parseOptions, parseOutput, table } from '../command.ts';
import { ExitCode } from '../exit.ts';
import { Kube } from '../kube.ts';
import { plaintextCallers } from '../plaintext.ts';
import { readSync, type SidecarSync } from '../sync.ts';

const PARALLEL = 16;

async function metricsOf(kube: Kube, sidecars: readonly SidecarSync[]): Promise<{ texts: string[]; silent: string[] }> {
  const texts: string[] = [];
  const silent: string[] = [];
  const left = [...sidecars];
  const worker = async (): Promise<void> => {
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      const { namespace, pod } = one;
      const text = await kube
        .text(`/api/v1/namespaces/${namespace}/pods/${pod}:15020/proxy/metrics`)
        .catch(() => undefined);
      if (text === undefined) silent.push(`${namespace}/${pod}`);
      else texts.push(text);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return { texts, silent };
}

export const mtls: Command = {
  name: 'mtls',
  summary: 'who calls workloads without mutual TLS, and would be refused by STRICT',
  help: `Usage: weft mtls [--namespace <name>] [--kubeconfig <file>] [--output text|json]

One line for each caller that a sidecar has let in without TLS of the mesh since it started. An AuthenticationPolicy with
mode STRICT would refuse all of them. OWN-TLS is TLS that the application ends itself. The exit status is 1 when a sidecar
could not be asked: the list says nothing of its callers then.`,

  async run(args) {
    const options = parseOptions(args, {
      kubeconfig: { type: 'string' },
      namespace: { type: 'string', short: 'n' },
      output: { type: 'string', short: 'o' },
    });
    const format = parseOutput(options.output);
    const kube = Kube.open(options.kubeconfig);
    const all = (await readSync(kube)).filter(({ agent }) => !agent);
    const { namespace } = options;
    const sidecars = namespace === undefined ? all : all.filter((one) => one.namespace === namespace);
    const { texts, silent } = await metricsOf(kube, sidecars);
    const callers = plaintextCallers(texts);
    if (format === 'json') console.log(JSON.stringify({ callers, silent: silent.sort() }, undefined, 2));
    else {
      const rows = callers.map((one) => [
        one.destination,
        String(one.port),
        one.source,
        one.kind.toUpperCase(),
        String(one.connections),
      ]);
      if (rows.length > 0) console.log(table(['WORKLOAD', 'PORT', 'CALLER', 'KIND', 'CONNECTIONS'], rows));
      else console.log(`no caller of ${texts.length} sidecars does without mutual TLS`);
      for (const pod of silent.sort()) console.log(`${pod} could not be asked`);
    }
    return silent.length > 0 ? ExitCode.failed : ExitCode.ok;
  },
};
