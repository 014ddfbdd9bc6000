import type { RequestRecord } from '../telemetry/record.ts';
import { escapeLabel } from '../telemetry/series.ts';
import { templateOf, withoutQuery } from './paths.ts';

/** What a rule did with a request. */
export type RuleAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

export interface RuleHits {
  readonly rule: string;
  readonly hits: number;
}

export interface FlowCount {
  readonly identity: string;
  readonly ip: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly example: string;
  readonly port: number;
  readonly denied: boolean;
  count: number;
}

/** What came to pass since it was last asked for. */
export interface DecisionReport {
  readonly hits: readonly RuleHits[];
  readonly flows: readonly FlowCount[];
  readonly lost: number;
}

const RULES_MAX = 2_048;
const FLOWS_MAX = 4_096;
/** Of one caller to one host: so many paths are kept as they are, so many more by their template. */
const EXACT_MAX = 48;
const TEMPLATES_MAX = 48;
const PATH_CHARS_MAX = 256;
/** Stands for all paths that there was no room for. */
export const ANY_PATH = '*';

interface Hits {
  readonly action: RuleAction;
  total: number;
  told: number;
}

/** Decisions of one data thread: how often rules were met, and a summary of who asked for what. */
export class DecisionBook {
  /** Somebody asks for summaries: of a proxy without a mesh nobody does. */
  keepsFlows = false;
  private readonly rules = new Map<string, Hits>();
  private flows = new Map<string, FlowCount>();
  private paths = new Map<string, number>();
  private lost = 0;
  private readonly count: (event: string) => void;

  constructor(count: (event: string) => void) {
    this.count = count;
  }

  hit(rule: string, action: RuleAction): void {
    const known = this.rules.get(rule);
    if (known !== undefined) {
      known.total++;
      return;
    }
    if (this.rules.size >= RULES_MAX) this.count('authorization.rules_max');
    else this.rules.set(rule, { action, total: 1, told: 0 });
  }

  /** Of a finished request or connection that came in. */
  observe(record: RequestRecord): void {
    const denied = record.flag === 'UAEX';
    if (record.protocol === 'tcp' && record.rule !== '') this.hit(record.rule, denied ? 'DENY' : 'ALLOW');
    if (!this.keepsFlows) return;
    const { sourceIdentity: identity, method, authority } = record;
    const ip = identity === '' ? record.remote.slice(0, record.remote.lastIndexOf(':')) : '';
    const group = `${identity}${ip}\n${record.destination}\n${method}\n${authority}\n${denied ? 1 : 0}\n`;
    const exact = record.protocol === 'tcp' ? '' : withoutQuery(record.path);
    const known = this.flows.get(group + exact);
    if (known === undefined) this.add(group, exact, { identity, ip, denied }, record);
    else known.count++;
  }

  /** What is taken is not told again. */
  take(): DecisionReport {
    const hits: RuleHits[] = [];
    for (const [rule, known] of this.rules) {
      if (known.total > known.told) hits.push({ rule, hits: known.total - known.told });
      known.told = known.total;
    }
    const flows = [...this.flows.values()];
    const { lost } = this;
    if (flows.length > 0) {
      this.flows = new Map();
      this.paths = new Map();
    }
    this.lost = 0;
    return { hits, flows, lost };
  }

  /** In the text format of Prometheus. */
  render(): string {
    if (this.rules.size === 0) return '';
    const name = 'weft_authorization_decisions_total';
    const rows = [...this.rules].map(([rule, { action, total }]) => {
      const cut = rule.lastIndexOf('/');
      const [policy, own] = cut < 0 ? ['', rule] : [rule.slice(0, cut), rule.slice(cut + 1)];
      return `${name}{policy="${escapeLabel(policy)}",rule="${escapeLabel(own)}",action="${action}"} ${total}`;
    });
    return `# HELP ${name} Requests and connections by the rule that they met.\n# TYPE ${name} counter\n${rows.join('\n')}\n`;
  }

  private add(
    group: string,
    exact: string,
    caller: Pick<FlowCount, 'identity' | 'ip' | 'denied'>,
    record: RequestRecord,
  ): void {
    const paths = this.paths.get(group) ?? 0;
    let path = exact;
    if (paths >= EXACT_MAX || exact.length > PATH_CHARS_MAX) path = templateOf(exact).slice(0, PATH_CHARS_MAX);
    if (paths >= EXACT_MAX + TEMPLATES_MAX) path = ANY_PATH;
    const known = path === exact ? undefined : this.flows.get(group + path);
    if (known !== undefined) {
      known.count++;
      return;
    }
    if (this.flows.size >= FLOWS_MAX) {
      this.lost++;
      return;
    }
    this.paths.set(group, paths + 1);
    this.flows.set(group + path, {
      ...caller,
      method: record.method.slice(0, 32),
      host: record.authority.slice(0, 256),
      path,
      example: path === exact ? '' : exact.slice(0, PATH_CHARS_MAX),
      port: Number(record.destination.slice(record.destination.lastIndexOf(':') + 1)),
      count: 1,
    });
  }
}
