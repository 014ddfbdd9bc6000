/** Samples of FaultPolicy, and of comparing mirrors. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const target = { kind: 'Service', name: 'cart' };
const policy = (spec: object) => ({ targetRefs: [target], ...spec });

export const faultSamples: readonly Sample[] = [
  right(
    'FaultPolicy',
    'everything',
    policy({
      match: {
        paths: ['/api/*', '/exact', '*.png', '*'],
        methods: ['GET', 'POST'],
        headers: [{ name: 'X-Fault' }, { name: 'x-user', values: ['test-*', '*-test', 'one'] }],
        sourceNamespaces: ['desk'],
      },
      delay: { fixed: '1h', percent: 0.0001 },
      abort: { httpStatus: 503 },
      reset: { percent: 5 },
      bandwidth: { responseKiBPerSecond: 1, requestKiBPerSecond: 4_194_304, percent: 50 },
      maxActiveFaults: 0,
    }),
  ),
  right('FaultPolicy', 'a status of gRPC', policy({ abort: { grpcStatus: 14 } })),
  wrong('FaultPolicy', 'no fault', policy({ maxActiveFaults: 5 }), 'spec', 'does nothing'),
  wrong(
    'FaultPolicy',
    'a delay of nothing',
    policy({ delay: { fixed: '0s' } }),
    'spec.delay.fixed',
    'between 1ms and 1h',
  ),
  wrong('FaultPolicy', 'a delay without a length', policy({ delay: {} }), 'spec.delay.fixed', 'is missing'),
  wrong(
    'FaultPolicy',
    'a header of the connection',
    policy({ reset: {}, match: { headers: [{ name: 'upgrade' }] } }),
    'spec.match.headers[0].name',
    'would never match',
  ),
  wrong('FaultPolicy', 'more than all', policy({ reset: { percent: 101 } }), 'spec.reset.percent', 'at most 100'),
  wrong('FaultPolicy', 'an abort by nothing', policy({ abort: {} }), 'spec.abort', 'set httpStatus or grpcStatus'),
  wrong(
    'FaultPolicy',
    'an abort by two statuses',
    policy({ abort: { httpStatus: 500, grpcStatus: 14 } }),
    'spec.abort',
    'not both',
  ),
  wrong(
    'FaultPolicy',
    'an abort by an interim status',
    policy({ abort: { httpStatus: 100 } }),
    'spec.abort.httpStatus',
    'at least 200',
  ),
  wrong(
    'FaultPolicy',
    'an abort that is OK',
    policy({ abort: { grpcStatus: 0 } }),
    'spec.abort.grpcStatus',
    'at least 1',
  ),
  wrong('FaultPolicy', 'no limit', policy({ bandwidth: {} }), 'spec.bandwidth', 'limits nothing'),
  wrong('FaultPolicy', 'an empty match', policy({ reset: {}, match: {} }), 'spec.match', 'would match everything'),
  wrong(
    'FaultPolicy',
    'a path with its query',
    policy({ reset: {}, match: { paths: ['/a?b'] } }),
    'spec.match.paths[0]',
    'must be a path',
  ),
  wrong('FaultPolicy', 'an unknown fault', policy({ crash: {} }), 'spec.crash', 'no field of this kind'),
  right('TrafficPolicy', 'mirrors compared', policy({ mirrorDiff: {} })),
  right(
    'TrafficPolicy',
    'mirrors compared in parts',
    policy({ mirrorDiff: { headers: ['Content-Type'], ignoreBody: true, sampleBytesMax: 0 } }),
  ),
  wrong(
    'TrafficPolicy',
    'too much of a body',
    policy({ mirrorDiff: { sampleBytesMax: 16_777_217 } }),
    'spec.mirrorDiff.sampleBytesMax',
    'at most 16777216',
  ),
];
