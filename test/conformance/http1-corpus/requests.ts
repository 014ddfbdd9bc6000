import type { RequestCase } from './case.ts';
import { chunks } from './requests/chunks.ts';
import { connection } from './requests/connection.ts';
import { contentLength } from './requests/content-length.ts';
import { host } from './requests/host.ts';
import { lineEnds } from './requests/line-ends.ts';
import { requestLine } from './requests/request-line.ts';
import { semantics } from './requests/semantics.ts';
import { transferEncoding } from './requests/transfer-encoding.ts';

export const requestCases: readonly RequestCase[] = [
  ...transferEncoding,
  ...contentLength,
  ...chunks,
  ...lineEnds,
  ...requestLine,
  ...host,
  ...connection,
  ...semantics,
];
