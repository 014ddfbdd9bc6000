/** What a Node process holds once all that can be collected is collected, asked through its inspector. */
import { once } from 'node:events';

export interface Heap {
  readonly usedMb: number;
  /** Of Buffers. */
  readonly backingMb: number;
}

const MEGABYTE = 1_048_576;
/** For `NODE_OPTIONS`; the kernel picks the port, and the process says it on its standard error. */
export const INSPECTED = '--inspect=127.0.0.1:0';

interface Reply {
  readonly id?: number;
  readonly result?: { readonly usedSize?: number; readonly backingStorageSize?: number };
}

export async function collectedHeap(stderr: string): Promise<Heap> {
  const [, url] = /Debugger listening on (ws:\S+)/.exec(stderr) ?? [];
  if (url === undefined) throw new Error(`no inspector: ${stderr}`);
  const socket = new WebSocket(url);
  await once(socket, 'open');
  let last = 0;
  const ask = (method: string): Promise<Reply> =>
    new Promise((resolve) => {
      const id = ++last;
      const listen = ({ data }: MessageEvent): void => {
        const reply: Reply = JSON.parse(String(data));
        if (reply.id !== id) return;
        socket.removeEventListener('message', listen);
        resolve(reply);
      };
      socket.addEventListener('message', listen);
      socket.send(JSON.stringify({ id, method }));
    });
  // Finalizers of a first one free what a second one collects.
  for (let i = 0; i < 3; i++) await ask('HeapProfiler.collectGarbage');
  const { result } = await ask('Runtime.getHeapUsage');
  socket.close();
  return { usedMb: (result?.usedSize ?? 0) / MEGABYTE, backingMb: (result?.backingStorageSize ?? 0) / MEGABYTE };
}
