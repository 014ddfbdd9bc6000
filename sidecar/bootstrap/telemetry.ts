import { logsInOwnForm } from '@weft/policies/model/listener';
import { streamOutput } from '../telemetry/stdout.ts';
import { createTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import type { Bootstrap } from './load.ts';
import { chainsOf } from './references.ts';

/**
 * Listeners with settings of Weft's own log in its own form, as in the mesh, unless these leave that to their loggers; the
 * loggers of others write for themselves; where nothing is said, what failed is logged. Called in every data thread.
 */
export function startTelemetry(
  { listeners, node }: Pick<Bootstrap, 'listeners' | 'node'>,
  log: (line: string) => void,
): Telemetry {
  const own = listeners.filter(logsInOwnForm);
  const logsOf = (some: Bootstrap['listeners']) =>
    some.flatMap((listener) => chainsOf(listener, '')).flatMap(([, chain]) => chain.terminal.accessLogs);
  const telemetry = createTelemetry(log, streamOutput(logsOf(own)[0]));
  const settings = (own[0] ?? listeners.find((listener) => listener.settings !== undefined))?.settings;
  const accessLog = own[0]?.settings?.accessLog ?? (logsOf(listeners).length === 0 ? 'errors' : 'none');
  const workloadName = settings?.workloadName || node.id;
  const serviceName = settings?.serviceName || node.id;
  telemetry.configure({ tracing: settings?.tracing, accessLog, workloadName, serviceName }, {});
  return telemetry;
}
