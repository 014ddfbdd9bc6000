import { err, ok, type Result } from '@weft/policies/kit/result';
import { parseCidrList, parsePortList } from '../redirect/options.ts';
import { ANNOTATION_PREFIX, PROBES_ANNOTATION, STATUS_ANNOTATION } from './names.ts';

/** What users set for one pod by annotations `proxy.weft.dev/...`. Parsed strictly: a typo that goes unnoticed costs more than a refusal. */

export interface Overrides {
  readonly cpuRequest: string;
  readonly cpuLimit: string | undefined;
  readonly memoryRequest: string;
  readonly memoryLimit: string | undefined;
  /** Lists in the form that `weft-init` reads, empty for none. */
  readonly excludeInboundPorts: string;
  readonly excludeOutboundPorts: string;
  readonly excludeOutboundCidrs: string;
  readonly opaquePorts: string;
  /** Data threads of the sidecar; undefined: as the mesh says. */
  readonly concurrency: string | undefined;
  /** Whether programs of the pod may ask the sidecar for their identity. */
  readonly workloadApi: boolean;
}

type Parser = (text: string) => Result<string, string>;

/** A Kubernetes quantity above zero (API reference, "Quantity"): of CPU in cores or milli, of memory in bytes. */
const quantity =
  (pattern: RegExp, example: string): Parser =>
  (text) =>
    pattern.test(text) && /[1-9]/.test(text) ? ok(text) : err(`"${text}" is not a quantity such as ${example}`);

const cpu = quantity(/^[0-9]{1,9}(m|\.[0-9]{1,3})?$/, '100m or 0.5');
const memory = quantity(/^[0-9]{1,15}(\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$/, '64Mi');
const list =
  <T>(parse: (text: string) => Result<readonly T[], string>): Parser =>
  (text) => {
    const parsed = parse(text);
    return parsed.ok ? ok([...new Set(parsed.value)].join(',')) : parsed;
  };

/** The sidecar takes no more. */
const CONCURRENCY_MAX = 64;
const concurrency: Parser = (text) =>
  /^[1-9][0-9]?$/.test(text) && Number(text) <= CONCURRENCY_MAX
    ? ok(text)
    : err(`"${text}" is not a whole number from 1 to ${CONCURRENCY_MAX}`);

/** The control plane reads it; what is written wrongly is to be seen here. */
const TRUSTED_HOPS_MAX = 16;
const trustedHops: Parser = (text) =>
  /^[0-9]{1,2}$/.test(text) && Number(text) <= TRUSTED_HOPS_MAX
    ? ok(text)
    : err(`"${text}" is not a whole number from 0 to ${TRUSTED_HOPS_MAX}`);

const enabling: Parser = (text) =>
  text === 'enabled' || text === 'disabled' ? ok(text) : err(`"${text}" must be enabled or disabled`);

const PARSERS: Readonly<Record<string, Parser>> = {
  cpu,
  'cpu-limit': cpu,
  memory,
  'memory-limit': memory,
  'exclude-inbound-ports': list(parsePortList),
  'exclude-outbound-ports': list(parsePortList),
  'exclude-outbound-cidrs': list(parseCidrList),
  'opaque-ports': list(parsePortList),
  'trusted-hops': trustedHops,
  concurrency,
  'workload-api': enabling,
};

const WRITTEN_BY_US: ReadonlySet<string> = new Set([STATUS_ANNOTATION, PROBES_ANNOTATION]);

export function parseOverrides(annotations: Readonly<Record<string, string>>): Result<Overrides, string> {
  const values: Record<string, string> = {};
  for (const [key, text] of Object.entries(annotations)) {
    if (!key.startsWith(ANNOTATION_PREFIX) || WRITTEN_BY_US.has(key)) continue;
    const name = key.slice(ANNOTATION_PREFIX.length);
    const parse = Object.hasOwn(PARSERS, name) ? PARSERS[name] : undefined;
    if (parse === undefined)
      return err(
        `annotation ${key} is not known; known are ${Object.keys(PARSERS)
          .map((each) => ANNOTATION_PREFIX + each)
          .join(', ')}`,
      );
    const parsed = parse(text.trim());
    if (!parsed.ok) return err(`annotation ${key}: ${parsed.error}`);
    values[name] = parsed.value;
  }
  return ok({
    cpuRequest: values['cpu'] ?? '50m',
    cpuLimit: values['cpu-limit'],
    memoryRequest: values['memory'] ?? '64Mi',
    memoryLimit: values['memory-limit'],
    excludeInboundPorts: values['exclude-inbound-ports'] ?? '',
    excludeOutboundPorts: values['exclude-outbound-ports'] ?? '',
    excludeOutboundCidrs: values['exclude-outbound-cidrs'] ?? '',
    opaquePorts: values['opaque-ports'] ?? '',
    concurrency: values['concurrency'],
    workloadApi: values['workload-api'] === 'enabled',
  });
}
