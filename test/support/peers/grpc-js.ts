/** weft.test.Echo, the service of peers/go, with grpc-js: all messages are google.protobuf.BytesValue. */
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';

/** Field 1, length-delimited; empty bytes are an empty message. */
export function encode(value: Buffer): Buffer {
  if (value.length === 0) return value;
  const prefix = [0x0a];
  for (let left = value.length; ; left >>>= 7) {
    prefix.push(left > 0x7f ? (left & 0x7f) | 0x80 : left);
    if (left <= 0x7f) break;
  }
  return Buffer.concat([Buffer.from(prefix), value]);
}

export function decode(message: Buffer): Buffer {
  if (message.length === 0) return message;
  let at = 1;
  while (((message[at] ?? 0) & 0x80) !== 0) at++;
  return message.subarray(at + 1);
}

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/weft.test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
});

const service = {
  Unary: method('Unary', false, false),
  ClientStream: method('ClientStream', true, false),
  ServerStream: method('ServerStream', false, true),
  Bidi: method('Bidi', true, true),
};

const MESSAGE_BYTES_MAX = 16 << 20;
const limits = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  'grpc.enable_retries': 0,
};

export interface JsServer {
  readonly port: number;
  readonly cancelled: () => number;
  stop(): void;
}

let cancelledCalls = 0;

const unary: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
  const header = new Metadata();
  const trailer = new Metadata();
  for (const value of call.metadata.get('x-bin')) header.add('echo-bin', Buffer.from(value));
  for (const value of call.metadata.get('x-text')) trailer.add('echo-text', value);
  const deadline = call.getDeadline();
  if (typeof deadline === 'number' && Number.isFinite(deadline)) header.set('x-left-ms', String(deadline - Date.now()));
  call.sendMetadata(header);
  call.on('cancelled', () => {
    cancelledCalls++;
  });
  const [fail] = call.metadata.get('x-fail');
  if (fail !== undefined) {
    callback({ code: Number(fail), details: 'as asked: 100 % ü', metadata: trailer });
  } else if (call.metadata.get('x-stats').length > 0) {
    callback(null, Buffer.from(String(cancelledCalls)), trailer);
  } else if (call.metadata.get('x-hang').length === 0) {
    callback(null, call.request, trailer);
  }
};

const clientStream: handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
  let messages = 0;
  let bytes = 0;
  call.on('data', (message: Buffer) => {
    messages++;
    bytes += message.length;
  });
  call.on('end', () => callback(null, Buffer.from(`${messages} ${bytes}`)));
};

const serverStream: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  const [count = 0, size = 0] = String(call.request).split(' ').map(Number);
  const payload = Buffer.alloc(size);
  let sent = 0;
  call.on('cancelled', () => {
    cancelledCalls++;
    sent = -1;
  });
  const send = (): void => {
    while (sent >= 0) {
      if (sent === count) {
        call.end();
        return;
      }
      sent++;
      if (!call.write(payload)) {
        call.once('drain', send);
        return;
      }
    }
  };
  send();
};

const bidi: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (message: Buffer) => {
    if (String(message) === 'fail') call.emit('error', { code: status.INVALID_ARGUMENT, details: 'as asked' });
    else call.write(message);
  });
  call.on('end', () => call.end());
  call.on('error', () => undefined);
};

export async function startJsServer(): Promise<JsServer> {
  const server = new Server(limits);
  server.addService(service, { Unary: unary, ClientStream: clientStream, ServerStream: serverStream, Bidi: bidi });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, cancelled: () => cancelledCalls, stop: () => server.forceShutdown() };
}

/** One channel; its calls have 20 s. */
export class JsClient {
  private readonly client: Client;

  constructor(port: number) {
    this.client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), limits);
  }

  close(): void {
    this.client.close();
  }

  unary(
    value: Buffer,
    metadata: Readonly<Record<string, string>> = {},
    timeoutMs = 20_000,
  ): Promise<{ readonly value: Buffer; readonly header: Metadata; readonly trailer: Metadata }> {
    return new Promise((resolve, reject) => {
      const sent = Metadata.fromHttp2Headers(metadata);
      let header = new Metadata();
      let trailer = new Metadata();
      let answer: Buffer = Buffer.alloc(0);
      const done = (error: ServiceError | null, got?: Buffer): void => {
        if (error !== null) reject(error);
        else answer = got ?? answer;
      };
      const { path } = service.Unary;
      const options = { deadline: Date.now() + timeoutMs };
      const call: ClientUnaryCall = this.client.makeUnaryRequest(path, encode, decode, value, sent, options, done);
      call.on('metadata', (got) => {
        header = got;
      });
      call.on('status', (end) => {
        trailer = end.metadata;
        if (end.code === status.OK) queueMicrotask(() => resolve({ value: answer, header, trailer }));
      });
    });
  }

  clientStream(done: (error: ServiceError | null, value?: Buffer) => void): ClientWritableStream<Buffer> {
    return this.client.makeClientStreamRequest(service.ClientStream.path, encode, decode, done);
  }

  serverStream(count: number, size: number): ClientReadableStream<Buffer> {
    const request = Buffer.from(`${count} ${size}`);
    return this.client.makeServerStreamRequest(service.ServerStream.path, encode, decode, request);
  }

  bidi(): ClientDuplexStream<Buffer, Buffer> {
    return this.client.makeBidiStreamRequest(service.Bidi.path, encode, decode);
  }
}
