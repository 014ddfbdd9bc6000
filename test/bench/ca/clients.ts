/**
 * Many sidecars that come at once, in a process of their own: each has its key and request already, opens its own TLS
 * connection and makes one call of `weft.ca.v1.Certificates/Sign`. When the clock has stopped, every answer is looked at.
 * Prints one line of JSON.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import type { SignResponse } from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { enroll, prepare, type Target, type Workload, wrongIn } from './workload.ts';

const [port = '', trustFile = '', countText = '', parallelText = ''] = process.argv.slice(2);
const count = Number(countText);
const ca = readFileSync(trustFile, 'utf8');
const target: Target = { port: Number(port), context: createSecureContext({ ca, minVersion: 'TLSv1.3' }) };
const trustDomain = parseTrustDomain('cluster.local');
if (!trustDomain.ok) throw new Error(trustDomain.error);

const workloads: Workload[] = [];
for (let index = 0; index < count; index++) workloads.push(await prepare(trustDomain.value, index));

const cpuBefore = process.cpuUsage();
const startedMs = performance.now();
const tookMs: number[] = [];
const answers: SignResponse[] = [];
let next = 0;
async function worker(): Promise<void> {
  for (let at = next++; ; at = next++) {
    const workload = workloads[at];
    if (workload === undefined) return;
    const fromMs = performance.now();
    answers[at] = await enroll(target, workload);
    tookMs.push(performance.now() - fromMs);
  }
}
await Promise.all(Array.from({ length: Number(parallelText) }, worker));
const seconds = (performance.now() - startedMs) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);

const root = new X509Certificate(ca);
const serials = new Set<string>();
for (const [index, workload] of workloads.entries()) {
  const [der, ...above] = answers[index]?.certificateChain ?? [];
  if (der === undefined || above.length > 0) throw new Error(`${workload.spiffeId}: ${above.length} intermediates`);
  const leaf = new X509Certificate(der);
  const wrong = wrongIn(leaf, workload, root);
  if (wrong !== undefined) throw new Error(`the certificate of ${workload.spiffeId}: ${wrong}`);
  serials.add(leaf.serialNumber);
}
tookMs.sort((a, b) => a - b);
const p99Ms = tookMs[Math.floor(tookMs.length * 0.99)] ?? 0;
// Two with one serial number would be one certificate in every list of revocations.
const seen = { seconds, enrolled: serials.size, p99Ms, cpuUs: (user + system) / count };
process.stdout.write(`${JSON.stringify(seen)}\n`);
