import { streamOutput } from '../telemetry/stdout.ts';
import { createTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import type { Bootstrap } from './load.ts';
import { chainsOf } from './references.ts';

const NO_SETTINGS = { tracing: undefined, accessLog: 'none' } as const;

/**
 * Listeners with settings of Weft's own log in its own form, as in the mesh; the loggers of others write for
 * themselves; where nothing is said, what failed is logged. Called in every data thread.
 */
export function startTelemetry(
  { listeners, node }: Pick<Bootstrap, 'listeners' | 'node'>,
  log: (line: string) => void,
): Telemetry {
  const own = listeners.filter((listener) => listener.settings !== undefined);
  const logsOf = (some: Bootstrap['listeners']) =>
    some.flatMap((listener) => chainsOf(listener, '')).flatMap(([, chain]) => chain.terminal.accessLogs);
  const telemetry = createTelemetry(log, streamOutput(logsOf(own)[0]));
  const settings = own[0]?.settings ?? {
    ...NO_SETTINGS,
    accessLog: logsOf(listeners).length === 0 ? 'errors' : 'none',
  };
  telemetry.configure({ workloadName: node.id, serviceName: node.id, ...settings }, {});
  return telemetry;
}
