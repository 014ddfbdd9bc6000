/** Samples of TrafficPolicies about endpoints that fail, and about connections. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const policy = (spec: object) => ({ targetRefs: [{ kind: 'Service', name: 'cart' }], ...spec });

/** A field that is set to something out of its range. */
const outOf = (path: string, spec: object, message: string): Sample =>
  wrong('TrafficPolicy', `${path} out of range`, policy(spec), `spec.${path}`, message);

const outliers: readonly Sample[] = [
  right('TrafficPolicy', 'outliers by default', policy({ outlierDetection: {} })),
  right(
    'TrafficPolicy',
    'every criterion',
    policy({
      outlierDetection: {
        consecutive5xx: 0,
        consecutiveGatewayErrors: 3,
        consecutiveLocalFailures: 3,
        successRate: { deviationsPercent: 250, minEndpoints: 4, minRequests: 10 },
        failurePercentage: { thresholdPercent: 40 },
        latency: { factorPercent: 500, percentile: 90, minDifference: '20ms' },
        interval: '1s',
        baseEjectionTime: '5s',
        maxEjectionTime: '1m',
        maxEjectionPercent: 30,
        enforcedPercent: 0,
      },
    }),
  ),
  wrong(
    'TrafficPolicy',
    'no criterion',
    policy({ outlierDetection: { consecutive5xx: 0 } }),
    'spec.outlierDetection',
    'finds no outlier',
  ),
  wrong(
    'TrafficPolicy',
    'an ejection longer than the longest',
    policy({ outlierDetection: { baseEjectionTime: '10m' } }),
    'spec.outlierDetection.baseEjectionTime',
    'must not be longer than maxEjectionTime',
  ),
  outOf('outlierDetection.interval', { outlierDetection: { interval: '1ms' } }, 'between 10ms and 1h'),
  outOf('outlierDetection.baseEjectionTime', { outlierDetection: { baseEjectionTime: '1ms' } }, 'between 10ms and 24h'),
  outOf('outlierDetection.maxEjectionTime', { outlierDetection: { maxEjectionTime: '25h' } }, 'between 10ms and 24h'),
  outOf(
    'outlierDetection.latency.minDifference',
    { outlierDetection: { latency: { minDifference: '2h' } } },
    'between 0s and 1h',
  ),
];

const connections: readonly Sample[] = [
  right(
    'TrafficPolicy',
    'connections',
    policy({
      connections: {
        upstreamProtocol: 'HTTP2',
        maxRequestsPerConnection: 100,
        maxConnectionDuration: '10m',
        maxConcurrentStreams: 50,
        http2KeepAlive: {},
        tcpKeepAlive: { idle: '60s', interval: '10s', probes: 3 },
      },
    }),
  ),
  wrong('TrafficPolicy', 'no setting', policy({ connections: {} }), 'spec.connections', 'sets nothing'),
  wrong(
    'TrafficPolicy',
    'streams of HTTP/1',
    policy({ connections: { upstreamProtocol: 'HTTP1', maxConcurrentStreams: 5 } }),
    'spec.connections.upstreamProtocol',
    'are of HTTP/2',
  ),
  outOf('connections.maxConnectionDuration', { connections: { maxConnectionDuration: '25h' } }, 'between 1s and 24h'),
  outOf(
    'connections.http2KeepAlive.interval',
    { connections: { http2KeepAlive: { interval: '1ms' } } },
    'between 100ms and 24h',
  ),
  outOf(
    'connections.http2KeepAlive.timeout',
    { connections: { http2KeepAlive: { timeout: '2h' } } },
    'between 10ms and 1h',
  ),
  outOf('connections.tcpKeepAlive.idle', { connections: { tcpKeepAlive: { idle: '10h' } } }, 'between 1s and 9h'),
  outOf(
    'connections.tcpKeepAlive.interval',
    { connections: { tcpKeepAlive: { interval: '500ms' } } },
    'between 1s and 9h',
  ),
];

