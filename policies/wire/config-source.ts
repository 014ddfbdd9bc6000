/** Where a resource comes from: the one ADS stream, or, in a bootstrap, a file. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { At } from './decoding.ts';
import { ApiVersion, type ConfigSource, type ConfigSourceSchema } from './gen/envoy/config/core/v3/config_source_pb.ts';

export const encodeConfigSource = (file?: string): MessageInitShape<typeof ConfigSourceSchema> => ({
  configSourceSpecifier:
    file === undefined ? { case: 'ads', value: {} } : { case: 'pathConfigSource', value: { path: file } },
  resourceApiVersion: ApiVersion.V3,
});

/** The file; undefined for ADS. A control plane names no files of those that it configures. */
export function decodeConfigSource(source: ConfigSource | undefined, at: At): string | undefined {
  const specifier = source?.configSourceSpecifier;
  switch (specifier?.case) {
    case 'ads':
      return undefined;
    case 'pathConfigSource':
      return decodeFile(specifier.value.path, at.field('path_config_source').field('path'));
    case 'path':
      return decodeFile(specifier.value, at.field('path'));
    default:
      return at.fail('is required: ads, or path_config_source in a bootstrap', undefined);
  }
}

function decodeFile(path: string, at: At): string | undefined {
  if (!at.decoding.strict) return at.fail('is supported by Weft in a bootstrap only', undefined);
  return path === '' ? at.fail('is required', undefined) : path;
}

/** Of what Weft reads from no file. */
export function decodeAds(source: ConfigSource | undefined, at: At): void {
  const specifier = source?.configSourceSpecifier.case;
  if (specifier === undefined) at.fail('is required: ads', undefined);
  else refuseFile(source, at);
}

/** Where the source may be left out. */
export function refuseFile(source: ConfigSource | undefined, at: At): void {
  const specifier = source?.configSourceSpecifier.case;
  if (specifier !== 'path' && specifier !== 'pathConfigSource') return;
  const field = specifier === 'path' ? 'path' : 'path_config_source';
  at.field(field).fail('is supported by Weft for the endpoints of a cluster only', undefined);
}
