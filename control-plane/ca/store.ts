/** Where the authority's key and its state are kept, so that all replicas agree and a restart forgets nothing. */
import { ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';

export type CaData = Readonly<Record<string, string>>;

export interface CaDocument {
  /** Changes with every write. */
  readonly version: string;
  readonly data: Secret<CaData>;
}

export interface CaStore {
  /** For messages: `Secret weft-system/weft-ca`. */
  readonly name: string;
  load(): Promise<Result<CaDocument | undefined, string>>;
  /** Only over the version that was read; undefined: only where nothing is. A `conflict` changes nothing. */
  save(over: string | undefined, data: CaData): Promise<Result<'saved' | 'conflict', string>>;
}

/** For runs that need not outlive their process. */
export class MemoryCaStore implements CaStore {
  readonly name = 'the memory of this process';
  private held: CaDocument | undefined;
  private version = 0;

  async load(): Promise<Result<CaDocument | undefined, string>> {
    return ok(this.held);
  }

  async save(over: string | undefined, data: CaData): Promise<Result<'saved' | 'conflict', string>> {
    if (this.held?.version !== over) return ok('conflict');
    this.put(data);
    return ok('saved');
  }

  /** As somebody with an editor would. */
  put(data: CaData | undefined): void {
    this.version += 1;
    this.held = data === undefined ? undefined : { version: String(this.version), data: new Secret(data) };
  }
}
