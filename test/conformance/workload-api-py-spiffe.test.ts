/** py-spiffe, whose gRPC is that of C, gets X.509-SVIDs, JWT-SVIDs and bundles from `weft identity serve`. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { pythonIn, pythonPackages } from '../support/peers/python.ts';
import { linesOf, shopIdentity, startWorkloadApis, type WorkloadApis } from '../support/workload-apis.ts';

let apis: WorkloadApis;

before(async () => {
  await pythonPackages();
  apis = await startWorkloadApis('py-spiffe');
});
after(() => apis?.stop());

test('an X.509-SVID that its bundle verifies, a JWT-SVID, its validation, and the keys of JWT-SVIDs', async () => {
  const socket = await apis.serve('vm');
  const program = apis.add(await pythonIn({ SPIFFE_ENDPOINT_SOCKET: `unix://${socket}` }, 'spiffe_workload.py'));
  assert.equal(await program.exitCode(), 0, program.stdout + program.stderr);
  const id = shopIdentity('vm');
  assert.deepEqual(linesOf(program), [
    { svid: id, curve: 'secp256r1', domain: 'cluster.local', anchors: 1 },
    { asked: id, refusedElsewhere: true },
    { jwt: id, audience: ['bank'] },
  ]);
});
