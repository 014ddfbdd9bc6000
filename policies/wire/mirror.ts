import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import type { Mirror, MirrorDiff } from '../model/mirror.ts';
import type { At } from './decoding.ts';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './fraction.ts';
import type {
  RouteAction_RequestMirrorPolicy as MirrorMessage,
  RouteAction_RequestMirrorPolicySchema as MirrorSchema,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import type { StructReader } from './values.ts';

const BODY_BYTES_MAX = 16_777_216;

export const encodeMirror = ({ cluster, share, keepsHost }: Mirror): MessageInitShape<typeof MirrorSchema> => ({
  cluster,
  runtimeFraction: encodeRuntimeFraction(share),
  disableShadowHostSuffixAppend: keepsHost,
});

export function decodeMirror(message: MirrorMessage, at: At): Mirror {
  const { cluster, runtimeFraction, disableShadowHostSuffixAppend: keepsHost } = message;
  return {
    cluster: cluster === '' ? at.field('cluster').fail('is required', '') : cluster,
    share: decodeRuntimeFraction(runtimeFraction, at.field('runtime_fraction')),
    keepsHost,
  };
}

/** Envoy compares nothing. */
export const diffSetting = ({ headers, ignoresBody, bodyBytesMax }: MirrorDiff): JsonObject => ({
  headers: [...headers],
  ignores_body: ignoresBody,
  body_bytes_max: bodyBytesMax,
});

export function readDiff(reader: StructReader | undefined): MirrorDiff | undefined {
  if (reader === undefined) return undefined;
  const diff = {
    headers: reader.strings('headers'),
    ignoresBody: reader.boolean('ignores_body'),
    bodyBytesMax: reader.number('body_bytes_max', 0, BODY_BYTES_MAX),
  };
  reader.end();
  return diff;
}
