import type { EndpointAssignment } from '@weft/policies/model/cluster';
import type { Change } from '../xds/table-source.ts';

/** What makes the endpoints of a service known, under its name. */
export const changeOf = (value: EndpointAssignment): Change => ({
  kind: 'endpoints',
  name: value.clusterName,
  entry: { value },
});
