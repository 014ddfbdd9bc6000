import { CLIENT_ID } from '../../support/pair.ts';
import { type JsonObject, typed } from '../../support/pair-bootstrap.ts';
import type { Bench, Context } from '../context.ts';
import { cpuUsDuring, Field, report, Samples } from '../field.ts';
import { wrk } from '../load/wrk.ts';
import { pair } from '../subjects/contestants.ts';
import type { Contestant, Subject } from '../subjects/subject.ts';
import { warmUpSeconds } from './load.ts';

const bench = 'authz';
const rulesMany = 1_000;
const slices = 4;
const path = '/api/v1/orders/4711';

interface Rule {
  readonly spiffeId: string;
  readonly prefix: string;
}

/** The rule that lets the load in; the last in Envoy's order, which is that of the names. */
const own: Rule = { spiffeId: CLIENT_ID, prefix: '/api/v1/orders/' };

const shapes: Readonly<Record<string, (index: number) => Rule>> = {
  'distinct identities and prefixes': (index) => ({
    spiffeId: `spiffe://cluster.local/ns/team-${index}/sa/client-${index}`,
    prefix: `/api/v1/things-${index}/`,
  }),
  'the prefixes of one identity': (index) => ({ spiffeId: CLIENT_ID, prefix: `/api/v1/things-${index}/` }),
};

function allowRules(rules: readonly Rule[]): JsonObject {
  const policies = rules.map(({ spiffeId, prefix }, index) => [
    `shop/policy/${String(index).padStart(4, '0')}`,
    {
      permissions: [{ url_path: { path: { prefix } } }],
      principals: [{ authenticated: { principal_name: { exact: spiffeId } } }],
    },
  ]);
  return {
    name: 'envoy.filters.http.rbac',
    typed_config: typed('extensions.filters.http.rbac.v3.RBAC', {
      rules: { action: 'ALLOW', policies: Object.fromEntries(policies) },
    }),
  };
}

/** Requests of one identity for one path; CPU time of the sidecar that judges them. */
async function judged({ options }: Context, subject: Subject, seconds = options.seconds) {
  const [, server] = subject.programs;
  if (server === undefined) throw new Error('a pair has two programs');
  const load = { port: subject.port, path, seconds, connections: options.connections };
  const [cpu, { requests }] = await cpuUsDuring({ ...subject, programs: [server] }, () => wrk(load));
  return { cpu_us_per_request: cpu / requests };
}

async function compare(context: Context, shape: string, rule: (index: number) => Rule): Promise<void> {
  const { files, without, options } = context;
  const { port: applicationPort } = await context.http1();
  const of = (kind: 'weft' | 'envoy', count: number): Contestant => {
    const filters = [allowRules([...Array.from({ length: count - 1 }, (_, index) => rule(index)), own])];
    const setup = { files, applicationPort, wire: 'h2', application: 'h1', features: { without }, filters } as const;
    const { key, name, start } = pair(context[kind], setup, `${kind}-${count}`);
    return { key, name: `${name}, ${count === 1 ? '1 rule' : `${count} rules`}`, start };
  };
  const kinds = ['weft', 'envoy'] as const;
  const field = await Field.start(kinds.flatMap((kind) => [of(kind, 1), of(kind, rulesMany)]));
  try {
    await field.warmUp((subject) => judged(context, subject, warmUpSeconds(context)));
    // Short and many: what else the machine does is to meet all of them alike.
    const [runs, seconds] = options.quick
      ? [1, 1]
      : [options.runs * slices, Math.max(1, Math.ceil(options.seconds / slices))];
    const samples = await field.measure(runs, (subject) => judged(context, subject, seconds));
    const metric = 'cpu_us_per_request';
    const note = 'of the sidecar in front of the application';
    report(
      context.report,
      samples,
      kinds.map((kind) => ({ bench, metric, subject: `${kind}-${rulesMany}`, peer: `${kind}-1`, load: shape, note })),
    );
    reportMore(context, samples, shape);
  } finally {
    await field.stop();
  }
}

/** What all the other rules cost a request: between the runs that the machine disturbed least. */
function reportMore(context: Context, samples: Samples, shape: string): void {
  const least = (key: string): number => Math.min(...samples.values(key, 'cpu_us_per_request'));
  const more = new Samples([context.weft, context.envoy]);
  for (const kind of ['weft', 'envoy']) {
    const failure = samples.failure(`${kind}-1`) ?? samples.failure(`${kind}-${rulesMany}`);
    if (failure === undefined)
      more.add(kind, { more_us_per_request: least(`${kind}-${rulesMany}`) - least(`${kind}-1`) });
    else more.fail(kind, failure);
  }
  const note = `${rulesMany} rules less 1 rule, the least disturbed run of each`;
  report(context.report, more, [
    { bench, metric: 'more_us_per_request', subject: 'weft', peer: 'envoy', load: shape, note },
  ]);
}

export const authz: Bench = {
  what: `what ${rulesMany} rules about who may do what cost a request`,
  async run(context) {
    for (const [shape, rule] of Object.entries(shapes)) await compare(context, shape, rule);
  },
};
