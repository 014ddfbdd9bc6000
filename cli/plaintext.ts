/** Who speaks plaintext to whom, from the metrics of the sidecars. */

export interface PlaintextCaller {
  /** A workload, or an address that the mesh does not know. */
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  /** `own-tls`: TLS that the application ends itself. */
  readonly kind: 'plaintext' | 'own-tls';
  readonly connections: number;
}

const line = /^weft_plaintext_connections_total\{(.*)\} (\d+)$/gm;
const label = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

/** Of one sidecar, or of several after one another: what is the same is added up. */
export function plaintextCallers(texts: readonly string[]): readonly PlaintextCaller[] {
  const callers = new Map<string, PlaintextCaller>();
  for (const text of texts) {
    for (const [, labels = '', count = '0'] of text.matchAll(line)) {
      const said = new Map([...labels.matchAll(label)].map(([, name = '', value = '']) => [name, value]));
      const caller: PlaintextCaller = {
        source: said.get('source') ?? '',
        destination: said.get('destination_workload') ?? '',
        port: Number(said.get('destination_port') ?? 0),
        kind: said.get('tls') === 'own' ? 'own-tls' : 'plaintext',
        connections: Number(count),
      };
      const key = `${caller.destination} ${caller.port} ${caller.source} ${caller.kind}`;
      const known = callers.get(key)?.connections ?? 0;
      callers.set(key, { ...caller, connections: known + caller.connections });
    }
  }
  return [...callers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, caller]) => caller);
}
