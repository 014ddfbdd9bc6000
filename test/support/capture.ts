import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** TCP payloads seen on the bridge of a mesh. */
export interface Packets {
  /** Payloads both ways between two IPv4 addresses, in order. */
  between(a: string, b: string): Buffer[];
}

/** Captures on the bridge of the mesh's node with tcpdump, as an operator would. */
export async function startCapture(mesh: string): Promise<{ stop(): Promise<Packets> }> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-capture-'));
  const file = join(folder, 'bridge.pcap');
  const child = spawn(
    'ip',
    [
      'netns',
      'exec',
      `weft-${mesh}-node`,
      'tcpdump',
      '-i',
      'weft0',
      '-w',
      file,
      '--immediate-mode',
      '-U',
      '-s',
      '0',
      '-Z',
      'root',
      'tcp',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8');
  // tcpdump says so once the capture runs.
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: string) => {
      said += chunk;
      if (said.includes('listening on')) resolve();
    });
    child.once('exit', () => reject(new Error(`tcpdump ended: ${said}`)));
  });
  return {
    async stop() {
      child.kill('SIGINT');
      await once(child, 'exit');
      const packets = parsePcap(readFileSync(file));
      rmSync(folder, { recursive: true });
      return packets;
    },
  };
}

const PCAP_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET_HEADER = 14;
const ETHERTYPE_IPV4 = 0x0800;
const PROTOCOL_TCP = 6;

const ipText = (bytes: Buffer): string => [...bytes].join('.');

/** Classic pcap, little endian, Ethernet: what tcpdump writes here. */
function parsePcap(file: Buffer): Packets {
  const seen: { readonly from: string; readonly to: string; readonly payload: Buffer }[] = [];
  let at = PCAP_HEADER;
  while (at + RECORD_HEADER <= file.length) {
    const length = file.readUInt32LE(at + 8);
    const frame = file.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    at += RECORD_HEADER + length;
    if (frame.length < ETHERNET_HEADER + 40 || frame.readUInt16BE(12) !== ETHERTYPE_IPV4) continue;
    const ip = frame.subarray(ETHERNET_HEADER);
    if (ip[9] !== PROTOCOL_TCP) continue;
    const ipHeader = ((ip[0] ?? 0) & 15) * 4;
    const tcp = ip.subarray(ipHeader, ip.readUInt16BE(2));
    const payload = tcp.subarray(((tcp[12] ?? 0) >> 4) * 4);
    if (payload.length > 0) seen.push({ from: ipText(ip.subarray(12, 16)), to: ipText(ip.subarray(16, 20)), payload });
  }
  return {
    between: (a, b) =>
      seen.filter(({ from, to }) => (from === a && to === b) || (from === b && to === a)).map(({ payload }) => payload),
  };
}
