import type { AdsListener, AdsStream } from './client.ts';
import type { DeltaNode, DeltaRequest, StateRequest, StateResponse } from './messages.ts';

/** What is used of gRPC's bidirectional stream. */
export interface StateCall {
  send(request: StateRequest, node: DeltaNode | undefined): void;
  cancel(): void;
}

const UNREADABLE = 'a resource has no name, or cannot be read';

interface Asked {
  readonly names: Set<string>;
  /** Of the last response that was accepted, and the nonce of the last one that came. */
  version: string;
  nonce: string;
  /** Of responses that are not answered yet. */
  readonly versions: Map<string, string>;
}

/**
 * Speaks the xDS of servers without increments for a client that has nothing else. A response says nothing of what it
 * leaves out: endpoints of a service hold until there are others.
 */
export class StateStream implements AdsStream {
  private readonly call: StateCall;
  private readonly asked = new Map<string, Asked>();

  constructor(open: (onResponse: (response: StateResponse) => void) => StateCall, listener: AdsListener) {
    this.call = open((response) => {
      const asked = this.asked.get(response.typeUrl);
      // Nothing is kept of what nobody asked for: it gets no answer.
      if (asked === undefined) {
        listener.onMessage({ ...response, removed: [] });
        return;
      }
      asked.nonce = response.nonce;
      // Of what has no name nobody could say whether it was asked for.
      if (response.resources.some(({ name }) => name === '')) {
        listener.onUnreadable(response.typeUrl, UNREADABLE);
        this.answer(response.typeUrl, asked, response.nonce, UNREADABLE);
        return;
      }
      asked.versions.set(response.nonce, response.version);
      listener.onMessage({ ...response, removed: [] });
    });
  }

  send(request: DeltaRequest, node: DeltaNode | undefined): void {
    const asked = this.askedOf(request.typeUrl);
    for (const name of request.subscribe) asked.names.add(name);
    for (const name of request.unsubscribe) asked.names.delete(name);
    // By the nonce alone one cannot tell: some servers leave it empty.
    const answers = request.subscribe.length === 0 && request.unsubscribe.length === 0;
    if (answers) {
      if (request.refusal === '') asked.version = asked.versions.get(request.nonce) ?? asked.version;
      asked.versions.delete(request.nonce);
    }
    this.answer(request.typeUrl, asked, answers ? request.nonce : asked.nonce, request.refusal, node);
  }

  cancel(): void {
    this.call.cancel();
  }

  private answer(typeUrl: string, asked: Asked, nonce: string, refusal: string, node?: DeltaNode): void {
    this.call.send({ typeUrl, names: [...asked.names], version: asked.version, nonce, refusal }, node);
  }

  private askedOf(typeUrl: string): Asked {
    let asked = this.asked.get(typeUrl);
    if (asked === undefined) {
      asked = { names: new Set(), version: '', nonce: '', versions: new Map() };
      this.asked.set(typeUrl, asked);
    }
    return asked;
  }
}