const checks: readonly Sample[] = [
  right('TrafficPolicy', 'checks by default', policy({ healthChecks: { http: {} } })),
  right(
    'TrafficPolicy',
    'a check over HTTP',
    policy({
      healthChecks: {
        http: {
          path: '/healthz?deep=1',
          method: 'HEAD',
          host: 'cart.example',
          expectedStatuses: [
            { min: 200, max: 200 },
            { min: 300, max: 399 },
          ],
          headers: [{ name: 'X-Probe', value: 'yes, it is' }],
        },
        port: 9090,
        interval: '5s',
        jitter: '0s',
        timeout: '500ms',
        noTrafficInterval: '5m',
        unhealthyThreshold: 1,
        healthyThreshold: 4,
        initially: 'Unhealthy',
      },
    }),
  ),
  right(
    'TrafficPolicy',
    'a conversation of a server that speaks first',
    policy({ healthChecks: { tcp: { receive: [{ hex: '2b' }] } } }),
  ),
  right('TrafficPolicy', 'a check over gRPC', policy({ healthChecks: { grpc: { service: 'shop.Cart' } } })),
  right(
    'TrafficPolicy',
    'a conversation',
    policy({ healthChecks: { tcp: { send: { hex: '50494e470D0a' }, receive: [{ text: '+PONG\r\n' }] } } }),
  ),
  wrong(
    'TrafficPolicy',
    'a header of the codec',
    policy({ healthChecks: { http: { headers: [{ name: 'Host', value: 'x' }] } } }),
    'spec.healthChecks.http.headers[0].name',
    'written by the proxy itself',
  ),
  wrong('TrafficPolicy', 'no check', policy({ healthChecks: {} }), 'spec.healthChecks', 'exactly one of'),
  wrong(
    'TrafficPolicy',
    'two checks',
    policy({ healthChecks: { http: {}, tcp: {} } }),
    'spec.healthChecks',
    'exactly one of',
  ),
  wrong(
    'TrafficPolicy',
    'statuses from the end',
    policy({ healthChecks: { http: { expectedStatuses: [{ min: 300, max: 200 }] } } }),
    'spec.healthChecks.http.expectedStatuses[0].min',
    'must not be more than max',
  ),
  wrong(
    'TrafficPolicy',
    'half a byte',
    policy({ healthChecks: { tcp: { send: { hex: '5af' } } } }),
    'spec.healthChecks.tcp.send.hex',
    'bytes in hexadecimal',
  ),
  wrong(
    'TrafficPolicy',
    'nothing to send',
    policy({ healthChecks: { tcp: { send: {} } } }),
    'spec.healthChecks.tcp.send',
    'exactly one of text and hex',
  ),
  wrong(
    'TrafficPolicy',
    'nothing to receive',
    policy({ healthChecks: { tcp: { receive: [{ text: 'a', hex: '61' }] } } }),
    'spec.healthChecks.tcp.receive[0]',
    'exactly one of text and hex',
  ),
  wrong(
    'TrafficPolicy',
    'a path with a blank',
    policy({ healthChecks: { http: { path: '/a b' } } }),
    'spec.healthChecks.http.path',
    'a path such as',
  ),
  outOf('healthChecks.interval', { healthChecks: { http: {}, interval: '10ms' } }, 'between 100ms and 1h'),
  outOf('healthChecks.jitter', { healthChecks: { http: {}, jitter: '2h' } }, 'between 0s and 1h'),
  outOf('healthChecks.timeout', { healthChecks: { http: {}, timeout: '1ms' } }, 'between 10ms and 10m'),
  outOf(
    'healthChecks.noTrafficInterval',
    { healthChecks: { http: {}, noTrafficInterval: '1ms' } },
    'between 100ms and 24h',
  ),
];

export const healthSamples: readonly Sample[] = [...outliers, ...checks, ...connections];
