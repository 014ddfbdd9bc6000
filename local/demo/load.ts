/**
 * The load generator of the demo: a steady rate of requests to TARGET, every failure counted and printed.
 * It retries nothing, so what it reports is what a user of the shop would have seen.
 * `GET :8080/stats` gives the counts as JSON.
 */
import { Agent, createServer, get } from 'node:http';

const target = new URL(process.env['TARGET'] ?? 'http://web.shop.svc/');
const ratePerSecond = Number(process.env['RATE'] ?? 20);
const REPORT_MS = 5_000;
const TIMEOUT_MS = 10_000;
const IN_FLIGHT_MAX = 256;
const ERRORS_KEPT = 20;

const stats = {
  sent: 0,
  ok: 0,
  failed: 0,
  skipped: 0,
  inFlight: 0,
  versions: {} as Record<string, number>,
  errors: [] as string[],
};
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT_MAX });

/** Until the shop has answered once, it is not open yet, and a refusal is no failure. */
let open = false;

function failed(reason: string): void {
  if (!open) return;
  stats.failed++;
  const line = `${new Date().toISOString()} ${reason}`;
  stats.errors = [...stats.errors, line].slice(-ERRORS_KEPT);
  console.log(`failed: ${line}`);
}

function send(): void {
  if (stats.inFlight >= IN_FLIGHT_MAX) {
    stats.skipped++;
    return;
  }
  stats.sent++;
  stats.inFlight++;
  const request = get(target, { agent, timeout: TIMEOUT_MS }, (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', (error) => failed(`answer broke off: ${error.message}`));
    response.on('end', () => {
      if (response.statusCode !== 200) return failed(`status ${response.statusCode}: ${text.slice(0, 300).trim()}`);
      open = true;
      stats.ok++;
      const version = /"service":"catalog","version":"([^"]+)"/.exec(text)?.[1];
      if (version !== undefined) stats.versions[version] = (stats.versions[version] ?? 0) + 1;
    });
  });
  request.on('timeout', () => {
    const { socket } = request;
    const way =
      socket === null ? 'no connection' : `${socket.localPort} to [${socket.remoteAddress}]:${socket.remotePort}`;
    const state = request.reusedSocket ? 'reused' : 'new';
    request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms (${state} connection, ${way})`));
  });
  request.on('error', (error) => failed(error.message));
  request.on('close', () => {
    stats.inFlight--;
  });
}

const server = createServer((request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end(`${JSON.stringify(request.url === '/stats' ? stats : { ok: true })}\n`);
});
server.listen({ host: '::', port: 8080 });

const sender = setInterval(send, 1_000 / ratePerSecond);
const reporter = setInterval(() => {
  console.log(`sent ${stats.sent}, ok ${stats.ok}, failed ${stats.failed}, catalog ${JSON.stringify(stats.versions)}`);
}, REPORT_MS);

process.on('SIGTERM', () => {
  clearInterval(sender);
  clearInterval(reporter);
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
