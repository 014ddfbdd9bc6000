import { asObject, asObjects, asString, asStrings, at, ensure, equal, type JsonObject, setDefault } from '../json.ts';
import { nameOf } from '../object.ts';
import { validateSchema, versionsOf } from '../schema/definition.ts';
import { type Cause, forbiddenField, invalidValue, required, unsupportedValue } from '../status.ts';
import { immutable, isDns1123Label, isDns1123Subdomain } from './names.ts';
import { noStrategy, type Strategy } from './resource.ts';

export const definitionStrategy: Strategy = {
  ...noStrategy,
  defaults: (definition) => {
    const names = ensure(definition, 'spec', 'names');
    setDefault(names, 'singular', asString(names['kind']).toLowerCase());
    setDefault(names, 'listKind', `${asString(names['kind'])}List`);
    setDefault(ensure(definition, 'spec', 'conversion'), 'strategy', 'None');
  },
  validate: validateDefinition,
  validateUpdate: (definition, old) => {
    const causes: Cause[] = [];
    for (const path of [['group'], ['names', 'plural'], ['names', 'kind'], ['scope']]) {
      if (!equal(at(definition, 'spec', ...path), at(old, 'spec', ...path))) {
        causes.push(immutable(`spec.${path.join('.')}`, at(definition, 'spec', ...path)));
      }
    }
    for (const version of asStrings(at(old, 'status', 'storedVersions'))) {
      if (!versionsOf(definition).some((item) => item['name'] === version)) {
        causes.push(invalidValue('status.storedVersions[0]', version, 'must appear in spec.versions'));
      }
    }
    return causes;
  },
};

function validateDefinition(definition: JsonObject): Cause[] {
  const causes: Cause[] = [];
  const spec = asObject(definition['spec']) ?? {};
  const group = asString(spec['group']);
  const plural = asString(at(spec, 'names', 'plural'));
  if (!isDns1123Subdomain(group) || !group.includes('.')) {
    causes.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'));
  }
  if (nameOf(definition) !== `${plural}.${group}`) {
    causes.push(invalidValue('metadata.name', nameOf(definition), 'must be spec.names.plural+"."+spec.group'));
  }
  if (!isDns1123Label(plural))
    causes.push(invalidValue('spec.names.plural', plural, 'a DNS-1035 label must consist of lower case characters'));
  if (asString(at(spec, 'names', 'kind')) === '') causes.push(required('spec.names.kind'));
  if (!['Namespaced', 'Cluster'].includes(asString(spec['scope']))) {
    causes.push(unsupportedValue('spec.scope', spec['scope'], ['Cluster', 'Namespaced']));
  }
  if (at(spec, 'conversion', 'strategy') !== 'None') {
    causes.push(unsupportedValue('spec.conversion.strategy', at(spec, 'conversion', 'strategy'), ['None']));
  }
  if (spec['preserveUnknownFields'] === true) {
    causes.push(
      invalidValue('spec.preserveUnknownFields', true, 'must be false in order to use defaults in the schema'),
    );
  }
  causes.push(...validateVersions(versionsOf(definition)));
  return causes;
}

function validateVersions(versions: readonly JsonObject[]): Cause[] {
  const causes: Cause[] = [];
  if (versions.length === 0) causes.push(required('spec.versions'));
  const stored = versions.filter((version) => version['storage'] === true).length;
  if (stored !== 1)
    causes.push(invalidValue('spec.versions', stored, 'must have exactly one version marked as storage version'));
  const names = new Set<string>();
  for (const [index, version] of versions.entries()) {
    const path = `spec.versions[${index}]`;
    const name = asString(version['name']);
    if (!isDns1123Label(name)) causes.push(invalidValue(`${path}.name`, name, 'must be a DNS label'));
    if (names.has(name)) causes.push(invalidValue(`${path}.name`, name, 'must be unique'));
    names.add(name);
    const schema = asObject(at(version, 'schema', 'openAPIV3Schema'));
    if (schema === undefined) causes.push(required(`${path}.schema.openAPIV3Schema`, 'schemas are required'));
    else causes.push(...validateSchema(schema, `${path}.schema.openAPIV3Schema`));
    for (const [at, column] of asObjects(version['additionalPrinterColumns']).entries()) {
      if (!asString(column['jsonPath']).startsWith('.')) {
        causes.push(
          invalidValue(
            `${path}.additionalPrinterColumns[${at}].jsonPath`,
            column['jsonPath'] ?? '',
            "must be a simple json path starting with '.'",
          ),
        );
      }
    }
    for (const [at, field] of asObjects(version['selectableFields']).entries()) {
      if (!asString(field['jsonPath']).startsWith('.spec.')) {
        causes.push(forbiddenField(`${path}.selectableFields[${at}].jsonPath`, 'must be a path below .spec'));
      }
    }
  }
  return causes;
}
