import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import fc from 'fast-check';
import { Headers } from '../../http/headers.ts';
import { LoadReportedPicker } from '../picker/load-reported.ts';
import { emptyReport, parseBinaryReport, parseReport } from './orca.ts';
import { PeakLatency } from './peak-latency.ts';
import { ReportedLoad } from './reported-load.ts';

describe('peak latency', () => {
  test('a peak counts at once, and is forgotten by a third over one span of decay', () => {
    const latency = new PeakLatency(10_000);
    assert.equal(latency.known, false);
    latency.observe(0, 10, false);
    latency.observe(1, 200, false);
    assert.equal(latency.at(1), 200);
    assert.ok(Math.abs(latency.at(10_001) - 200 / Math.E) < 0.01);
    latency.observe(10_001, 10, false);
    assert.ok(latency.at(10_001) > 70 && latency.at(10_001) < 90, `${latency.at(10_001)}`);
  });

  test('failing fast is worse than being slow, more so each time, up to a bound', () => {
    const latency = new PeakLatency(10_000);
    latency.observe(0, 10, false);
    latency.observe(1, 1, true);
    assert.equal(latency.at(1), 50);
    latency.observe(2, -1, true);
    assert.equal(latency.at(2), 200);
    for (let i = 3; i < 20; i++) latency.observe(i, 1, true);
    assert.equal(latency.at(19), 30_000);
  });

  test('a success of which nobody knows how long it took says nothing', () => {
    const latency = new PeakLatency(10_000);
    latency.observe(0, -1, false);
    assert.equal(latency.known, false);
  });
});

const report = emptyReport();

/** Fields 1 (cpu), 6 (rate), 7 (errors) as doubles, then field 8 as a map entry that is passed over. */
function binary(): string {
  const bytes = Buffer.alloc(27 + 4);
  for (const [i, [field, value]] of [[1, 0.5] as const, [6, 100] as const, [7, 5] as const].entries()) {
    bytes[i * 9] = (field << 3) | 1;
    bytes.writeDoubleLE(value, i * 9 + 1);
  }
  bytes.set([(8 << 3) | 2, 2, 0x0a, 0x00], 27);
  return bytes.toString('base64');
}

describe('load reports', () => {
  const expected = { cpuUtilization: 0.5, applicationUtilization: 0, rate: 100, errors: 5 };

  test('as text, JSON and protobuf', () => {
    assert.ok(parseReport('TEXT cpu_utilization=0.5, rps_fractional=1e2, eps=5, named_metrics.queue=3', report));
    assert.deepEqual(report, expected);
    assert.ok(
      parseReport('JSON {"cpu_utilization": 0.5, "rpsFractional": 100, "eps": "5", "named_metrics": {}}', report),
    );
    assert.deepEqual(report, expected);
    assert.ok(parseReport(`BIN ${binary()}`, report));
    assert.deepEqual(report, expected);
    assert.ok(parseBinaryReport(binary(), report));
    assert.deepEqual(report, expected);
  });

  test('what is no report is refused', () => {
    for (const text of [
      '',
      'cpu_utilization=0.5',
      'TEXT cpu_utilization=-1',
      'TEXT cpu_utilization=NaN',
      'TEXT cpu_utilization=1e999',
      'TEXT cpu_utilization',
      'JSON [1]',
      'JSON {"eps": null}',
      'JSON {',
      'BIN CQ==',
      `TEXT ${'a=1,'.repeat(300)}a=1`,
      `TEXT a=${'1'.repeat(9_000)}`,
    ]) {
      assert.equal(parseReport(text, report), false, text.slice(0, 40));
    }
  });

  test('no octets make it throw or go on for ever', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        parseBinaryReport(Buffer.from(bytes).toString('base64'), report);
        for (const { length } of [bytes]) assert.ok(length <= 64);
        for (const value of Object.values(report)) assert.ok(value >= 0);
      }),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('TEXT ', 'JSON '), (text, form) => {
        parseReport(form + text, report);
        for (const value of Object.values(report)) assert.ok(value >= 0 && value < Infinity);
      }),
    );
  });
});

describe('the weight that reports give', () => {
  const settings = {
    kind: 'load-reported' as const,
    blackoutMs: 1_000,
    expirationMs: 10_000,
    updateMs: 1_000,
    errorPenalty: 1,
  };
  const said = (text: string): Headers => {
    const fields = new Headers();
    fields.append('endpoint-load-metrics', text);
    return fields;
  };

  test('is requests per utilization, after the blackout and until it expires', () => {
    const load = new ReportedLoad(settings);
    assert.equal(load.weightAt(0), 0);
    assert.ok(load.read(said('TEXT cpu_utilization=0.5,rps_fractional=100'), 0));
    assert.equal(load.weightAt(999), 0);
    assert.equal(load.weightAt(1_000), 200);
    assert.equal(load.weightAt(10_000), 0);
    assert.ok(load.read(said('TEXT cpu_utilization=0.5,rps_fractional=100'), 20_000));
    assert.equal(load.weightAt(20_500), 0);
    assert.equal(load.weightAt(21_000), 200);
  });

  test('errors weigh as utilization; what the application says goes before its CPU', () => {
    const load = new ReportedLoad({ ...settings, blackoutMs: 0 });
    load.read(said('TEXT application_utilization=0.4,cpu_utilization=0.9,rps_fractional=100,eps=10'), 0);
    assert.equal(load.weightAt(0), 200);
  });

  test('a report that cannot be read is told, and one without numbers changes nothing', () => {
    const load = new ReportedLoad({ ...settings, blackoutMs: 0 });
    load.read(said('TEXT cpu_utilization=0.5,rps_fractional=100'), 0);
    assert.equal(load.read(said('nonsense'), 1), false);
    assert.equal(load.read(said('TEXT mem_utilization=0.1'), 2), true);
    assert.equal(load.read(new Headers(), 3), true);
    assert.equal(load.weightAt(3), 200);
  });
});

test('absurd reports neither stop the choice nor keep others from their turn', () => {
  const absurd = [
    'TEXT cpu_utilization=1e-300,rps_fractional=1e300',
    'TEXT cpu_utilization=1e300,rps_fractional=1e-300',
  ];
  for (const errorPenalty of [0, 1]) {
    for (const text of [...absurd, 'TEXT cpu_utilization=1,rps_fractional=5e-324,eps=1e308']) {
      const settings = { kind: 'load-reported', blackoutMs: 0, expirationMs: 0, updateMs: 1, errorPenalty } as const;
      const candidates = [text, text, '', 'TEXT cpu_utilization=0.5,rps_fractional=100'].map((report, i) => {
        const reportedLoad = new ReportedLoad(settings);
        const fields = new Headers();
        if (report !== '') fields.append('endpoint-load-metrics', report);
        reportedLoad.read(fields, 0);
        const weight = reportedLoad.weightAt(0);
        assert.ok(Number.isFinite(weight) && weight >= 0, `${report}: ${weight}`);
        return { label: String(i), weight: 1, active: 0, sinceMs: 0, latency: undefined, reportedLoad };
      });
      const clock = new ManualClock();
      const picker = new LoadReportedPicker<(typeof candidates)[number]>(settings, new SeededPrng(1), clock);
      picker.update(candidates);
      for (let i = 0; i < 100; i++) assert.ok(picker.pick());
    }
  }
});
