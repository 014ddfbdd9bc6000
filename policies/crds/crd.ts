/** The CustomResourceDefinition of a kind. */
import { gatewayGroup, type KindDefinition } from './kinds.ts';
import { celKey } from './schema.ts';
import { type StructuralSchema, structural, withDefaults } from './structural.ts';

export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly group: string;
    readonly names: {
      readonly kind: string;
      readonly listKind: string;
      readonly plural: string;
      readonly singular: string;
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
    };
    readonly scope: 'Namespaced' | 'Cluster';
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly storage: boolean;
      readonly additionalPrinterColumns: readonly object[];
      readonly schema: { readonly openAPIV3Schema: StructuralSchema };
      readonly subresources?: { readonly status: Record<never, never> };
    }[];
  };
}

const typeMetaSchemas = {
  apiVersion: { description: 'Version of the schema that this object is written in.', type: 'string' },
  kind: { description: 'The kind of this object.', type: 'string' },
  metadata: { type: 'object' },
} as const;

/** Schema of an object as a whole. */
export function objectSchema(definition: KindDefinition): StructuralSchema {
  const spec = structural(definition.spec, 'spec');
  const accepts = (value: unknown): boolean => definition.spec.safeParse(value).success;
  return {
    description: definition.description,
    type: 'object',
    // A spec that may be empty may be left out as well, and its defaults are filled in all the same.
    ...(accepts({}) ? {} : { required: ['spec'] }),
    properties: {
      ...typeMetaSchemas,
      spec: accepts({}) ? { ...spec, default: withDefaults(spec, {}) } : spec,
      ...(definition.status === undefined ? {} : { status: structural(definition.status, 'status') }),
    },
    ...(definition.celRules.length === 0 ? {} : { [celKey]: definition.celRules }),
  };
}

export function customResourceDefinition(definition: KindDefinition): CustomResourceDefinition {
  const { shortNames, categories } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${definition.plural}.${definition.group}`,
      // The API server asks for this in groups under k8s.io (KEP-1111, "API approval").
      ...(definition.group === gatewayGroup
        ? { annotations: { 'api-approved.kubernetes.io': 'unapproved, own schema for local use' } }
        : {}),
      labels: { 'app.kubernetes.io/part-of': 'weft' },
    },
    spec: {
      group: definition.group,
      names: {
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        plural: definition.plural,
        singular: definition.singular,
        ...(shortNames.length === 0 ? {} : { shortNames }),
        ...(categories.length === 0 ? {} : { categories }),
      },
      scope: definition.scope,
      versions: [definition.version, ...definition.otherVersions].map((name, index) => ({
        name,
        served: true,
        storage: index === 0,
        additionalPrinterColumns: definition.printerColumns,
        schema: { openAPIV3Schema: objectSchema(definition) },
        ...(definition.status === undefined ? {} : { subresources: { status: {} } }),
      })),
    },
  };
}
