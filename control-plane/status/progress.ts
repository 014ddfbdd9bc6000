/** How far resources have come: on how many of the sidecars that hold them the content of now is live. */
import type { Carriers } from '../translate/status.ts';
import type { Subscriber, XdsHub } from '../xds/hub.ts';

export interface Progress {
  readonly live: number;
  readonly total: number;
  /** The first refusal of what is current. */
  readonly refusal: { readonly sidecar: string; readonly message: string } | undefined;
}

/** Counts sidecars, not resources: one is live when it holds all of what it has asked for. */
export function progressOf(hub: XdsHub, carriers: readonly Carriers[], clientNamespace: string | undefined): Progress {
  const sidecars = new Map<string, boolean>();
  let refusal: Progress['refusal'];
  for (const subscriber of carriedBy(hub, carriers)) {
    const { stream, subscription } = subscriber;
    if (clientNamespace !== undefined && stream.client.namespace !== clientNamespace) continue;
    const entry = hub.entryFor(subscriber);
    const holds = subscription.holds(entry);
    const { nack } = subscription;
    if (!holds && nack !== undefined && nack.version === entry?.version) {
      refusal ??= { sidecar: stream.nodeId, message: nack.message };
    }
    sidecars.set(stream.nodeId, (sidecars.get(stream.nodeId) ?? true) && holds);
  }
  const live = [...sidecars.values()].filter(Boolean).length;
  return { live, total: sidecars.size, refusal };
}

function* carriedBy(hub: XdsHub, carriers: readonly Carriers[]): Generator<Subscriber> {
  for (const { kind, names } of carriers) {
    for (const name of names) {
      // Listeners carry the name of their pod here: on the wire all of them are called `inbound`.
      if (kind === 'listener') yield* hub.subscribersOf('listener', 'inbound', name);
      else yield* hub.subscribersOf(kind, name);
    }
  }
}

export interface ProgrammedVerdict {
  readonly type: 'weft.dev/Programmed';
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: 'Programmed' | 'Pending' | 'Rejected' | 'NoSidecars' | 'NotAccepted';
  readonly message: string;
}

const programmed = (
  status: ProgrammedVerdict['status'],
  reason: ProgrammedVerdict['reason'],
  message: string,
): ProgrammedVerdict => ({ type: 'weft.dev/Programmed', status, reason, message });

export function programmedVerdict(generation: number, accepted: boolean, progress: Progress): ProgrammedVerdict {
  if (!accepted) return programmed('False', 'NotAccepted', 'what is not accepted is not sent to sidecars');
  const { live, total, refusal } = progress;
  if (total === 0)
    return programmed('True', 'NoSidecars', `generation ${generation} is served; no connected sidecar uses it`);
  const counts = `generation ${generation} live on ${live} of ${total}`;
  if (refusal !== undefined) {
    return programmed('False', 'Rejected', `${counts}; ${refusal.sidecar} refused it: ${refusal.message}`);
  }
  return live === total ? programmed('True', 'Programmed', counts) : programmed('False', 'Pending', counts);
}
