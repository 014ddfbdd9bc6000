import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { grpcMessage, grpcPath } from '../backend.ts';
import type { Bench } from '../context.ts';
import { Field, report } from '../field.ts';
import { pair } from '../subjects/contestants.ts';
import { measureAtRate, saturatedGrpc, shortRuns, warmUpSeconds } from './load.ts';

const bench = 'mtls-grpc';

export const mtlsGrpc: Bench = {
  what: 'unary gRPC calls through two sidecars: h2c, HTTP/2 over mutual TLS, h2c',
  async run(context) {
    const { files, without, note } = context;
    const { runs, seconds } = shortRuns(context);
    const { port: applicationPort } = await context.http2();
    const message = join(context.folder, 'message.grpc');
    writeFileSync(message, grpcMessage());
    const shape = { files, applicationPort, wire: 'h2', application: 'h2', features: { without } } as const;
    const field = await Field.start([pair(context.weft, shape), pair(context.envoy, shape)]);
    try {
      await field.warmUp((subject) => saturatedGrpc(context, subject, message, warmUpSeconds(context)));
      const saturated = await field.measure(runs, (subject) => saturatedGrpc(context, subject, message, seconds));
      const both = { bench, subject: 'weft', peer: 'envoy', wire: 'h2', note };
      for (const metric of ['cpu_us_per_request', 'requests_per_second', 'rss_anon_mb']) {
        report(context.report, saturated, [{ ...both, metric, load: 'saturated' }]);
      }
      const slow = await measureAtRate(context, field, { path: grpcPath, protocol: 'grpc' });
      report(context.report, slow, [{ ...both, metric: 'cpu_us_per_request', load: '1000 rps' }]);
    } finally {
      await field.stop();
    }
  },
};
