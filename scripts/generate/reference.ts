/** Reference pages: one for each kind, a table of fields and the rules between them. */
import { objectSchema } from '@weft/policies/crds/crd';
import type { KindDefinition } from '@weft/policies/crds/kinds';
import { celKey } from '@weft/policies/crds/schema';
import type { StructuralSchema } from '@weft/policies/crds/structural';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const code = (text: string): string => `\`${cell(text)}\``;

function typeOf(schema: StructuralSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.items !== undefined)
    return `list of ${schema.items.enum === undefined ? plural(schema.items) : typeOf(schema.items)}`;
  if (schema.additionalProperties !== undefined) return 'map of strings';
  return schema.type ?? 'any';
}

function plural(schema: StructuralSchema): string {
  return `${schema.type ?? 'value'}s`;
}

function range(min: number | undefined, max: number | undefined, unit: string): string[] {
  if (min === undefined && max === undefined) return [];
  if (min === undefined) return [`at most ${max}${unit}`];
  if (max === undefined) return [`at least ${min}${unit}`];
  return [`${min} to ${max}${unit}`];
}

function limitsOf(schema: StructuralSchema): string {
  return [
    ...range(schema.minimum, schema.maximum, ''),
    ...range(schema.minItems, schema.maxItems, ' entries'),
    ...range(schema.minLength, schema.maxLength, ' characters'),
    ...range(undefined, schema.maxProperties, ' entries'),
    ...(schema.pattern === undefined ? [] : [code(schema.pattern)]),
    ...(schema.items === undefined
      ? []
      : [limitsOf(schema.items)].filter((text) => text !== '').map((text) => `each ${text}`)),
  ].join('; ');
}

interface Row {
  readonly path: string;
  readonly schema: StructuralSchema;
  readonly required: boolean;
}

function* rows(schema: StructuralSchema, path: string): Generator<Row> {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    yield { path: at, schema: child, required: schema.required?.includes(name) ?? false };
    yield* rows(child.items ?? child, child.items === undefined ? at : `${at}[]`);
  }
}

interface Condition {
  readonly path: string;
  readonly message: string;
}

function* conditionsOf(schema: StructuralSchema, path: string): Generator<Condition> {
  for (const rule of schema[celKey] ?? []) yield { path, message: rule.message };
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    yield* conditionsOf(child, path === '' ? name : `${path}.${name}`);
  }
  if (schema.items !== undefined) yield* conditionsOf(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* conditionsOf(schema.additionalProperties, `${path}{}`);
}

function defaultOf({ schema, required }: Row): string {
  if (required) return 'required';
  if (schema.default === undefined) return '';
  return typeof schema.default === 'object'
    ? schema.items === undefined
      ? ''
      : code(JSON.stringify(schema.default))
    : code(String(schema.default) || '""');
}

function table(schema: StructuralSchema, root: string): string[] {
  return [
    '| field | type | default | limits | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...[...rows(schema, root)].map(
      (row) =>
        `| ${code(row.path)} | ${typeOf(row.schema)} | ${defaultOf(row)} | ${limitsOf(row.schema)} | ${cell(row.schema.description ?? '')} |`,
    ),
  ];
}

export function referencePage(definition: KindDefinition): string {
  const whole = objectSchema(definition);
  const { spec, status } = whole.properties ?? {};
  const rules = [...conditionsOf(whole, '')].filter((rule) => !rule.path.startsWith('status'));
  const names = [definition.plural, ...definition.shortNames].map(code).join(', ');
  return [
    '<!-- Generated from policies/crds by `npm run generate`; changes here are lost. -->',
    '',
    `# ${definition.kind}`,
    '',
    definition.description,
    '',
    `${code(`${definition.group}/${definition.version}`)}, ${definition.scope === 'Cluster' ? 'cluster-scoped' : 'namespaced'}, for \`kubectl get\`: ${names}.`,
    '',
    '## Spec',
    '',
    ...(spec === undefined ? [] : table(spec, 'spec')),
    ...(rules.length === 0
      ? []
      : [
          '',
          '## Rules between fields',
          '',
          '| where | what must hold |',
          '| --- | --- |',
          ...rules.map((rule) => `| ${rule.path === '' ? 'the object' : code(rule.path)} | ${cell(rule.message)} |`),
        ]),
    ...(status === undefined ? [] : ['', '## Status', '', ...table(status, 'status')]),
    '',
  ].join('\n');
}

export function referenceFiles(definitions: readonly KindDefinition[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const definition of definitions) {
    files.set(`docs/reference/${definition.kind.toLowerCase()}.md`, referencePage(definition));
  }
  return files;
}
