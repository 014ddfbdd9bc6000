/** Many clients that use a part of many servers each: who is called by how many. */
import { Hash64 } from '../../sidecar/cluster/picker/hash/xxhash64.ts';
import { dealtTo, lotsFor, SubsetChooser } from '../../sidecar/cluster/picker/subset.ts';

export interface Server {
  readonly label: string;
}

export const servers = (count: number): Server[] =>
  Array.from({ length: count }, (_, i) => ({ label: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:8080` }));

/** The servers of each client, where all of these are well. */
export function subsetsOf(clients: number, among: readonly Server[], size: number): readonly (readonly Server[])[] {
  if (among.length * clients <= 2_000_000) {
    return Array.from({ length: clients }, (_, client) => new SubsetChooser(size, client).choose(among, among.length));
  }
  return dealtByRow(clients, among, size);
}

/** As SubsetChooser does it, with the work that all clients of a row share done once: there are billions of pairs else. */
function dealtByRow(clients: number, among: readonly Server[], size: number): (readonly Server[])[] {
  const mask = lotsFor(among.length / size, 0) - 1;
  const wanted = Math.ceil(size / 2);
  const hash = new Hash64();
  const out: (readonly Server[])[] = [];
  for (let row = 0; row < clients; row += mask + 1) {
    const lots = Array.from({ length: mask + 1 }, (): Server[] => []);
    for (const server of among) lots[dealtTo(server.label, row, mask, hash)]?.push(server);
    for (let lot = 0; lot <= mask && row + lot < clients; lot++) {
      let members = lots[lot] ?? [];
      for (let more = 1; members.length < wanted && more <= mask; more++) {
        members = members.concat(lots[(lot + more) & mask] ?? []);
      }
      out.push(members);
    }
  }
  return out;
}

export interface Load {
  readonly connections: number;
  readonly mean: number;
  readonly max: number;
  /** How many servers have that many clients. */
  readonly histogram: ReadonlyMap<number, number>;
}

export function loadOf(subsets: readonly (readonly Server[])[], among: readonly Server[]): Load {
  const clients = new Map(among.map((server) => [server, 0]));
  let connections = 0;
  for (const members of subsets) {
    connections += members.length;
    for (const server of members) clients.set(server, (clients.get(server) ?? 0) + 1);
  }
  const histogram = new Map<number, number>();
  let max = 0;
  for (const count of clients.values()) {
    histogram.set(count, (histogram.get(count) ?? 0) + 1);
    max = Math.max(max, count);
  }
  return { connections, mean: connections / among.length, max, histogram };
}

/** Connections that end or begin when the servers change. */
export function moves(before: readonly (readonly Server[])[], after: readonly (readonly Server[])[]) {
  let ended = 0;
  let begun = 0;
  for (const [client, was] of before.entries()) {
    const now = after[client] ?? [];
    const old = new Set(was);
    const kept = now.filter((server) => old.has(server)).length;
    ended += was.length - kept;
    begun += now.length - kept;
  }
  return { ended, begun };
}
