/** CRD manifests: a chart for clusters, plain files for the local mesh. */
import { customResourceDefinition } from '@weft/policies/crds/crd';
import { type KindDefinition, kindNames, kinds, weftGroup } from '@weft/policies/crds/kinds';
import { toYaml, toYamlStream } from './yaml.ts';

const header = '# Generated from policies/crds by `npm run generate`; changes here are lost.\n';

export const definitions: readonly KindDefinition[] = kindNames.map((name) => kinds[name]);

export function crdFiles(): Map<string, string> {
  const files = new Map<string, string>();
  const own = definitions.filter((definition) => definition.group === weftGroup);
  const gateway = definitions.filter((definition) => definition.group !== weftGroup);
  for (const definition of own) {
    const crd = customResourceDefinition(definition);
    // Without this `helm uninstall` would take every policy in the cluster with it.
    const annotations = { ...crd.metadata.annotations, 'helm.sh/resource-policy': 'keep' };
    const text = toYaml({ ...crd, metadata: { ...crd.metadata, annotations } });
    if (text.includes('{{')) throw new Error(`${definition.kind}: helm would read {{ as a template`);
    files.set(`charts/weft-crds/templates/${definition.plural}.yaml`, header + text);
  }
  files.set('local/manifests/weft-crds.yaml', header + toYamlStream(own.map(customResourceDefinition)));
  files.set('local/manifests/gateway-api.yaml', header + toYamlStream(gateway.map(customResourceDefinition)));
  return files;
}
