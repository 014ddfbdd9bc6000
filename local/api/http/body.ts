import type { IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { parse } from 'yaml';
import { isObject, type Json, type JsonObject, parseJson } from '../json.ts';
import { badRequest, tooLarge, unsupportedMediaType } from '../status.ts';
import { decodeProtobuf, protobufMediaType } from './protobuf.ts';

/** Reads a request's body: bounded, JSON or YAML. */
export const mediaTypeOf = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';

export async function readBytes(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const part: Buffer = chunk;
    bytes += part.length;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    chunks.push(part);
  }
  const all = Buffer.concat(chunks);
  if (request.headers['content-encoding'] !== 'gzip') return all;
  try {
    return gunzipSync(all, { maxOutputLength: bytesMax });
  } catch {
    throw badRequest('the body is no gzip or larger than allowed');
  }
}

export function parseBody(bytes: Buffer, mediaType: string): Json {
  if (mediaType === protobufMediaType) return decodeProtobuf(bytes);
  const text = bytes.toString('utf8');
  try {
    if (mediaType === 'application/yaml' || mediaType === 'application/apply-patch+yaml') {
      const value: Json = text.trimStart().startsWith('{') ? parseJson(text) : parse(text, { maxAliasCount: 100 });
      return value;
    }
    return parseJson(text);
  } catch (error) {
    throw badRequest(
      `error decoding the body: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    );
  }
}

const bodyTypes = ['application/json', 'application/yaml', protobufMediaType];

export async function readObject(request: IncomingMessage, bytesMax: number): Promise<JsonObject> {
  const mediaType = mediaTypeOf(request);
  if (!bodyTypes.includes(mediaType)) {
    throw unsupportedMediaType(mediaType, bodyTypes);
  }
  const body = parseBody(await readBytes(request, bytesMax), mediaType);
  if (!isObject(body)) throw badRequest('the body of the request must be an object');
  return body;
}

/** DELETE may come without a body, and some clients label an empty one with any type. */
export async function readOptionalObject(request: IncomingMessage, bytesMax: number): Promise<JsonObject> {
  const bytes = await readBytes(request, bytesMax);
  if (bytes.length === 0) return {};
  const body = parseBody(bytes, mediaTypeOf(request));
  return isObject(body) ? body : {};
}
