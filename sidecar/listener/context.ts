import type { Deadlines } from '../net/deadlines.ts';
import type { TlsContexts } from '../net/tls-contexts.ts';
import type { ListenerConnection } from './connection.ts';
import type { ListenerDeps } from './deps.ts';
import type { ListenerRuntime } from './runtime.ts';
import type { ServerFirstPorts } from './server-first.ts';

/** What the connections of a listener share. */
export interface ConnectionContext {
  readonly deps: ListenerDeps;
  readonly contexts: TlsContexts;
  readonly deadlines: Deadlines;
  readonly handshakeTimeoutMs: number;
  readonly serverFirst: ServerFirstPorts;
  /** The newest version of the listener; undefined when it was removed. */
  current(): ListenerRuntime | undefined;
  onClosed(connection: ListenerConnection): void;
}
