/** The sidecar's gRPC client against a server of grpc-js: what the control plane runs on. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { createServer, type LookupFunction, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type handleBidiStreamingCall, type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { systemClock } from '@weft/policies/kit/clock';
import type { CallListener, ClientCall, GrpcStatus, Method } from '@weft/sidecar/grpc/call';
import { GrpcChannel } from '@weft/sidecar/grpc/channel';
import { type ChannelTls, direct } from '@weft/sidecar/grpc/direct';
import { CertificateFolder } from '../support/certs.ts';
import { freePort } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const serverName = 'control.test';
const LARGE_CHARS = 3_000_000;

const method = (path: string, streams: boolean) => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: (value: string): Buffer => Buffer.from(value),
  requestDeserialize: String,
  responseSerialize: (value: string): Buffer => Buffer.from(value),
  responseDeserialize: String,
});
const methods = { Unary: method('/t.T/Unary', false), Chat: method('/t.T/Chat', true) };

const unary: handleUnaryCall<string, string> = ({ request, metadata }, done) => {
  if (request === 'fail') done({ code: status.PERMISSION_DENIED, details: 'nicht für dich: 100 %' });
  else if (request === 'large') done(null, 'x'.repeat(LARGE_CHARS));
  else if (request !== 'silence') done(null, `${request} ${metadata.get('authorization').join()}`);
};

/** Echoes until it is told to end. */
const chat: handleBidiStreamingCall<string, string> = (call) => {
  call.on('data', (message: string) => {
    if (message === 'end') call.end();
    else if (message === 'abort') call.emit('error', { code: status.ABORTED, details: 'as you wish' });
    else call.write(message);
  });
  call.on('end', () => call.end());
};

async function serve(
  credentials: ServerCredentials,
  port = 0,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server();
  server.addService(methods, { Unary: unary, Chat: chat });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, at) => (error === null ? resolve(at) : reject(error)));
  });
  return { server, port: bound };
}

class Listener implements CallListener<string> {
  readonly messages: string[] = [];
  ended: GrpcStatus | undefined;
  onMessage(message: string): void {
    this.messages.push(message);
  }
  onEnd(end: GrpcStatus): void {
    assert.equal(this.ended, undefined, 'a call ends once');
    this.ended = end;
  }
  end = (): Promise<GrpcStatus> => waitFor('the end of the call', () => this.ended);
}

const folder = testFolder('grpc-channel');
const closing: (() => void)[] = [];
let tls: ChannelTls;
let credentials: ServerCredentials;
let port = 0;

function channelTo(to: number, how: ChannelTls | undefined): GrpcChannel {
  const channel = new GrpcChannel({ via: direct({ host: '127.0.0.1', port: to, tls: how }), clock: systemClock });
  closing.push(() => channel.close());
  return channel;
}

interface Asked {
  readonly listener: Listener;
  readonly call: ClientCall<string, string>;
}

function ask(channel: GrpcChannel, of: Method<string, string>, message: string, timeoutMs = 5_000): Asked {
  const listener = new Listener();
  const call = channel.call(of, { metadata: ['authorization', 'Bearer t'], timeoutMs }, listener);
  call.send(message, of === methods.Unary);
  return { listener, call };
}

before(async () => {
  const ca = await CertificateFolder.make(folder);
  const files = await ca.issue('server', 'spiffe://test/server', { dnsNames: [serverName] });
  const [cert_chain, private_key] = [readFileSync(files.certificateFile), readFileSync(files.keyFile)];
  credentials = ServerCredentials.createSsl(null, [{ cert_chain, private_key }]);
  tls = { trustPem: readFileSync(files.trustFile, 'utf8'), serverName };
  const served = await serve(credentials);
  closing.push(() => served.server.forceShutdown());
  port = served.port;
});
after(() => {
  rmSync(folder, { recursive: true, force: true });
  for (const close of closing.reverse()) close();
});

