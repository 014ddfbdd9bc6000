import { logsInOwnForm, type WorkloadSettings } from '@weft/policies/model/listener';
import { streamOutput } from '../telemetry/stdout.ts';
import { createTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import type { Bootstrap } from './load.ts';
import { chainsOf } from './references.ts';

type Served = Pick<Bootstrap, 'listeners' | 'node'>;

const logsOf = (some: Bootstrap['listeners']) =>
  some.flatMap((listener) => chainsOf(listener, '')).flatMap(([, chain]) => chain.terminal.accessLogs);

/**
 * Listeners with settings of Weft's own log in its own form, as in the mesh, unless these leave that to their loggers; the
 * loggers of others write for themselves; where nothing is said, what failed is logged. Called in every data thread.
 */
export function startTelemetry({ listeners, node }: Served, log: (line: string) => void): Telemetry {
  const telemetry = createTelemetry(log, streamOutput(logsOf(listeners.filter(logsInOwnForm))[0]));
  telemetry.configure(settingsOf({ listeners, node }), {});
  return telemetry;
}

/** Of the process: each thing as the first listener says that says it, those with a log in Weft's own form before others. */
export function settingsOf({ listeners, node }: Served): WorkloadSettings {
  const own = listeners.filter(logsInOwnForm);
  const said = [...own, ...listeners].flatMap(({ settings }) => settings ?? []);
  return {
    tracing: said.find(({ tracing }) => tracing !== undefined)?.tracing,
    accessLog: own[0]?.settings?.accessLog ?? (logsOf(listeners).length === 0 ? 'errors' : 'none'),
    workloadName: said.find(({ workloadName }) => workloadName !== '')?.workloadName ?? node.id,
    serviceName: said.find(({ serviceName }) => serviceName !== '')?.serviceName ?? node.id,
  };
}
