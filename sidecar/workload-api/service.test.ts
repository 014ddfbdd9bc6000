import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { ValidateJWTSVIDRequestSchema } from '@weft/policies/wire/gen/spiffe/workload/workload_pb';
import { GrpcCode } from '../http/grpc-status.ts';
import { Headers } from '../http/headers.ts';
import type { ServerCall } from './grpc-call.ts';
import { JwtSvids } from './jwt.ts';
import { workloadApiHandlers } from './service.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/vm' as SpiffeId;
const AUDIENCE = { audience: 'bank', svid: 'a.b.c' };

/** The API before its control plane has ever answered. */
function untold() {
  const clock = new ManualClock(1_800_000_000_000);
  const away = () => Promise.reject(new Error('the control plane is away'));
  const handlers = workloadApiHandlers({
    spiffeId: ID,
    handedOut: { material: () => undefined, onChange: () => () => {} },
    jwt: new JwtSvids({ sign: away, bundle: away }, ID, clock),
    clock,
    isAllowed: () => true,
    log: () => {},
    count: () => {},
  });
  const ask = (method: string, request = new Uint8Array(0)): { readonly ends: readonly number[] } => {
    const ends: number[] = [];
    const call: ServerCall = {
      peer: { pid: 0, uid: 1, gid: 1, startTicks: undefined },
      metadata: Headers.from(['workload.spiffe.io', 'true']),
      send: () => assert.fail('there is nothing to send'),
      end: (code) => void ends.push(code),
      onEnd: () => {},
    };
    handlers.get(`/SpiffeWorkloadAPI/${method}`)?.(call, Buffer.from(request));
    return { ends };
  };
  return { clock, ask };
}

describe('the Workload API while the control plane has told nothing yet', () => {
  // java-spiffe watches no more after PermissionDenied or InvalidArgument.
  test('streams wait for a while and then say Unavailable, after which clients ask again', async () => {
    const { clock, ask } = untold();
    const calls = ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles'].map((method) => ask(method));
    clock.advance(4_999);
    await turn();
    assert.deepEqual(
      calls.flatMap(({ ends }) => ends),
      [],
    );
    clock.advance(1);
    await turn();
    assert.deepEqual(
      calls.flatMap(({ ends }) => ends),
      calls.map(() => GrpcCode.unavailable),
    );
  });

  test('a token that nothing is known to look at with is not called invalid', async () => {
    const { ask } = untold();
    const request = toBinary(ValidateJWTSVIDRequestSchema, create(ValidateJWTSVIDRequestSchema, AUDIENCE));
    const { ends } = ask('ValidateJWTSVID', request);
    await turn();
    assert.deepEqual(ends, [GrpcCode.unavailable]);
  });
});
