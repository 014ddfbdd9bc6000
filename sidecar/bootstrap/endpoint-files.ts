import { readFileSync, statSync } from 'node:fs';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Cluster, EndpointAssignment } from '@weft/policies/model/cluster';
import type { WireError } from '@weft/policies/wire/decoding';
import { stampOf } from '../net/tls-files.ts';
import type { Replicas } from '../xds/client.ts';
import type { Change } from '../xds/table-source.ts';
import { changeOf } from './endpoint-change.ts';
import type { EndpointDiscovery } from './endpoint-discovery.ts';
import { loadEndpoints } from './load.ts';
import { TEXT_BYTES_MAX } from './text-limit.ts';

/** A change is seen after one of these, and taken when the file has stood still for another. */
const LOOK_EVERY_MS = 250;

interface Ports {
  readonly clock: Clock;
  readonly log: (line: string) => void;
  readonly count: (event: string) => void;
}

interface EndpointFile {
  readonly path: string;
  readonly serviceNames: Set<string>;
  /** Of what was read last. */
  stamp: string;
  /** Of a change that may still be under way: half of a file in YAML is often one as well. */
  changing: string | undefined;
}

/**
 * The endpoints of clusters whose bootstrap names a file for them. What a file says is taken as a whole or refused, and
 * then the last good ones hold; a file that is gone says nothing.
 */
export class EndpointFiles implements EndpointDiscovery {
  private readonly ports: Ports;
  private readonly files = new Map<string, EndpointFile>();
  private readonly known = new Map<string, EndpointAssignment>();
  private replicas: Replicas | undefined;
  private cancel: Cancel | undefined;

  /** Reads all of them. */
  constructor(clusters: readonly Pick<Cluster, 'discovery'>[], ports: Ports) {
    this.ports = ports;
    for (const { discovery } of clusters) {
      if (discovery.kind === 'eds' && discovery.source?.kind === 'file') {
        this.add(discovery.source.path, discovery.serviceName);
      }
    }
    for (const file of this.files.values()) this.read(file);
  }

  assignments(): readonly EndpointAssignment[] {
    return [...this.known.values()];
  }

  /** They were all read before. */
  async follow(replicas: Replicas): Promise<void> {
    this.replicas = replicas;
    if (this.files.size > 0) this.lookLater();
  }

  close(): void {
    this.cancel?.();
  }

  private add(path: string, serviceName: string): void {
    const file = this.files.get(path);
    if (file !== undefined) file.serviceNames.add(serviceName);
    else this.files.set(path, { path, serviceNames: new Set([serviceName]), stamp: '', changing: undefined });
  }

  private lookLater(): void {
    this.cancel = this.ports.clock.afterUnref(LOOK_EVERY_MS, () => {
      for (const file of this.files.values()) this.look(file);
      this.lookLater();
    });
  }

  private look(file: EndpointFile): void {
    const stamp = stampOf([file.path]);
    const still = stamp === file.changing;
    file.changing = stamp === file.stamp ? undefined : stamp;
    if (!still || file.changing === undefined) return;
    const changes = this.read(file);
    if (changes.length === 0 || this.replicas === undefined) return;
    this.replicas.publish(changes);
    this.replicas.whenApplied((failures) => {
      if (failures.length > 0) this.ports.log(`endpoints of ${file.path}: ${failures.join('; ')}`);
    });
  }

  private read(file: EndpointFile): readonly Change[] {
    file.stamp = stampOf([file.path]);
    file.changing = undefined;
    const text = textOf(file.path);
    const names = [...file.serviceNames];
    const all = text.ok ? loadEndpoints(text.value, names) : new Map(names.map((name) => [name, text]));
    return [...all].flatMap(([name, read]) => {
      if (read.ok) {
        this.known.set(name, read.value);
        this.ports.count('eds.update_success');
        return [changeOf(read.value)];
      }
      this.refused(file.path, name, read.error);
      return [];
    });
  }

  private refused(path: string, name: string, errors: readonly WireError[]): void {
    const why = errors.map((one) => (one.path === '' ? one.message : `${one.path}: ${one.message}`)).join('; ');
    const held = this.known.has(name) ? 'the last good ones hold' : 'there are none until it is good';
    this.ports.count('eds.update_rejected');
    this.ports.log(`endpoints of ${name}: ${path}: ${why}; ${held}`);
  }
}

function textOf(path: string): Result<string, readonly WireError[]> {
  try {
    const found = statSync(path);
    // To open a pipe is to wait for who writes to it, and a device may have no end.
    if (!found.isFile()) return err([{ path: '', message: 'is no file' }]);
    if (found.size > TEXT_BYTES_MAX) return err([{ path: '', message: `is longer than ${TEXT_BYTES_MAX} bytes` }]);
    return ok(readFileSync(path, 'utf8'));
  } catch (error) {
    return err([{ path: '', message: `cannot be read: ${errorText(error)}` }]);
  }
}

/** A file that is not there is an error in the bootstrap, as for Envoy; what is in it is not, since it changes later. */
export function checkEndpointFiles(clusters: readonly Pick<Cluster, 'discovery'>[]): readonly WireError[] {
  return clusters.flatMap(({ discovery }, i) => {
    if (discovery.kind !== 'eds' || discovery.source?.kind !== 'file') return [];
    const wrong = notFile(discovery.source.path);
    if (wrong === undefined) return [];
    const path = `static_resources.clusters[${i}].eds_cluster_config.eds_config`;
    return [{ path, message: `${discovery.source.path} ${wrong}` }];
  });
}

/** Undefined: it is one. */
function notFile(path: string): string | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() === true) return undefined;
    return found === undefined ? 'is not there' : 'is no file';
  } catch (error) {
    return `cannot be found: ${errorText(error)}`;
  }
}
