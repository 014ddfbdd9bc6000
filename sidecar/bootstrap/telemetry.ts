import { streamOutput } from '../telemetry/stdout.ts';
import { createTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import type { Bootstrap } from './load.ts';
import { chainsOf } from './references.ts';

/** All requests where the bootstrap names an access log, else those that failed. Called in every data thread. */
export function startTelemetry(
  { listeners, node }: Pick<Bootstrap, 'listeners' | 'node'>,
  log: (line: string) => void,
): Telemetry {
  const named = listeners
    .flatMap((listener) => chainsOf(listener, ''))
    .flatMap(([, chain]) => chain.terminal.accessLogs);
  const [output] = named;
  const telemetry = createTelemetry(log, streamOutput(output));
  const settings = listeners.find((listener) => listener.settings !== undefined)?.settings;
  telemetry.configure(
    {
      tracing: undefined,
      workloadName: node.id,
      serviceName: node.id,
      ...settings,
      accessLog: output === undefined ? (settings?.accessLog ?? 'errors') : 'all',
    },
    {},
  );
  return telemetry;
}
