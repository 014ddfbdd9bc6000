import { type Command, parseOptions, parseOutput, table } from '../command.ts';
import { ExitCode } from '../exit.ts';
import { Kube } from '../kube.ts';
import { readSync, type SidecarSync } from '../sync.ts';

const state = (sync: SidecarSync): string => {
  if (sync.rejected > 0) return 'REFUSED';
  return sync.pending > 0 ? 'PENDING' : 'SYNCED';
};

export const status: Command = {
  name: 'status',
  summary: 'which sidecars are connected, and whether they run the newest configuration',
  help: `Usage: weft status [--kubeconfig <file>] [--output text|json]

One line a connected sidecar, as the control plane sees it: how many resources it has acknowledged, how many are under
way, and what it refused. The exit status is 1 when a sidecar refused something or the control plane cannot be asked.

It asks every replica through the API server, as an operator of the mesh: bind the Role weft-operator in weft-system to
who is to use it.`,

  async run(args) {
    const options = parseOptions(args, { kubeconfig: { type: 'string' }, output: { type: 'string', short: 'o' } });
    const format = parseOutput(options.output);
    const sidecars = await readSync(Kube.open(options.kubeconfig));
    if (format === 'json') {
      console.log(JSON.stringify(sidecars, undefined, 2));
    } else if (sidecars.length === 0) {
      console.log('no sidecar is connected; label a namespace with weft.dev/inject=enabled and restart its pods');
    } else {
      const rows = sidecars.map((sync) => [
        sync.namespace,
        sync.pod,
        state(sync),
        String(sync.acknowledged),
        String(sync.pending),
        String(sync.rejected),
        sync.lastError,
      ]);
      console.log(table(['NAMESPACE', 'POD', 'STATE', 'LIVE', 'PENDING', 'REFUSED', 'LAST ERROR'], rows));
    }
    return sidecars.some((sync) => sync.rejected > 0) ? ExitCode.failed : ExitCode.ok;
  },
};
