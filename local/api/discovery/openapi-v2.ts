import type { ServerResponse } from 'node:http';
import { parseAccept } from '../http/negotiate.ts';
import { sendJson, sendText } from '../http/respond.ts';

/** OpenAPI v2, of which clients since 1.27 only ask whether it is there: the document without definitions, as JSON and as protobuf. */
const title = 'Kubernetes';
const version = 'v1.34.0';

/** Field `number` of wire type 2 (protobuf encoding, "length-delimited"); all texts here are shorter than 128 bytes. */
function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

/** gnostic.openapi.v2.Document: swagger 1, info 2 (title 1, version 2), paths 8. */
function protobuf(): Buffer {
  const info = Buffer.concat([field(1, Buffer.from(title)), field(2, Buffer.from(version))]);
  return Buffer.concat([field(1, Buffer.from('2.0')), field(2, info), field(8, Buffer.alloc(0))]);
}

export function openApiV2(accept: string | undefined, response: ServerResponse): void {
  const wantsProtobuf = parseAccept(accept).some(({ type }) =>
    type.startsWith('application/com.github.proto-openapi.spec.v2'),
  );
  if (wantsProtobuf) {
    sendText(response, 200, protobuf(), 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    return;
  }
  sendJson(response, 200, { swagger: '2.0', info: { title, version }, paths: {}, definitions: {} });
}
