import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import type { Mirror, MirrorDiff } from '../model/mirror.ts';
import type { ForwardAction, WeightedCluster } from '../model/route.ts';
import type { At } from './decoding.ts';
import { decodeRuntimeFraction, encodeRuntimeFraction, fractionSetting, readFraction } from './fraction.ts';
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

/** What Envoy has no words for: what is compared, and mirrors of one of several clusters, by its place. */
export function mirrorSetting({ clusters, mirrorDiff: diff }: ForwardAction): JsonObject {
  const ofClusters = clusters.flatMap(({ mirrors }, place) =>
    mirrors === undefined
      ? []
      : [
          [
            String(place),
            mirrors.map(({ cluster, share, keepsHost }) => ({
              cluster,
              keeps_host: keepsHost,
              ...fractionSetting(share),
            })),
          ] as const,
        ],
  );
  return {
    ...(ofClusters.length === 0 ? {} : { clusters: Object.fromEntries(ofClusters) }),
    ...(diff === undefined
      ? {}
      : {
          diff: {
            headers: [...diff.headers],
            ignores_body: diff.ignoresBody,
            body_bytes_max: diff.bodyBytesMax,
          },
        }),
  };
}

/** Of the route's settings, for `withMirrors`. */
export interface MirrorSettings {
  readonly diff: MirrorDiff | undefined;
  readonly clusters: ReadonlyMap<number, readonly Mirror[]>;
}

export function readMirrors(reader: StructReader | undefined): MirrorSettings | undefined {
  if (reader === undefined) return undefined;
  const clusters = new Map<number, readonly Mirror[]>();
  const places = reader.object('clusters');
  for (const key of places?.keys() ?? []) {
    const mirrors = places?.list(key) ?? [];
    if (/^(0|[1-9][0-9]{0,5})$/.test(key)) clusters.set(Number(key), mirrors.map(readMirror));
    else places?.place(key).fail('is not the place of a cluster', undefined);
  }
  const said = reader.object('diff');
  const diff = said && {
    headers: said.strings('headers'),
    ignoresBody: said.boolean('ignores_body'),
    bodyBytesMax: said.number('body_bytes_max', 0, BODY_BYTES_MAX),
  };
  said?.end();
  reader.end();
  return { diff, clusters };
}

function readMirror(reader: StructReader): Mirror {
  const mirror = {
    cluster: reader.string('cluster'),
    share: readFraction(reader),
    keepsHost: reader.boolean('keeps_host'),
  };
  reader.end();
  return mirror;
}

export function withMirrors(action: ForwardAction, settings: MirrorSettings | undefined): ForwardAction {
  if (settings === undefined) return action;
  const clusters = action.clusters.map((cluster, place): WeightedCluster => {
    const mirrors = settings.clusters.get(place);
    return mirrors === undefined ? cluster : { ...cluster, mirrors };
  });
  return { ...action, clusters, ...(settings.diff === undefined ? {} : { mirrorDiff: settings.diff }) };
}