describe('the gRPC client of the sidecar', () => {
  test('one request, one answer, with metadata, and a large one over many windows', async () => {
    const channel = channelTo(port, tls);
    const [small, large] = [ask(channel, methods.Unary, 'hello'), ask(channel, methods.Unary, 'large')];
    assert.equal((await small.listener.end()).code, status.OK);
    assert.deepEqual(small.listener.messages, ['hello Bearer t']);
    assert.equal((await large.listener.end()).code, status.OK);
    assert.equal(large.listener.messages[0]?.length, LARGE_CHARS);
  });

  test('of several addresses the first that answers is taken', async () => {
    const lookup: LookupFunction = (_host, _options, done) =>
      done(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const channel = new GrpcChannel({ via: direct({ host: 'two.addresses', port, tls, lookup }), clock: systemClock });
    closing.push(() => channel.close());
    const { listener } = ask(channel, methods.Unary, 'hello');
    assert.equal((await listener.end()).code, status.OK);
    assert.deepEqual(listener.messages, ['hello Bearer t']);
  });

  test('a stream goes on both ways until one side ends it', async () => {
    const { listener, call } = ask(channelTo(port, tls), methods.Chat, 'one', 0);
    await waitFor('the echo', () => listener.messages.length === 1 || undefined);
    call.send('two');
    call.send('end');
    assert.equal((await listener.end()).code, status.OK);
    assert.deepEqual(listener.messages, ['one', 'two']);
  });

  test('a status comes with its message, whatever characters it has', async () => {
    const refused = ask(channelTo(port, tls), methods.Unary, 'fail');
    assert.deepEqual(await refused.listener.end(), {
      code: status.PERMISSION_DENIED,
      message: 'nicht für dich: 100 %',
    });
    const aborted = ask(channelTo(port, tls), methods.Chat, 'abort', 0);
    assert.deepEqual(await aborted.listener.end(), { code: status.ABORTED, message: 'as you wish' });
  });

  test('no answer in time is the end of the call, not of the connection', async () => {
    const channel = channelTo(port, tls);
    const late = ask(channel, methods.Unary, 'silence', 100);
    assert.equal((await late.listener.end()).code, status.DEADLINE_EXCEEDED);
    const next = ask(channel, methods.Unary, 'still here');
    assert.equal((await next.listener.end()).code, status.OK);
  });

  test('a cancelled call is never heard of again', async () => {
    const channel = channelTo(port, tls);
    const { listener, call } = ask(channel, methods.Chat, 'one', 0);
    await waitFor('the echo', () => listener.messages.length === 1 || undefined);
    call.cancel();
    assert.equal((await ask(channel, methods.Unary, 'after it').listener.end()).code, status.OK);
    assert.equal(listener.ended, undefined);
  });

  test('a server that is killed ends the calls, and the next call finds the one that took its place', async () => {
    // Not one that the kernel gives to connections, as it has to be free again for the second.
    const first = await serve(credentials, await freePort());
    const channel = channelTo(first.port, tls);
    const { listener } = ask(channel, methods.Chat, 'one', 0);
    await waitFor('the echo', () => listener.messages.length === 1 || undefined);
    first.server.forceShutdown();
    assert.equal((await listener.end()).code, status.UNAVAILABLE);
    const refused = ask(channel, methods.Unary, 'nobody there');
    assert.equal((await refused.listener.end()).code, status.UNAVAILABLE);
    const second = await serve(credentials, first.port);
    closing.push(() => second.server.forceShutdown());
    assert.equal((await ask(channel, methods.Unary, 'again').listener.end()).code, status.OK);
  });

  test('another authority, and another name, are refused', async () => {
    const other = await CertificateFolder.make(folder, 'other');
    const strangers = { trustPem: readFileSync(other.trustFile, 'utf8'), serverName };
    const untrusted = await ask(channelTo(port, strangers), methods.Unary, 'hello').listener.end();
    assert.equal(untrusted.code, status.UNAVAILABLE);
    assert.match(untrusted.message, /certificate/);
    const misnamed = await ask(
      channelTo(port, { ...tls, serverName: 'else.test' }),
      methods.Unary,
      'hello',
    ).listener.end();
    assert.equal(misnamed.code, status.UNAVAILABLE);
    assert.match(misnamed.message, /altnames/);
  });

  test('plaintext; and a server that speaks something else, or nothing', async () => {
    const plain = await serve(ServerCredentials.createInsecure());
    closing.push(() => plain.server.forceShutdown());
    assert.equal((await ask(channelTo(plain.port, undefined), methods.Unary, 'hello').listener.end()).code, status.OK);
    const sockets = new Set<Socket>();
    const odd = createServer((socket) => {
      sockets.add(socket.on('error', () => {}));
      if (sockets.size === 1) socket.end('SSH-2.0-x\r\n');
    }).listen(0, '127.0.0.1');
    closing.push(() => {
      for (const socket of sockets) socket.destroy();
      odd.close();
    });
    const at = await waitFor('the other server', () => odd.address() ?? undefined);
    assert.ok(typeof at === 'object');
    const other = ask(channelTo(at.port, undefined), methods.Unary, 'hello');
    assert.equal((await other.listener.end()).code, status.UNAVAILABLE);
    const silent = ask(channelTo(at.port, undefined), methods.Unary, 'hello', 200);
    assert.equal((await silent.listener.end()).code, status.DEADLINE_EXCEEDED);
  });
});
