import type { DecisionReport, FlowReport, RuleReport } from '@weft/policies/model/decision-report';
import type { RequestRecord } from '../telemetry/record.ts';
import { escapeLabel } from '../telemetry/series.ts';
import { templateOf, withoutQuery } from './paths.ts';

/** What a rule did with a request. */
export type RuleAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

/** Counts on until it is told. */
interface FlowCount extends FlowReport {
  count: number;
}

const RULES_MAX = 2_048;
const FLOWS_MAX = 4_096;
/** Of one caller to one host: so many paths are kept as they are, so many more by their template. */
const EXACT_MAX = 48;
const TEMPLATES_MAX = 48;
const PATH_CHARS_MAX = 256;
const HOST_CHARS_MAX = 256;
const METHOD_CHARS_MAX = 32;
/** Stands for all paths that there was no room for. */
export const ANY_PATH = '*';

const OPENING_BRACKET = 0x5b;

interface Hits {
  readonly action: RuleAction;
  total: number;
  told: number;
}

/** Requests of one caller to one host by one method. Maps in maps, since one key of all of it would be made for each request. */
class FlowGroup {
  readonly allowed = new Map<string, FlowCount>();
  readonly denied = new Map<string, FlowCount>();
}

type ByMethod = Map<string, FlowGroup>;
type ByHost = Map<string, ByMethod>;
type ByDestination = Map<string, ByHost>;

function inner<K, V extends object>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

const newMap = <K, V>(): Map<K, V> => new Map<K, V>();
const newGroup = (): FlowGroup => new FlowGroup();

/** Decisions of one data thread: how often rules were met, and a summary of who asked for what. */
export class DecisionBook {
  /** Somebody asks for summaries: of a proxy without a mesh nobody does. */
  keepsFlows = false;
  private readonly rules = new Map<string, Hits>();
  private callers = new Map<string, ByDestination>();
  private flows: FlowCount[] = [];
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
    const denied = record.flag === 'UAEX' || isKeptOut(record);
    if (record.protocol === 'tcp' && record.rule !== '')
      this.hit(record.rule, record.flag === 'UAEX' ? 'DENY' : 'ALLOW');
    if (!this.keepsFlows) return;
    const path = record.protocol === 'tcp' ? '' : withoutQuery(record.path);
    const group = this.groupOf(record);
    const known = (denied ? group?.denied : group?.allowed)?.get(path);
    if (known === undefined) this.add(record, path, denied);
    else known.count++;
  }

  /** What is taken is not told again. */
  take(): DecisionReport {
    const hits: RuleReport[] = [];
    for (const [rule, known] of this.rules) {
      if (known.total > known.told) hits.push({ rule, hits: known.total - known.told });
      known.told = known.total;
    }
    const { flows, lost } = this;
    if (flows.length > 0) {
      this.flows = [];
      this.callers = new Map();
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

  private groupOf(record: RequestRecord): FlowGroup | undefined {
    const caller = record.sourceIdentity === '' ? ipOf(record) : record.sourceIdentity;
    return this.callers.get(caller)?.get(record.destination)?.get(record.authority)?.get(record.method);
  }

  private add(record: RequestRecord, exact: string, denied: boolean): void {
    const identity = record.sourceIdentity;
    const ip = identity === '' ? ipOf(record) : '';
    const group = this.groupOf(record);
    const before = denied ? group?.denied : group?.allowed;
    const paths = before?.size ?? 0;
    let path = exact;
    if (paths >= EXACT_MAX || exact.length > PATH_CHARS_MAX) path = templateOf(exact).slice(0, PATH_CHARS_MAX);
    if (paths >= EXACT_MAX + TEMPLATES_MAX && before?.has(path) !== true) path = ANY_PATH;
    const known = before?.get(path);
    if (known !== undefined) {
      known.count++;
      return;
    }
    if (this.flows.length >= FLOWS_MAX) {
      this.lost++;
      return;
    }
    const { destination, authority, method } = record;
    const byHost = inner(
      inner(this.callers, identity + ip, newMap<string, ByHost>),
      destination,
      newMap<string, ByMethod>,
    );
    const made = inner(inner(byHost, authority, newMap<string, FlowGroup>), method, newGroup);
    const flow: FlowCount = {
      identity,
      ip,
      denied,
      method: method.slice(0, METHOD_CHARS_MAX),
      host: authority.slice(0, HOST_CHARS_MAX),
      path,
      example: path === exact ? '' : exact.slice(0, PATH_CHARS_MAX),
      port: Number(destination.slice(destination.lastIndexOf(':') + 1)),
      count: 1,
    };
    (denied ? made.denied : made.allowed).set(path, flow);
    this.flows.push(flow);
  }
}

/** An IPv6 address stands in brackets before its port. */
function ipOf({ remote }: RequestRecord): string {
  const end = remote.lastIndexOf(':');
  return remote.charCodeAt(0) === OPENING_BRACKET ? remote.slice(1, end - 1) : remote.slice(0, end);
}

/** No filter chain takes the connection, or its handshake failed: under STRICT, that of a caller without a certificate. */
const isKeptOut = ({ protocol, flag }: RequestRecord): boolean =>
  protocol === 'tcp' && (flag === 'NR' || flag === 'DPE');
