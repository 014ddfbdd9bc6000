/** `/egress`: what no ExternalService is for, most frequent first. */

interface EgressRow {
  readonly host: string;
  readonly port: string;
  readonly decision: string;
  readonly count: number;
}

const SAMPLE = /^weft_egress_unknown_total\{host="((?:[^"\\]|\\.)*)",port="([^"]*)",decision="([^"]*)"\} ([0-9]+)$/;

/** From the text for Prometheus, which holds the sum over all threads. */
export function egressRows(metrics: string): readonly EgressRow[] {
  const rows: EgressRow[] = [];
  for (const line of metrics.split('\n')) {
    const [, host, port, decision, count] = SAMPLE.exec(line) ?? [];
    if (host === undefined || port === undefined || decision === undefined) continue;
    rows.push({ host: host.replaceAll(/\\(.)/g, '$1'), port, decision, count: Number(count) });
  }
  return rows.sort((a, b) => b.count - a.count || (a.host < b.host ? -1 : 1));
}

export const egressText = (rows: readonly EgressRow[]): string =>
  rows.map(({ host, port, decision, count }) => `${count} ${decision} ${host === '' ? '-' : host} ${port}\n`).join('');
