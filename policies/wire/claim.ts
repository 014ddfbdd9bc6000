/** Claims of a verified token, which the jwt_authn filter leaves in the metadata of the request. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Principal } from '../model/authorization.ts';
import type { At } from './decoding.ts';
import type { MetadataMatcher, MetadataMatcherSchema } from './gen/envoy/type/matcher/v3/metadata_pb.ts';
import { decodeValueMatch, encodeValueMatch } from './value-match.ts';

type Claim = Extract<Principal, { kind: 'claim' }>;

const FILTER = 'envoy.filters.http.jwt_authn';
/** Where the payload is put (JwtProvider.payload_in_metadata). */
const PAYLOAD = 'jwt';

export const encodeClaim = ({ path, value }: Claim): MessageInitShape<typeof MetadataMatcherSchema> => ({
  filter: FILTER,
  path: [PAYLOAD, ...path].map((key) => ({ segment: { case: 'key', value: key } })),
  value: encodeValueMatch(value),
});

export function decodeClaim(matcher: MetadataMatcher, at: At): Principal {
  const nothing: Principal = { kind: 'not', id: { kind: 'any' } };
  if (matcher.filter !== FILTER) {
    return at.field('filter').fail(`"${matcher.filter}" leaves no metadata here, ${FILTER} does`, nothing);
  }
  const here = at.field('path');
  const path = matcher.path.map(({ segment }, i) =>
    segment.case === 'key' && segment.value !== '' ? segment.value : here.index(i).fail('a key is required', ''),
  );
  if (path[0] !== PAYLOAD) return here.fail(`has to begin with "${PAYLOAD}", where the payload is`, nothing);
  const claim: Claim = {
    kind: 'claim',
    path: path.slice(1),
    value: decodeValueMatch(matcher.value, at.field('value')),
  };
  return matcher.invert ? { kind: 'not', id: claim } : claim;
}
