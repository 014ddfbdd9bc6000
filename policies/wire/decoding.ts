import { create, type DescMessage, type Message, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import { registry } from './registry.ts';

/** What is wrong in a resource, and where: `filter_chains[0].filters[1].typed_config.stat_prefix`. */
export interface WireError {
  readonly path: string;
  readonly message: string;
}

/** More than a person reads; a NACK carries them all. */
export const WIRE_ERRORS_MAX = 50;

/** One run of decoding: collects every error and counts what was skipped. */
export class Decoding {
  readonly errors: WireError[] = [];
  /** Fields with a number that our copy of the API does not know, and optional extensions that Weft does not have. */
  unknownFields = 0;
  /** A file that a person wrote: what is not understood is an error there, not something of a later version. */
  readonly strict: boolean;
  private readonly unpacked = new Map<Any, Message | undefined>();

  constructor(strict = false) {
    this.strict = strict;
  }

  at(path: string): At {
    return new At(path, this);
  }

  fail(path: string, message: string): void {
    if (this.errors.length < WIRE_ERRORS_MAX) this.errors.push({ path, message });
  }

  /** A message that is to be unpacked in this run; its bytes are made if somebody asks for them. */
  packed(desc: DescMessage, message: Message): Any {
    const any = create(AnySchema, { typeUrl: `type.googleapis.com/${desc.typeName}` });
    Object.defineProperty(any, 'value', { enumerable: true, get: () => toBinary(desc, message) });
    this.unpacked.set(any, message);
    return any;
  }

  /** The message inside; undefined when its type is none of the registry's or its bytes are malformed. */
  unpack(any: Any): Message | undefined {
    if (this.unpacked.has(any)) return this.unpacked.get(any);
    let message: Message | undefined;
    try {
      message = anyUnpack(any, registry);
    } catch {
      message = undefined;
    }
    this.unpacked.set(any, message);
    return message;
  }
}

/** A place in the message that is decoded. */
export class At {
  readonly path: string;
  readonly decoding: Decoding;

  constructor(path: string, decoding: Decoding) {
    this.path = path;
    this.decoding = decoding;
  }

  /** Names as in the `.proto` file. */
  field(name: string): At {
    return new At(this.path === '' ? name : `${this.path}.${name}`, this.decoding);
  }

  index(index: number): At {
    return new At(`${this.path}[${index}]`, this.decoding);
  }

  key(key: string): At {
    return new At(`${this.path}[${JSON.stringify(key)}]`, this.decoding);
  }

  /** Records the error and goes on with the fallback, so that every error is found in one run. */
  fail<T>(message: string, fallback: T): T {
    this.decoding.fail(this.path, message);
    return fallback;
  }

  /** Passes over what is not understood, and counts it; in a strict run it is an error. */
  skip(what: string, count = 1): void {
    if (count === 0) return;
    if (this.decoding.strict) this.fail(`${what} is not known to Weft`, undefined);
    else this.decoding.unknownFields += count;
  }
}
