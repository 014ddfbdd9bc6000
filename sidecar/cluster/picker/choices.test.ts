/** What balancers do over time, on a clock that is told when. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { type Balancer, leastRequest, peakEwma, roundRobin } from '@weft/policies/model/balancer';
import { createPicker, type Picker } from './picker.ts';
import { clientNumber, SubsetChooser } from './subset.ts';
import { FakeHost, fakeHosts } from './testing.ts';
import { ZoneAwarePicker } from './zone-aware.ts';

function shares(picker: Picker<FakeHost>, hosts: readonly FakeHost[], rounds: number): number[] {
  for (const host of hosts) host.picks = 0;
  for (let i = 0; i < rounds; i++) {
    const picked = picker.pick(undefined, 0);
    assert.ok(picked);
    picked.picks++;
  }
  return hosts.map(({ picks }) => picks / rounds);
}

const near = (actual: number | undefined, expected: number, by = 0.02): void =>
  assert.ok(actual !== undefined && Math.abs(actual - expected) < by, `${actual} is not about ${expected}`);

describe('peak EWMA', () => {
  test('a new endpoint gets one request, and more when it has answered', () => {
    const hosts = fakeHosts([1, 1, 1], peakEwma);
    const [fresh, ...others] = hosts;
    assert.ok(fresh);
    for (const { latency } of others) latency?.observe(0, 10, false);
    const picker = createPicker<FakeHost>(peakEwma, { prng: new SeededPrng(1), clock: new ManualClock() });
    picker.update(hosts);
    for (let i = 0; i < 200; i++) {
      const picked = picker.pick(undefined, 0);
      if (picked === fresh) fresh.active = 1;
    }
    assert.equal(fresh.active, 1);
    near(shares(picker, hosts, 1_000)[0], 0);
    fresh.active = 0;
    fresh.latency?.observe(0, 10, false);
    near(shares(picker, hosts, 4_000)[0], 1 / 3, 0.03);
  });

  test('one that was slow is tried again once its peak has faded', () => {
    const clock = new ManualClock();
    const hosts = fakeHosts([1, 1], peakEwma);
    hosts[0]?.latency?.observe(0, 1_000, false);
    hosts[1]?.latency?.observe(0, 10, false);
    const picker = createPicker<FakeHost>(peakEwma, { prng: new SeededPrng(1), clock });
    picker.update(hosts);
    assert.equal(shares(picker, hosts, 100)[0], 0);
    clock.advance(50_000);
    hosts[1]?.latency?.observe(50_000, 10, false);
    assert.ok((shares(picker, hosts, 100)[0] ?? 0) > 0);
  });
});

describe('slow start', () => {
  const slowStart = { windowMs: 10_000, aggression: 1, weightPercentMin: 10 };
  const balancers: readonly Balancer[] = [
    { ...roundRobin, slowStart },
    { ...leastRequest, slowStart },
  ];
  for (const balancer of balancers) {
    test(`${balancer.kind}: the share of a new endpoint grows to that of the others`, () => {
      const clock = new ManualClock();
      const hosts = fakeHosts([1, 1, 1, 1]);
      const [fresh] = hosts;
      assert.ok(fresh);
      fresh.sinceMs = 0;
      const picker = createPicker<FakeHost>(balancer, { prng: new SeededPrng(1), clock });
      picker.update(hosts);
      near(shares(picker, hosts, 4_000)[0], 0.1 / 3.1);
      clock.advance(5_000);
      near(shares(picker, hosts, 4_000)[0], 0.5 / 3.5);
      clock.advance(5_000);
      near(shares(picker, hosts, 4_000)[0], 0.25, 0.03);
    });
  }

  test('when all are new, nobody gets less', () => {
    const hosts = fakeHosts([1, 1, 1, 1]);
    for (const host of hosts) host.sinceMs = 0;
    const balancer = { ...leastRequest, slowStart };
    const picker = createPicker<FakeHost>(balancer, { prng: new SeededPrng(1), clock: new ManualClock() });
    picker.update(hosts);
    for (const share of shares(picker, hosts, 4_000)) near(share, 0.25, 0.03);
  });

  test('aggression bends the ramp as in Envoy', () => {
    const clock = new ManualClock();
    const hosts = fakeHosts([1, 1]);
    const [fresh] = hosts;
    assert.ok(fresh);
    fresh.sinceMs = 0;
    const balancer = { ...roundRobin, slowStart: { ...slowStart, aggression: 2 } };
    const picker = createPicker<FakeHost>(balancer, { prng: new SeededPrng(1), clock });
    picker.update(hosts);
    clock.advance(2_500);
    // (1 / 4) ^ (1 / 2) = 1 / 2.
    near(shares(picker, hosts, 3_000)[0], 0.5 / 1.5);
  });
});

test('reported load: twice the capacity is twice the turns; who says nothing gets the mean', () => {
  const balancer: Balancer = {
    kind: 'load-reported',
    blackoutMs: 0,
    expirationMs: 0,
    updateMs: 1_000,
    errorPenalty: 1,
  };
  const clock = new ManualClock();
  const hosts = fakeHosts([1, 1, 1], balancer);
  const picker = createPicker<FakeHost>(balancer, { prng: new SeededPrng(1), clock });
  picker.update(hosts);
  for (const [i, rate] of [100, 200].entries()) {
    hosts[i]?.reportedLoad?.observe({ cpuUtilization: 0.5, applicationUtilization: 0, rate, errors: 0 }, 0);
  }
  for (const share of shares(picker, hosts, 3_000)) near(share, 1 / 3);
  clock.advance(1_000);
  const [light, heavy, silent] = shares(picker, hosts, 9_000);
  near(light, 200 / 900);
  near(heavy, 400 / 900);
  near(silent, 300 / 900);
});

describe('zones', () => {
  const zoned = (...zones: readonly string[]): FakeHost[] =>
    zones.map((zone, i) => new FakeHost(`10.0.0.${i}:80`, 1, undefined, zone));
  const pickerIn = (zone: string, endpointsMin = 1, enabledPercent = 100): ZoneAwarePicker<FakeHost> => {
    const ports = { prng: new SeededPrng(1), clock: new ManualClock() };
    const settings = { enabledPercent, endpointsMin };
    return new ZoneAwarePicker(
      settings,
      ports.prng,
      () => zone,
      () => createPicker<FakeHost>(roundRobin, ports),
    );
  };

  test('a zone with its share keeps its traffic, one with less lets go of what it lacks', () => {
    const hosts = zoned('a', 'b', 'b', 'b', 'b', 'c');
    const inB = pickerIn('b');
    inB.update(hosts);
    assert.deepEqual(shares(inB, hosts, 400), [0, 0.25, 0.25, 0.25, 0.25, 0]);
    const inA = pickerIn('a');
    inA.update(hosts);
    // Half of its fair share of two; only b has more than that.
    const [own, ...others] = shares(inA, hosts, 8_000);
    near(own, 0.5);
    for (const share of others.slice(0, 4)) near(share, 0.125);
    assert.equal(others[4], 0);
  });

  test('zones do not count with too few endpoints, in one zone, without an own endpoint, or where switched off', () => {
    const hosts = zoned('a', 'b', 'b', 'b');
    for (const picker of [pickerIn('b', 5), pickerIn(''), pickerIn('z'), pickerIn('b', 1, 0)]) {
      picker.update(hosts);
      near(shares(picker, hosts, 400)[0], 0.25);
    }
    const same = zoned('b', 'b');
    const picker = pickerIn('b');
    picker.update(same);
    near(shares(picker, same, 400)[0], 0.5);
  });

  test('a retry finds an endpoint of another zone where the own one has no other', () => {
    const hosts = zoned('a', 'b');
    const picker = pickerIn('a');
    picker.update(hosts);
    assert.equal(picker.pick(undefined, 0), hosts[0]);
    const others = new Set(Array.from({ length: 4 }, () => picker.pick(undefined, 2)));
    assert.equal(others.size, 2);
  });
});

describe('subsets', () => {
  const servers = (count: number): FakeHost[] => fakeHosts(Array.from({ length: count }, () => 1));
  const membersOf = (client: number, hosts: readonly FakeHost[], size = 20): readonly FakeHost[] =>
    new SubsetChooser(size, client).choose(hosts, hosts.length);

  test('about the number of lots there is no to and fro', () => {
    const chooser = new SubsetChooser(10, 7);
    const hosts = servers(400);
    const first = chooser.choose(hosts, 300);
    for (const total of [280, 320, 290, 340, 270, 300]) assert.deepEqual(chooser.choose(hosts, total), first);
  });

  test('few servers are all used, and at least half a subset whatever fails', () => {
    const hosts = servers(12);
    assert.equal(membersOf(5, hosts, 20).length, 12);
    for (let client = 0; client < 64; client++) {
      const usable = servers(640).slice(0, 30);
      assert.ok(new SubsetChooser(20, client).choose(usable, 640).length >= 10);
    }
  });

  test('clients with neighbouring addresses have neighbouring numbers', () => {
    assert.equal(clientNumber('10.244.1.8') - clientNumber('10.244.1.7'), 1);
    assert.equal(clientNumber('255.255.255.255'), 0xffff_ffff);
    assert.notEqual(clientNumber('fd00::1'), clientNumber('fd00::2'));
  });
});
