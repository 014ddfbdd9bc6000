/** A server of a known capacity behind a sidecar, and clients that offer it as much as they like; on a seeded clock. */
import { SeededPrng } from '@weft/policies/kit/prng';
import { defaultClusterLimits } from '@weft/policies/model/cluster';
import type { HttpFilter } from '@weft/policies/model/listener';
import type { GradientSettings, PriorityClass, QueueSettings } from '@weft/policies/model/overload';
import {
  forwardTo,
  routes,
  type TestDownstream,
  testCluster,
  testEndpoint,
  testHcm,
  World,
} from '@weft/sidecar/filters/testing';
import { Headers } from '@weft/sidecar/http/headers';

export const WORKERS = 10;
/** Of a request, on average. */
export const SERVICE_MS = 10;
/** Requests a second. */
export const CAPACITY = (WORKERS * 1_000) / SERVICE_MS;
/** What comes later is of no use to the client, which is gone by then. */
export const PATIENCE_MS = 500;

export const gradient: GradientSettings = {
  limitMax: 1_000,
  limitMin: 3,
  updateIntervalMs: 100,
  percentile: 50,
  minRttIntervalMs: 5_000,
  minRttSamples: 50,
  minRttJitterPercent: 15,
  bufferPercent: 25,
  status: 503,
};
export const queue: QueueSettings = { lengthMax: 1_000, waitMsMax: 1_000, targetMs: 5, intervalMs: 100 };

const headerIs = (value: string): PriorityClass['matches'] => [
  {
    permissions: [
      { kind: 'header', match: { name: 'x-class', value: { kind: 'exact', value, ignoreCase: false }, invert: false } },
    ],
    principals: [{ kind: 'any' }],
  },
];
export const classes: readonly PriorityClass[] = [
  { name: 'high', matches: headerIs('high'), weight: 100 },
  { name: 'low', matches: [], weight: 10 },
];
const one: readonly PriorityClass[] = [{ name: 'default', matches: [], weight: 10 }];

export function adaptive(priorities: readonly PriorityClass[] = one, queued: QueueSettings = queue): HttpFilter[] {
  return [
    { kind: 'adaptiveConcurrency', name: 'gradient', gradient },
    {
      kind: 'admission',
      name: 'admission',
      admission: { name: 'shop/cart', fixedLimit: undefined, classes: priorities, queue: queued },
    },
  ];
}

export interface Sender {
  /** Requests a second. */
  readonly rate: number;
  readonly priority?: string;
  readonly identity?: string;
}

export interface Tally {
  sent: number;
  /** Answered well and in time. */
  good: number;
  refused: number;
}

export interface Run {
  readonly senders: readonly Tally[];
  /** Good answers a second. */
  readonly goodput: number;
  readonly perSecond: readonly number[];
  readonly world: World;
}

export interface Scene {
  readonly seed?: number;
  readonly filters: readonly HttpFilter[];
  readonly senders: readonly Sender[];
  readonly seconds: number;
  /** Counted from here on, when the limit has found its place. */
  readonly fromSecond?: number;
  /** Workers at work, by the second. */
  readonly workersAt?: (second: number) => number;
}

const unlimited = 1_000_000;

export function play(scene: Scene): Run {
  const { seed = 1, filters, senders, seconds, fromSecond = 0 } = scene;
  const world = new World(seed);
  const dice = new SeededPrng(seed + 1);
  world.source.cluster(
    testCluster('cart', {
      limits: {
        ...defaultClusterLimits,
        connectionsMax: unlimited,
        pendingRequestsMax: unlimited,
        requestsMax: unlimited,
      },
    }),
  );
  world.source.assignment('cart', [testEndpoint('10.0.0.1', 80)]);
  const freeAtMs: number[] = new Array<number>(WORKERS).fill(0);
  world.server('10.0.0.1', 80, () => {
    const nowMs = world.clock.nowMs();
    const workers = scene.workersAt?.(nowMs / 1_000) ?? WORKERS;
    let first = 0;
    for (let i = 1; i < Math.max(1, workers); i++) if ((freeAtMs[i] ?? 0) < (freeAtMs[first] ?? 0)) first = i;
    const slowness = workers === 0 ? 1_000 : 1;
    const beginMs = Math.max(nowMs, freeAtMs[first] ?? 0);
    const doneMs = beginMs + SERVICE_MS * slowness * (0.5 + dice.next());
    freeAtMs[first] = doneMs;
    return { status: 200, body: 'ok', afterMs: doneMs - nowMs };
  });
  const config = routes('r', forwardTo('cart'));
  const hcm = testHcm({ kind: 'inline', config }, { filters: [...filters, { kind: 'router' }] });
  const dispatch = world.dispatch(hcm, 'inbound');
  const tallies = senders.map((): Tally => ({ sent: 0, good: 0, refused: 0 }));
  const perSecond = new Array<number>(seconds).fill(0);
  const nextAtMs = senders.map(() => 0);
  const endMs = seconds * 1_000;
  for (;;) {
    const who = nextAtMs.indexOf(Math.min(...nextAtMs));
    const sender = senders[who];
    const tally = tallies[who];
    const atMs = nextAtMs[who] ?? endMs;
    if (sender === undefined || tally === undefined || atMs >= endMs) break;
    world.clock.advance(atMs - world.clock.nowMs());
    nextAtMs[who] = atMs + (-Math.log(1 - dice.next()) * 1_000) / sender.rate;
    const exchange = world.send(
      dispatch,
      sender.priority === undefined ? {} : { headers: Headers.from(['x-class', sender.priority]) },
      undefined,
      { remoteIp: sender.identity ?? '192.0.2.1' },
    );
    const counts = atMs >= fromSecond * 1_000;
    if (counts) tally.sent++;
    watch(world, exchange, (good, status) => {
      if (good) perSecond[Math.floor(atMs / 1_000)] = (perSecond[Math.floor(atMs / 1_000)] ?? 0) + 1;
      if (!counts) return;
      if (good) tally.good++;
      else if (status === 503) tally.refused++;
    });
  }
  world.clock.advance(PATIENCE_MS + 1);
  const good = tallies.reduce((sum, tally) => sum + tally.good, 0);
  return { senders: tallies, goodput: good / (seconds - fromSecond), perSecond, world };
}

/** Looks at it when its patience ends, and gives it up if it is not over. */
function watch(world: World, exchange: TestDownstream, done: (good: boolean, status: number) => void): void {
  world.clock.after(PATIENCE_MS, () => {
    const { status, ended } = exchange;
    if (!ended) {
      exchange.receiver?.onReset({
        source: 'downstream',
        flag: 'DC',
        status: 0,
        retry: 'no',
        detail: 'out of patience',
      });
      exchange.receiver?.onDone();
    }
    done(ended && status === 200, status);
  });
}
