/** The figures of docs/simulations.md: each is a simulation on a seeded clock, so that the same code draws the same figure. */
import { type Balancer, leastRequest, peakEwma, random, roundRobin } from '@weft/policies/model/balancer';
import type { HopOptions } from '@weft/sidecar/filters/testing-chain';
import { simulate } from '../balancing.testing.ts';
import { adaptive, CAPACITY, classes, play } from '../overload.testing.ts';
import { failing, healthy, REQUESTS_PER_SECOND, retry, Storm, wild } from '../storm.testing.ts';
import { loadOf, servers, subsetsOf } from '../subsets.testing.ts';
import type { Chart, Series } from './chart.ts';

const percentiles = [50, 75, 90, 95, 98, 99, 99.5, 99.9];

/** Percentiles in steps of nines: what is rare has as much room as what is common. */
const nines = (percentile: number): number => -Math.log10(1 - percentile / 100);

function balancing(): Chart {
  const of = (name: string, balancer: Balancer): Series => {
    const { tookMs } = simulate(balancer, 1);
    return {
      name,
      points: percentiles.map((percentile) => [
        nines(percentile),
        tookMs[Math.floor((tookMs.length * percentile) / 100)] ?? 0,
      ]),
    };
  };
  return {
    title: 'One of ten endpoints is ten times slower: how long requests take',
    shape: 'lines',
    x: {
      label: 'percentile of requests',
      ticks: percentiles.map(nines),
      words: Object.fromEntries(percentiles.map((one) => [nines(one), `p${one}`])),
    },
    y: { label: 'ms', ticks: [5, 10, 20, 50, 100, 200], scale: 'log' },
    series: [
      of('peak EWMA', peakEwma),
      of('least request', leastRequest),
      of('round robin', roundRobin),
      of('random', random),
    ],
  };
}

const offered = [0.5, 0.8, 1, 1.25, 1.5, 2, 2.5, 3];

function overload(): Chart {
  const good = (filters: ReturnType<typeof adaptive>): [number, number][] =>
    offered.map((times) => [
      times,
      play({ filters, senders: [{ rate: times * CAPACITY }], seconds: 5, fromSecond: 2 }).goodput / CAPACITY,
    ]);
  const high = offered.map((times): [number, number] => {
    const senders = [{ rate: 0.3 * CAPACITY, priority: 'high' }, { rate: Math.max(0.01, times - 0.3) * CAPACITY }];
    const [first] = play({ filters: adaptive(classes), senders, seconds: 5, fromSecond: 2 }).senders;
    return [times, first === undefined ? 0 : first.good / first.sent];
  });
  return {
    title: 'A server that is asked for more than it can do: good answers within 500 ms',
    shape: 'lines',
    x: { label: 'offered load, as a multiple of the capacity', ticks: [0.5, 1, 1.5, 2, 2.5, 3] },
    y: { label: 'share of the capacity, or of requests', ticks: [0, 0.2, 0.4, 0.6, 0.8, 1, 1.2] },
    series: [
      { name: 'goodput, adaptive concurrency', points: good(adaptive()) },
      { name: 'goodput, no policy', points: good([]) },
      { name: 'high priority answered', points: high },
    ],
  };
}

function subsets(): Chart {
  const of = (count: number): Series => {
    const all = servers(count);
    const { histogram } = loadOf(subsetsOf(count, all, 20), all);
    return {
      name: `${count.toLocaleString('en-US')} clients, as many servers`,
      points: [...histogram].sort(([a], [b]) => a - b).map(([clients, hosts]) => [clients, (100 * hosts) / count]),
    };
  };
  return {
    title: 'Subsets of 20: how many clients a server has',
    shape: 'bars',
    x: { label: 'clients of a server', ticks: [10, 15, 20, 25, 30, 35] },
    y: { label: '% of servers', ticks: [0, 20, 40, 60, 80, 100] },
    series: [of(1_000), of(50_000)],
  };
}

function storm(): Chart {
  const of = (name: string, hop: HopOptions): Series => {
    const chain = new Storm(hop);
    chain.run(10);
    chain.backend.answers = failing;
    chain.run(30);
    chain.backend.answers = healthy;
    chain.run(20);
    chain.settle();
    return { name, points: chain.seconds.map(({ asked }, second) => [second, asked / REQUESTS_PER_SECOND]) };
  };
  return {
    title: 'A chain of four with retries at every hop: the last one fails from 10 s to 40 s',
    shape: 'lines',
    x: { label: 'seconds', ticks: [0, 10, 20, 30, 40, 50, 60] },
    y: { label: 'requests at the last, as a multiple of its load', ticks: [1, 2, 4, 8, 16], scale: 'log' },
    series: [of('budgets and the word to callers', { action: { retry } }), of('neither, one retry a hop', wild)],
  };
}

/** By file, below docs/figures. */
export const figures: Readonly<Record<string, () => Chart>> = {
  'balancing.svg': balancing,
  'subsets.svg': subsets,
  'overload.svg': overload,
  'storm.svg': storm,
};
