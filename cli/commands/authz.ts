import { type Command, parseOptions, parseOutput, table } from '../command.ts';
import { ExitCode } from '../exit.ts';
import { Kube } from '../kube.ts';

const help = `Usage: weft authz [list] [-n <namespace>] [--kubeconfig <file>] [--output text|json]
       weft authz diff [-f <policies.yaml>] [--remove <namespace>/<name>] [--since 6h] [-n <namespace>]
                       [--kubeconfig <file>] [--output text|json]

list: every rule of every AuthorizationPolicy with its hits and the last of them. A rule without hits is shown as dead,
and since when.

diff: who of those that called in the last hours would lose or gain access, if the policies of the file were applied (in
the place of those of the same name) and those of --remove were gone. The exit status is 1 when somebody would lose
access, or may (unknown: a rule that changes looks at something that is not kept of requests, such as headers). It is for
operators of the mesh, to whom the Role weft-operator in weft-system is bound, who may list pods, namespaces and policies.`;

export const authz: Command = {
  name: 'authz',
  summary: 'hits of authorization rules, and who would lose access by a policy',
  help,
  async run(args) {
    const [verb] = args;
    // It brings the translation of the control plane and the engine of the sidecar with it.
    if (verb === 'diff') return (await import('../authz/command.ts')).runDiff(args.slice(1));
    return runList(verb === 'list' ? args.slice(1) : args);
  },
};

interface PolicyList {
  readonly items: readonly {
    readonly metadata: { readonly namespace: string; readonly name: string };
    readonly spec?: { readonly action?: string };
    readonly status?: {
      readonly rules?: readonly {
        readonly name: string;
        readonly hits: number;
        readonly since: string;
        readonly lastHitTime?: string;
      }[];
    };
  }[];
}

async function runList(args: readonly string[]): Promise<number> {
  const options = parseOptions(args, {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string', short: 'n' },
    output: { type: 'string', short: 'o' },
  });
  const format = parseOutput(options.output);
  const inside = options.namespace === undefined ? '' : `/namespaces/${encodeURIComponent(options.namespace)}`;
  const path = `/apis/weft.dev/v1alpha1${inside}/authorizationpolicies`;
  const list = await Kube.open(options.kubeconfig).get<PolicyList>(path);
  const rules = (list?.items ?? []).flatMap(({ metadata, spec, status }) =>
    (status?.rules ?? []).map(({ name, hits, since, lastHitTime }) => ({
      namespace: metadata.namespace,
      policy: metadata.name,
      action: spec?.action ?? 'ALLOW',
      rule: name,
      hits,
      lastHit: lastHitTime ?? '',
      deadSince: hits === 0 ? since : '',
    })),
  );
  if (format === 'json') console.log(JSON.stringify(rules, undefined, 2));
  else if (rules.length === 0) console.log('no rules are counted; there are no AuthorizationPolicies with rules yet');
  else {
    const rows = rules.map((one) => [
      one.namespace,
      one.policy,
      one.action,
      one.rule,
      String(one.hits),
      one.lastHit,
      one.deadSince,
    ]);
    console.log(table(['NAMESPACE', 'POLICY', 'ACTION', 'RULE', 'HITS', 'LAST HIT', 'DEAD SINCE'], rows));
  }
  return ExitCode.ok;
}
