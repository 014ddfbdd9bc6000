import type { Cancel } from '@weft/policies/kit/clock';
import type { UpstreamConnection } from '../http/exchange.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';

/** A connection of a pool, and what the pool knows of it. */
export class Pooled {
  readonly connection: UpstreamConnection;
  readonly generation: number;
  readonly peer: PeerCertificateInfo | undefined;
  /** What it could take when nothing was under way. */
  availableMax: number;
  inReady = false;
  /** Takes nothing new; closes when what is open has ended. */
  retired = false;
  /** The pool has it no longer. */
  forgotten = false;
  idleSinceMs = 0;
  cancelAge: Cancel | undefined = undefined;

  constructor(connection: UpstreamConnection, generation: number, peer: PeerCertificateInfo | undefined) {
    this.connection = connection;
    this.generation = generation;
    this.peer = peer;
    this.availableMax = connection.available;
  }
}
