import type { FilterChain } from '@weft/policies/model/listener';
import type { ResponseFlag } from '../http/errors.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import type { ConnectionContext } from './context.ts';
import type { ConnectionFacts } from './filter-chain-match.ts';
import { decideNetwork } from './opening.ts';
import type { ListenerRuntime } from './runtime.ts';

/** What a connection was let in as. */
export interface Admitted {
  readonly chain: FilterChain;
  readonly peer: PeerCertificateInfo | undefined;
  /** What the chain was found by; undefined where it was not found by matching. */
  readonly facts: ConnectionFacts | undefined;
  readonly remoteIp: string;
  readonly destination: { readonly ip: string; readonly port: number };
}

/** Why an open connection would not be let in any more. */
interface Ending {
  readonly flag: ResponseFlag;
  readonly detail: string;
  readonly rule: string;
  /** For the counter. */
  readonly cause: 'trust' | 'policy';
}

/** Whether the peer is believed still, under the trust of now. */
export function distrusted({ deps }: ConnectionContext, peer: PeerCertificateInfo | undefined): Ending | undefined {
  const trust = peer === undefined ? undefined : deps.certificates.own()?.trust;
  const detail = peer === undefined ? undefined : trust?.refusal(peer);
  return detail === undefined ? undefined : { flag: 'UAEX', detail, rule: '', cause: 'trust' };
}

/** What the newest version of the listener would say to the same connection, were it to begin now. */
export function refusedBy(context: ConnectionContext, newest: ListenerRuntime, admitted: Admitted): Ending | undefined {
  const { chain: before, facts, peer, remoteIp, destination } = admitted;
  const chain = facts === undefined ? newest.chainNamed(before.name) : newest.find(facts);
  if (chain === undefined) {
    // Without facts nothing tells what such a connection would meet now.
    if (facts === undefined) return undefined;
    const detail = 'no filter chain of the listener takes such a connection any more';
    return { flag: 'NR', detail, rule: '', cause: 'policy' };
  }
  const { allowed, rule } = decideNetwork({ deps: context.deps, remoteIp, destination }, chain, peer);
  return allowed ? undefined : { flag: 'UAEX', detail: `denied by ${rule}`, rule, cause: 'policy' };
}
