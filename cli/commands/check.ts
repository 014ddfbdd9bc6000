import { type CheckResult, clusterChecks } from '../checks.ts';
import { type Command, parseOptions, parseOutput, shown } from '../command.ts';
import { ExitCode } from '../exit.ts';
import { Kube } from '../kube.ts';

const mark: Readonly<Record<CheckResult['state'], string>> = { ok: '√', warning: '!', failed: '×' };

export const check: Command = {
  name: 'check',
  summary: 'whether the mesh on a cluster is whole, and what to do where it is not',
  help: `Usage: weft check [--kubeconfig <file>] [--output text|json]

Looks at the API server, the CRDs, control plane, injector, webhooks, trust bundles and at pods that should have a
sidecar and have none. Each line that is not well says what to do. The exit status is 1 when a check failed.`,

  async run(args) {
    const options = parseOptions(args, { kubeconfig: { type: 'string' }, output: { type: 'string', short: 'o' } });
    const format = parseOutput(options.output);
    const kube = Kube.open(options.kubeconfig);
    const results: CheckResult[] = [];
    for await (const result of clusterChecks(kube)) {
      results.push(result);
      if (format === 'text')
        console.log(
          `${mark[result.state]} ${shown(result.name)}${result.hint === '' ? '' : `\n    ${result.hint.split('\n').map(shown).join('\n')}`}`,
        );
    }
    if (format === 'json') console.log(JSON.stringify(results, undefined, 2));
    return results.some((result) => result.state === 'failed') ? ExitCode.failed : ExitCode.ok;
  },
};
