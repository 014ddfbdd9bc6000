import type { ServerResponse } from 'node:http';
import { stringify } from 'yaml';
import type { JsonObject } from '../json.ts';
import { groupVersion, type ResourceType } from '../kinds/resource.ts';
import { metaOf } from '../object.ts';
import { listMeta, type Page } from '../rest/list.ts';
import type { StatusError } from '../status.ts';
import { partialMetadata, tableOf } from '../table/table.ts';
import type { Negotiated } from './negotiate.ts';

/** Writes answers in the form that was asked for. */
export function sendJson(response: ServerResponse, code: number, body: JsonObject, yaml = false): void {
  const text = yaml ? stringify(body) : `${JSON.stringify(body)}\n`;
  sendText(response, code, text, yaml ? 'application/yaml' : 'application/json');
}

export function sendText(response: ServerResponse, code: number, text: string | Buffer, contentType: string): void {
  if (response.headersSent) return;
  response.writeHead(code, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-cache, private',
  });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

/** RFC 7234 section 5.5: the text of a warning is quoted. */
export function setWarnings(response: ServerResponse, warnings: readonly string[]): void {
  if (warnings.length === 0 || response.headersSent) return;
  const lines = [...new Set(warnings)].map(
    (text) =>
      `299 - "${text
        .replace(/[\r\n]+/g, ' ')
        .replace(/(["\\])/g, '\\$1')
        .slice(0, 4096)}"`,
  );
  response.setHeader('warning', lines);
}

export function sendError(response: ServerResponse, error: StatusError): void {
  if (error.details?.retryAfterSeconds !== undefined && !response.headersSent) {
    response.setHeader('retry-after', String(error.details.retryAfterSeconds));
  }
  sendJson(response, error.code, error.toJson());
}

export function sendObject(
  response: ServerResponse,
  type: ResourceType,
  object: JsonObject,
  code: number,
  as: Negotiated,
  nowMs: number,
): void {
  sendJson(response, code, shaped(type, object, as, nowMs), as.yaml);
}

function shaped(type: ResourceType, object: JsonObject, as: Negotiated, nowMs: number): JsonObject {
  switch (as.form.kind) {
    case 'table':
      return tableOf(
        type,
        [object],
        { resourceVersion: metaOf(object)['resourceVersion'] ?? '' },
        as.form.include,
        nowMs,
      );
    case 'metadata':
      return partialMetadata(object);
    default:
      return object;
  }
}

export function sendPage(
  response: ServerResponse,
  type: ResourceType,
  page: Page,
  as: Negotiated,
  nowMs: number,
): void {
  const metadata = listMeta(page);
  switch (as.form.kind) {
    case 'table':
      sendJson(response, 200, tableOf(type, page.objects, metadata, as.form.include, nowMs), as.yaml);
      return;
    case 'metadata':
      sendJson(response, 200, {
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata,
        items: page.objects.map(partialMetadata),
      });
      return;
    default:
      sendJson(
        response,
        200,
        { kind: type.listKind, apiVersion: groupVersion(type), metadata, items: [...page.objects] },
        as.yaml,
      );
      return;
  }
}

/** What a watch sends for an object: its columns only with the first row (API concepts, "Receiving resources as Tables"). */
export function presenter(
  type: ResourceType,
  as: Negotiated,
  now: () => number,
): (object: JsonObject, isFirst: boolean) => JsonObject {
  const form = as.form;
  switch (form.kind) {
    case 'table':
      return (object, isFirst) => {
        const metadata = { resourceVersion: metaOf(object)['resourceVersion'] ?? '' };
        return tableOf(type, [object], metadata, form.include, now(), isFirst);
      };
    case 'metadata':
      return partialMetadata;
    default:
      return (object) => object;
  }
}
