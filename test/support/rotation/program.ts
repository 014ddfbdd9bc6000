/**
 * Both ends of a load that never stops, as the applications of pods: `serve` answers, `call <host>` asks in every way that
 * a rotation could break and prints what happened, one JSON object a second. It runs in pods and imports nothing of ours.
 */
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const TIMEOUT_MS = 10_000;
const REPORT_MS = 1_000;
const ERRORS_KEPT = 10;
const ports = { http: 8080, http2: 8081, tcp: 8082 } as const;

function serve(): void {
  const http = createServer((message, response) => void message.pipe(response));
  // A server that closes idle connections by itself would fail a request now and then, whatever lies between.
  http.keepAliveTimeout = 0;
  http.listen(ports.http, '::');
  const http2 = createHttp2Server();
  http2.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  http2.listen(ports.http2, '::');
  const tcp = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  tcp.listen(ports.tcp, '::');
}

class Way {
  answered = 0;
  failed = 0;
  /** Connections to the sidecar, those before the first answer left out where there was more than one. */
  opened = 0;
  errors: string[] = [];

  /** Until the first answer nothing has begun, and a refusal is no failure. */
  async run(everyMs: number, ask: (text: string) => Promise<string>): Promise<never> {
    for (let count = 0; ; count++) {
      const text = `${count} ${Math.random()}\n`;
      try {
        const answer = await ask(text);
        if (answer === text) this.answered++;
        else this.fail(`asked ${JSON.stringify(text)}, answered ${JSON.stringify(answer.slice(0, 200))}`);
      } catch (error) {
        this.fail(error instanceof Error ? error.message : String(error));
      }
      await sleep(everyMs);
    }
  }

  private fail(reason: string): void {
    if (this.answered === 0) {
      this.opened = 0;
      return;
    }
    this.failed++;
    this.errors = [...this.errors, `${new Date().toISOString()} ${reason}`].slice(-ERRORS_KEPT);
  }
}

const ways = {
  keptHttp: new Way(),
  newHttp: new Way(),
  http2: new Way(),
  keptTcp: new Way(),
  newTcp: new Way(),
};

/** Nobody repeats a POST, so that what a rotation breaks is seen. */
function post(host: string, agent: Agent, way: Way, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host, port: 80, method: 'POST', agent, timeout: TIMEOUT_MS }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        answer += chunk;
      });
      response.on('error', reject);
      response.on('end', () =>
        response.statusCode === 200 ? resolve(answer) : reject(new Error(`status ${response.statusCode}: ${answer}`)),
      );
    });
    sent.on('socket', () => {
      if (!sent.reusedSocket) way.opened++;
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', reject);
    sent.end(text);
  });
}

/** All on one connection. */
class Http2Caller {
  private readonly host: string;
  private session: ClientHttp2Session | undefined;

  constructor(host: string) {
    this.host = host;
  }

  async post(text: string): Promise<string> {
    const stream = this.open().request({ ':method': 'POST', ':path': '/' }, { endStream: false });
    stream.setTimeout(TIMEOUT_MS, () => stream.destroy(new Error('no answer in time')));
    stream.end(text);
    let status = 0;
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    let answer = '';
    for await (const chunk of stream.setEncoding('utf8')) answer += String(chunk);
    if (status !== 200) throw new Error(`status ${status}: ${answer}`);
    return answer;
  }

  private open(): ClientHttp2Session {
    const known = this.session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    ways.http2.opened++;
    const made = connectHttp2(`http://${this.host}:81`);
    // Its streams fail with it.
    made.on('error', () => undefined);
    this.session = made;
    return made;
  }
}

function line(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const end = (error: Error | undefined): void => {
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      clearTimeout(timer);
      if (error === undefined) resolve(answer);
      else {
        socket.destroy();
        reject(error);
      }
    };
    const timer = setTimeout(() => end(new Error('no answer in time')), TIMEOUT_MS);
    socket.on('data', (chunk) => {
      answer += String(chunk);
      if (answer.endsWith('\n')) end(undefined);
    });
    socket.on('error', end);
    socket.on('close', () => end(new Error('closed')));
    socket.write(text);
  });
}

async function openTcp(host: string, way: Way): Promise<Socket> {
  way.opened++;
  const socket = connect({ host, port: 82 });
  await once(socket, 'connect', { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return socket;
}

function call(host: string): void {
  const { keptHttp, newHttp, http2, keptTcp, newTcp } = ways;
  const kept = new Agent({ keepAlive: true });
  for (let worker = 0; worker < 4; worker++) void keptHttp.run(60, (text) => post(host, kept, keptHttp, text));
  const fresh = new Agent({ keepAlive: false });
  void newHttp.run(150, (text) => post(host, fresh, newHttp, text));
  const caller = new Http2Caller(host);
  for (let worker = 0; worker < 2; worker++) void http2.run(60, (text) => caller.post(text));
  let held: Socket | undefined;
  void keptTcp.run(100, async (text) => {
    if (held === undefined || held.destroyed) held = await openTcp(host, keptTcp);
    return line(held, text);
  });
  void newTcp.run(150, async (text) => {
    const socket = await openTcp(host, newTcp);
    try {
      return await line(socket, text);
    } finally {
      socket.destroy();
    }
  });
  setInterval(() => console.log(JSON.stringify(ways)), REPORT_MS);
}

const [role, host] = process.argv.slice(2);
process.once('SIGTERM', () => process.exit(0));
// The caller answers as well, so that its sidecar's inbound side can be looked at.
serve();
if (role === 'call' && host !== undefined) call(host);
