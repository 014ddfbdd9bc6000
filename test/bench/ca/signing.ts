/** How fast the authority signs, in a process of its own: prints one number, CPU microseconds a certificate. */
import { generateKeyPairSync } from 'node:crypto';
import { loadAuthority } from '@weft/control-plane/ca/material';
import { createRoot } from '@weft/control-plane/ca/root';
import { formatSpiffeId, parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';

const requests = 200;
const warmUpSigned = 2_000;
const hourMs = 3_600_000;

const [secondsText = '2'] = process.argv.slice(2);
const trustDomain = parseTrustDomain('cluster.local');
if (!trustDomain.ok) throw new Error(trustDomain.error);
const root = await createRoot(trustDomain.value, Date.now());
const issued = { trustDomain: trustDomain.value, dnsName: undefined };
const authority = loadAuthority(root, { clock: systemClock, issued });
if (!authority.ok) throw new Error(authority.error);

const wanted = await Promise.all(
  Array.from({ length: requests }, async (_, index) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const serviceAccount = `account-${index}`;
    const spiffeId = formatSpiffeId({ trustDomain: trustDomain.value, namespace: 'shop', serviceAccount });
    return { spiffeId, csr: await buildCsr({ spiffeId, publicKey, sign: keySigner(privateKey) }) };
  }),
);

async function signOne(index: number): Promise<void> {
  const one = wanted[index % requests];
  if (one === undefined || !authority.ok) throw new Error('no request');
  const leaf = await authority.value.signWorkload(one.csr, one.spiffeId, hourMs);
  if (!leaf.ok) throw new Error(leaf.error.message);
}

for (let index = 0; index < warmUpSigned; index++) await signOne(index);
const cpuBefore = process.cpuUsage();
const untilMs = performance.now() + Number(secondsText) * 1_000;
let signed = 0;
while (performance.now() < untilMs) for (let some = 0; some < 100; some++) await signOne(signed++);
const { user, system } = process.cpuUsage(cpuBefore);
process.stdout.write(`${(user + system) / signed}\n`);
