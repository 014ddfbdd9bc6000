/**
 * Writes builtin-wire.json: the protobuf field numbers of the built-in kinds, which kubectl's typed clients send
 * (`application/vnd.kubernetes.protobuf`). Read from the published Go modules k8s.io/api and k8s.io/apimachinery.
 *
 * Run: node local/api/schema/generate-builtin-wire.ts <directory of k8s.io/api> <directory of k8s.io/apimachinery>
 *
 * For each type: number -> field name; `~<type>` where Go inlines a struct that the wire nests; a trailing `*` where Go has a pointer to a
 * scalar, so that a zero on the wire is meant; a trailing `#` where a text is a Quantity.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import types from './builtin-types.json' with { type: 'json' };

const [apiDirectory = '', machineryDirectory = ''] = process.argv.slice(2);
const shapes = new Map<string, Record<string, string | string[]>>(Object.entries(types));
const metaPackage = 'k8s.io.apimachinery.pkg.apis.meta.v1';

interface Field {
  readonly number: string;
  readonly name: string;
  /** Fully qualified for messages. */
  readonly type: string;
}

const messages = new Map<string, Field[]>();
/** `<package>.<type>.<json name>` of pointers to scalars. */
const pointers = new Set<string>();

function qualify(type: string, packageName: string): string {
  if (/^(string|bool|bytes|double|float|u?int(32|64))$/.test(type)) return type;
  return type.startsWith('.') ? type.slice(1) : `${packageName}.${type}`;
}

function readProto(file: string, packageName: string): void {
  const text = readFileSync(file, 'utf8').replace(/\/\/.*$/gm, '');
  for (const [, message = '', body = ''] of text.matchAll(/^message (\w+) \{([\s\S]*?)^\}/gm)) {
    const fields = [
      ...body.matchAll(/(?:optional|repeated)?\s*(?:map<string, ([\w.]+)>|([\w.]+)) (\w+) = (\d+);/g),
    ].map(([, mapValue, type, name = '', number = '']) => ({
      number,
      name,
      type: qualify(mapValue ?? type ?? '', packageName),
    }));
    messages.set(`${packageName}.${message}`, fields);
  }
}

function readGo(file: string, packageName: string): void {
  const text = readFileSync(file, 'utf8');
  for (const [, type = '', body = ''] of text.matchAll(/^type (\w+) struct \{([\s\S]*?)^\}/gm)) {
    for (const [, name = ''] of body.matchAll(/^\s+\w+\s+\*\w+(?:\.\w+)?\s+`json:"(\w+)/gm))
      pointers.add(`${packageName}.${type}.${name}`);
  }
}

function readPackage(directory: string, packageName: string): void {
  for (const file of readdirSync(directory)) {
    if (file === 'generated.proto') readProto(join(directory, file), packageName);
    else if (/^types.*\.go$/.test(file)) readGo(join(directory, file), packageName);
  }
}

readPackage(join(machineryDirectory, 'pkg/apis/meta/v1'), metaPackage);
const groups =
  'core apps batch autoscaling policy discovery networking rbac admissionregistration coordination events authentication authorization scheduling storage';
const packages: string[] = [];
for (const group of groups.split(' ')) {
  for (const version of ['v1', 'v2']) {
    const packageName = `k8s.io.api.${group}.${version}`;
    try {
      readPackage(join(apiDirectory, group, version), packageName);
      packages.push(packageName);
    } catch {
      // Not every group has a v2.
    }
  }
}

const tables: Record<string, Record<string, string>> = {};

function leafOf(type: string): string {
  return type.replace(/^(\[\]|\{\})+/, '');
}

function walk(model: string, message: string): void {
  if (tables[model] !== undefined) return;
  tables[model] = tableOf(model, message);
}

function tableOf(model: string, message: string): Record<string, string> {
  const shape = shapes.get(model) ?? {};
  const table: Record<string, string> = {};
  for (const { number, name: wireName, type } of messages.get(message) ?? []) {
    // Generated names differ in case from JSON's where Go's do (`uID`, `Webhooks`).
    const name = Object.keys(shape).find((key) => key.toLowerCase() === wireName.toLowerCase()) ?? wireName;
    const known = shape[name];
    if (typeof known === 'string') {
      const isQuantity = type.endsWith('.Quantity') && leafOf(known) === 'string';
      table[number] = `${name}${pointers.has(`${message}.${name}`) ? '*' : ''}${isQuantity ? '#' : ''}`;
      if (shapes.has(leafOf(known))) walk(leafOf(known), type);
    } else if (messages.has(type)) {
      const key = `${model}~${name}`;
      table[number] = `~${key}`;
      tables[key] = tableOf(model, type);
    }
  }
  return table;
}

/** Models are named `<version><kind>`, with the group in front where two groups have the same. */
const prefixed: Record<string, string> = {
  CoreV1Event: 'k8s.io.api.core.v1.Event',
  EventsV1Event: 'k8s.io.api.events.v1.Event',
  AuthenticationV1TokenRequest: 'k8s.io.api.authentication.v1.TokenRequest',
  V1DeleteOptions: `${metaPackage}.DeleteOptions`,
};
for (const model of shapes.keys()) {
  const match = /^V(\d)([A-Z]\w*)$/.exec(model);
  const fields = shapes.get(model) ?? {};
  const isRoot = fields['metadata'] === 'V1ObjectMeta' && fields['kind'] !== undefined;
  const fromKind =
    match === null
      ? undefined
      : packages
          .map((name) => `${name}.${match[2]}`)
          .find((name) => messages.has(name) && name.includes(`.v${match[1]}.`));
  const message = prefixed[model] ?? (isRoot ? fromKind : undefined);
  if (message !== undefined) walk(model, message);
}
const sorted = Object.fromEntries(Object.entries(tables).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(fileURLToPath(new URL('./builtin-wire.json', import.meta.url)), `${JSON.stringify(sorted, null, 2)}\n`);
