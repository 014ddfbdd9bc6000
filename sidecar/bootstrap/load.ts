import { join } from 'node:path';
import type { Result } from '@weft/policies/kit/result';
import type { BootstrapConfig } from '@weft/policies/wire/bootstrap-decode';
import type { WireError } from '@weft/policies/wire/decoding';
import type { ReadEndpoints } from '@weft/policies/wire/endpoint-file';
import { loadTransient } from '../transient.ts';

export type Bootstrap = BootstrapConfig;

/** The source, or its bundle. */
const reader = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? 'read.ts' : 'read.cjs');

/** The parsers of YAML and of Envoy's API are needed now and then, and cost more memory than the data path. */
const parsers = (): typeof import('./read.ts') => loadTransient(reader);

/** An Envoy v3 bootstrap, YAML or JSON. */
export const loadBootstrap = (text: string): Result<Bootstrap, readonly WireError[]> => parsers().readBootstrap(text);

/** The endpoints of services in the text of a file, YAML or JSON, which is read once for all of them. */
export const loadEndpoints = (text: string, serviceNames: readonly string[]): ReadonlyMap<string, ReadEndpoints> =>
  parsers().readEndpoints(text, serviceNames);
