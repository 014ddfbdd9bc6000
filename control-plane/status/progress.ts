/** How far resources have come: on how many of the sidecars that hold them the content of now is live. */
import type { Carriers } from '../translate/verdict.ts';
import type { Subscriber, XdsHub } from '../xds/hub.ts';

export interface Progress {
  readonly live: number;
  readonly total: number;
  /** The first refusal of what is current. */
  readonly refusal: { readonly sidecar: string; readonly message: string } | undefined;
  /** The first refusal of what is current for something that others say, with which this had to stay behind. */
  readonly heldBack:
    | { readonly sidecar: string; readonly resource: string; readonly by: readonly string[] }
    | undefined;
}

/** Who else a refusal is for; undefined: nobody else. */
type OthersBlamed = (subscriber: Subscriber) => readonly string[] | undefined;

/** Counts sidecars, not resources: one is live when it holds all of what it has asked for. */
export function progressOf(
  hub: XdsHub,
  carriers: readonly Carriers[],
  clientNamespace: string | undefined,
  othersBlamed: OthersBlamed = () => undefined,
): Progress {
  const sidecars = new Map<string, boolean>();
  let refusal: Progress['refusal'];
  let heldBack: Progress['heldBack'];
  for (const subscriber of carriedBy(hub, carriers)) {
    const { stream, subscription } = subscriber;
    if (clientNamespace !== undefined && stream.client.namespace !== clientNamespace) continue;
    const entry = hub.entryFor(subscriber);
    const holds = subscription.holds(entry);
    const { nack } = subscription;
    if (!holds && nack !== undefined && nack.version === entry?.version) {
      const by = refusal === undefined ? othersBlamed(subscriber) : undefined;
      if (by === undefined) refusal ??= { sidecar: stream.nodeId, message: nack.message };
      else heldBack ??= { sidecar: stream.nodeId, resource: subscription.name, by };
    }
    sidecars.set(stream.nodeId, (sidecars.get(stream.nodeId) ?? true) && holds);
  }
  const live = [...sidecars.values()].filter(Boolean).length;
  return { live, total: sidecars.size, refusal, heldBack };
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

/** Connected sidecars that pass HTTP/2 through unread, so that no route applies to it. */
export function blindToHttp2(hub: XdsHub, clientNamespace: string | undefined): number {
  let count = 0;
  for (const { client } of hub.streams) {
    if (clientNamespace !== undefined && client.namespace !== clientNamespace) continue;
    if (!client.features.http2) count += 1;
  }
  return count;
}

export interface ProgrammedVerdict {
  readonly type: 'weft.dev/Programmed';
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason:
    | 'Programmed'
    | 'Pending'
    | 'Rejected'
    | 'NoClients'
    | 'NotAccepted'
    | 'Reconnecting'
    | 'UnsupportedBySidecars';
  readonly message: string;
}

export const PROGRAMMED = 'weft.dev/Programmed';

const programmed = (
  status: ProgrammedVerdict['status'],
  reason: ProgrammedVerdict['reason'],
  message: string,
): ProgrammedVerdict => ({ type: PROGRAMMED, status, reason, message });

export interface Told {
  readonly generation: number;
  readonly accepted: boolean;
  readonly progress: Progress;
  /** Every replica counts the sidecars that are connected to it, and says so. */
  readonly replica: string;
  /** Sidecars are still on their way back to a control plane that has just started. */
  readonly reconnecting: boolean;
}

export function programmedVerdict(told: Told): ProgrammedVerdict {
  if (!told.accepted) return programmed('False', 'NotAccepted', 'what is not accepted is not sent to sidecars');
  const { live, total, refusal, heldBack } = told.progress;
  const counts = `generation ${told.generation} live on ${live} of ${total} sidecars connected to ${told.replica}`;
  if (refusal !== undefined) {
    return programmed('False', 'Rejected', `${counts}; ${refusal.sidecar} refused it: ${refusal.message}`);
  }
  if (heldBack !== undefined) {
    const why = `${heldBack.sidecar} refused ${heldBack.resource}, which has it too, for what route ${heldBack.by.join(', ')} says`;
    return programmed('False', 'Pending', `${counts}; ${why}`);
  }
  if (told.reconnecting)
    return programmed('Unknown', 'Reconnecting', `${counts}, to which others are still coming back`);
  if (total === 0) {
    const message = `generation ${told.generation} is served; no sidecar connected to ${told.replica} uses it yet`;
    return programmed('True', 'NoClients', message);
  }
  return live === total ? programmed('True', 'Programmed', counts) : programmed('False', 'Pending', counts);
}

/** A route for HTTP/2 alone does nothing at a sidecar that does not read it. */
export function unreadVerdict(sidecars: number, ports: readonly string[]): ProgrammedVerdict {
  const message = `${ports.join(', ')} speaks HTTP/2, which ${sidecars} of the connected sidecars pass through unread: no route applies there`;
  return programmed('False', 'UnsupportedBySidecars', message);
}
