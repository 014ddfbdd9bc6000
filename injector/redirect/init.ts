import { lookup } from 'node:dns/promises';
import { parseEnvironment } from './environment.ts';
import {
  applyRuleset,
  deleteTable,
  describeNetlinkError,
  isPermissionError,
  listRules,
  type NetlinkError,
} from './nftables.ts';
import { planRedirection, type RedirectionOptions, TABLE } from './plan.ts';
import type { Endpoint, Ruleset } from './ruleset.ts';

/**
 * `weft-init`, the init container that redirects a pod's connections to its sidecar, then exits.
 * Exit codes: 0 done, 1 the kernel refused, 2 wrong arguments or environment.
 */

const USAGE = `Usage: weft-init [--undo]

Redirects the TCP connections of this network namespace to the sidecar (table inet weft of nf_tables).
  --undo   removes the table
Environment: WEFT_EXCLUDE_INBOUND_PORTS, WEFT_EXCLUDE_OUTBOUND_PORTS, WEFT_EXCLUDE_OUTBOUND_CIDRS,
WEFT_API_SERVERS, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT`;

const RESOLVE_TIMEOUT_MS = 5000;

const say = (line: string): void => {
  process.stdout.write(`weft-init: ${line}\n`);
};

function fail(exitCode: number, line: string): number {
  process.stderr.write(`weft-init: ${line}\n`);
  return exitCode;
}

function explain(error: NetlinkError): string {
  if (isPermissionError(error))
    return 'not allowed to change the packet filter of this pod: the container needs uid 0 and the capability NET_ADMIN (securityContext.capabilities.add), which the Pod Security level "privileged" of the namespace permits';
  const text = describeNetlinkError(error);
  return /EOPNOTSUPP|EPROTONOSUPPORT|EAFNOSUPPORT/.test(text)
    ? `${text}; the kernel of this node lacks nf_tables with nat and inet tables (Linux 5.2 or newer, modules nf_tables, nft_redir, nft_chain_nat)`
    : text;
}

async function resolve(host: string, port: number): Promise<Endpoint[]> {
  const timeout = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`no answer in ${RESOLVE_TIMEOUT_MS} ms`)), RESOLVE_TIMEOUT_MS).unref();
  });
  try {
    const found = await Promise.race([lookup(host, { all: true }), timeout]);
    return found.map(({ address }) => ({ address, port }));
  } catch (error) {
    // The API is reachable through the sidecar too; it only loses its way around it.
    say(
      `KUBERNETES_SERVICE_HOST ${host} does not resolve (${error instanceof Error ? error.message : error}); not excluded`,
    );
    return [];
  }
}

function missingRules(ruleset: Ruleset): string[] | NetlinkError {
  const installed = listRules(ruleset.family, ruleset.table);
  if (!installed.ok) return installed.error;
  const left = installed.value.map((rule) => `${rule.chain}/${rule.name}`);
  const wanted = ruleset.chains.flatMap((chain) => chain.rules.map((rule) => `${chain.name}/${rule.name}`));
  return wanted.filter((name) => {
    const at = left.indexOf(name);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function apply(options: RedirectionOptions): number {
  const ruleset = planRedirection(options);
  const applied = applyRuleset(ruleset);
  if (!applied.ok) return fail(1, explain(applied.error));
  const missing = missingRules(ruleset);
  if (!Array.isArray(missing)) return fail(1, explain(missing));
  if (missing.length > 0) return fail(1, `the kernel lost rules after it took them: ${missing.join(', ')}`);
  const count = ruleset.chains.reduce((sum, chain) => sum + chain.rules.length, 0);
  say(
    `redirecting: outbound to ${options.outboundPort}, inbound to ${options.inboundPort} (${count} rules in table ${TABLE.family} ${TABLE.name})`,
  );
  return 0;
}

function undo(): number {
  const deleted = deleteTable(TABLE.family, TABLE.name);
  if (!deleted.ok) return fail(1, explain(deleted.error));
  say(`table ${TABLE.family} ${TABLE.name} removed`);
  return 0;
}

export async function runInit(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  if (args.length > 1 || (args.length === 1 && args[0] !== '--undo'))
    return fail(2, `unknown arguments ${args.join(' ')}\n${USAGE}`);
  if (args[0] === '--undo') return undo();
  const environment = parseEnvironment(process.env);
  if (!environment.ok) return fail(2, environment.error);
  const { options, apiServerName } = environment.value;
  const resolved = apiServerName === undefined ? [] : await resolve(apiServerName.host, apiServerName.port);
  return apply({ ...options, apiServers: [...options.apiServers, ...resolved] });
}
