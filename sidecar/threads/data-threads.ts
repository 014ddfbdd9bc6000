import type { Result } from '@weft/policies/kit/result';
import type { DecisionReport } from '@weft/policies/model/decision-report';
import type { ClusterRow } from '../cluster/rows.ts';
import type { ListenerStats } from '../listener/manager.ts';
import type { QuotaThreads } from '../quota/client.ts';
import type { NamedCounters } from '../telemetry/exchange-counters.ts';
import type { TelemetrySettings } from './protocol.ts';

/** The data path, whether it is this very thread or several others. */
export interface DataThreads extends QuotaThreads {
  /** Resolves when all are bound, or one cannot be. */
  start(): Promise<Result<void, string>>;
  configure(settings: TelemetrySettings): void;
  /** Clients of a listener are to go elsewhere; see `ListenerManager`. */
  retire(listener: string): void;
  /** Accepts nothing new, lets open exchanges finish, and closes what is left after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
  /** Whether new work is to be turned away. */
  shed(on: boolean): void;
  /** Everything that is counted, with what the control thread counts itself. */
  metrics(): Promise<string>;
  listeners(): Promise<readonly ListenerStats[]>;
  clusters(): Promise<readonly ClusterRow[]>;
  /** Takes what rules did and for whom. */
  decisions(): Promise<DecisionReport>;
  /** Of connection managers, under Envoy's names. */
  counters(): Promise<NamedCounters>;
}
